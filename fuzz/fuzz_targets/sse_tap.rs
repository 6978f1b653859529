//! Wherever a network cuts a stream, the same usage is read from it, and an event's end is found where a reader of lines
//! would find it.

#![no_main]

use claude_gateway_fuzz::tap::{StreamTap, last_boundary};
use libfuzzer_sys::fuzz_target;

/// Where the last blank line ends, reading forwards.
fn after_the_last_blank_line(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    let mut last = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        // A lone "\r\n" at the front may end a line that an earlier chunk began.
        if line == b"\n" || line == b"\r\n" && end > line.len() {
            last = Some(end);
        }
    }
    last
}

fuzz_target!(|bytes: &[u8]| {
    let read = |size: usize| {
        let mut tap = StreamTap::default();
        bytes.chunks(size).for_each(|chunk| tap.look(chunk));
        (tap.usage, tap.finished)
    };
    let whole = read(bytes.len().max(1));
    let some = bytes.first().map_or(1, |first| usize::from(*first).max(1));
    for size in [1, 2, some] {
        assert_eq!(read(size), whole, "in pieces of {size}");
    }
    assert_eq!(last_boundary(bytes), after_the_last_blank_line(bytes));
});
