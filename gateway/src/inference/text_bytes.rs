//! How much text a request holds. Pictures and documents travel as base64, whose length says nothing of their tokens.
//!
//! JSON is not parsed: base64 is found as a long run of its alphabet, which no prose has. Text is passed over by looking at
//! one byte in four thousand.

/// A run at least twice as long covers two places that are looked at, whatever stands around it.
const STRIDE: usize = 4096;
const RUN: usize = 2 * STRIDE;
/// What a run counts for: about 1,600 tokens, the most that one picture is.
const PICTURE: usize = 6400;

pub fn text_bytes(body: &[u8]) -> usize {
    let (mut text, mut end, mut place) = (body.len(), 0, STRIDE);
    while let Some(byte) = body.get(place) {
        if !is_base64(*byte) {
            place += STRIDE;
            continue;
        }
        let before = body[end..place].iter().rev().take_while(|byte| is_base64(**byte)).count();
        let length = before + run(&body[place..]);
        if length >= RUN {
            text -= length - PICTURE;
        }
        end = place - before + length;
        place = (end / STRIDE + 1) * STRIDE;
    }
    text
}

/// How long the run at the beginning is; whole blocks are compared with vector instructions.
fn run(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let passed = blocks.iter().take_while(|block| block.iter().fold(true, |all, byte| all & is_base64(*byte))).count();
    let (passed, rest) = (passed * BLOCK, &bytes[passed * BLOCK..]);
    passed + rest.iter().take_while(|byte| is_base64(**byte)).count()
}

/// Either alphabet (RFC 4648, sections 4 and 5). `|` and `&` instead of branches, for the sake of the blocks.
fn is_base64(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    letter | digit | (byte == b'+') | (byte == b'/') | (byte == b'=') | (byte == b'-') | (byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_counts_whole() {
        let prose = "{\"text\": \"So it goes, line by line.\\n\"}".repeat(2_000);
        assert_eq!(text_bytes(prose.as_bytes()), prose.len());
        assert_eq!(text_bytes(b""), 0);
        assert_eq!(text_bytes("日本語の文章には空白がない。".repeat(1_000).as_bytes()), 42_000);
    }

    #[test]
    fn a_picture_counts_as_a_picture_wherever_it_stands() {
        for before in [0, 1, 17, STRIDE - 1, STRIDE, 3 * STRIDE + 5] {
            let (head, picture) = ("x ".repeat(before), "aB3+/_-=".repeat(RUN));
            let body = format!("{head}\"data\":\"{picture}\",\"text\":\"what is it?\"");
            assert_eq!(text_bytes(body.as_bytes()), body.len() - picture.len() + PICTURE, "after {before}");
        }
    }

    #[test]
    fn each_of_two_pictures_counts() {
        let picture = "Q".repeat(RUN);
        let body = format!("[\"{picture}\",\"{picture}\"]");
        assert_eq!(text_bytes(body.as_bytes()), body.len() - 2 * RUN + 2 * PICTURE);
    }

    #[test]
    fn a_long_word_is_text() {
        let word = "x".repeat(STRIDE - 1);
        let body = format!("\"{word}\" ").repeat(5);
        assert_eq!(text_bytes(body.as_bytes()), body.len());
    }

    proptest! {
        #[test]
        fn it_is_what_a_look_at_every_byte_finds(
            parts in prop::collection::vec((any::<bool>(), 0usize..3 * RUN), 0..8)
        ) {
            let body: Vec<u8> = parts
                .iter()
                .flat_map(|(dense, length)| (0..*length).map(|n| if *dense || n % 50 > 0 { b'A' } else { b' ' }).chain([b'"']))
                .collect();
            let runs = body.split(|byte| !is_base64(*byte)).map(<[u8]>::len).filter(|length| *length >= RUN);
            let saved: usize = runs.map(|length| length - PICTURE).sum();
            prop_assert_eq!(text_bytes(&body), body.len() - saved);
        }
    }
}
