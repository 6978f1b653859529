//! Wherever a network cuts a reply, the same usage is read from it; and of a whole JSON object, what an independent parser reads.

#![no_main]

use claude_gateway_fuzz::{json_tap::JsonTap, scan, usage::Usage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = |size: usize| {
        let mut tap = JsonTap::default();
        bytes.chunks(size).for_each(|chunk| tap.look(chunk));
        (tap.usage, tap.beside)
    };
    let whole = read(bytes.len().max(1));
    let some = bytes.first().map_or(1, |first| usize::from(*first).max(1));
    for size in [1, 2, some] {
        assert_eq!(read(size), whole, "in pieces of {size}");
    }
    // A key that stands twice is nobody's reply.
    if let Ok([Some(span)]) = scan::members(bytes, ["usage"])
        && let Ok(usage) = serde_json::from_slice::<Usage>(&bytes[span])
    {
        assert_eq!(whole.0, usage);
    }
});
