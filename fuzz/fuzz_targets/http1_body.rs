//! Wherever a network cuts a reply's body, its content and its end are the same, and what was content once is content still
//! when it is sent in other chunks.

#![no_main]

use claude_gateway_fuzz::http1_body::{Body, Framing};
use libfuzzer_sys::fuzz_target;

fn read(framing: Framing, bytes: &[u8], size: usize) -> (Vec<u8>, [bool; 3]) {
    let (mut body, mut content) = (Body::new(framing), Vec::new());
    bytes.chunks(size).for_each(|piece| body.decode(piece, &mut content));
    (content, [body.is_over(), body.is_over_and_done(), body.is_broken()])
}

fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in content.chunks(size) {
        text.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\nx: y\r\n\r\n");
    text
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let size = usize::from(*first).max(1);
    for framing in [Framing::Chunked, Framing::Counted(u64::from(*first)), Framing::UntilClose] {
        let whole = read(framing, bytes, bytes.len().max(1));
        assert!(whole.0.len() <= bytes.len());
        for size in [1, 2, size] {
            assert_eq!(read(framing, bytes, size), whole, "in pieces of {size}");
        }
    }
    let (content, ends) = read(Framing::Chunked, &chunked(bytes, size), 7);
    assert_eq!((content.as_slice(), ends), (bytes, [true, true, false]));
});
