use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn read(text: &[u8], size: usize) -> JsonTap {
    let mut tap = JsonTap::default();
    text.chunks(size).for_each(|chunk| tap.look(chunk));
    tap
}

#[test]
fn a_json_replys_usage_is_read_wherever_it_is_cut() {
    let text = br#" {"id":"msg_1\"}","content":[{"usage":1, "t":["{"]}], "u\u0073age" :
        {"input_tokens":3,"output_tokens":4,"unknown":{"a":[1,"]"]}} ,"n":1.5e3,"stop":null}"#;
    for size in 1..text.len() {
        let tap = read(text, size);
        assert_eq!((tap.usage.input_tokens, tap.usage.output_tokens), (Some(3), Some(4)), "pieces of {size}");
        assert!(tap.is_said && tap.length == text.len());
    }
    assert_eq!(read(b"{\"input_tokens\":7}", 4).usage.input_tokens, Some(7), "a count_tokens reply");
}

#[test]
fn the_usage_is_known_before_its_last_byte_is_passed_on() {
    let text = br#"{"usage":{"output_tokens":4},"content":[]}"#;
    let end = text.iter().position(|byte| *byte == b'}').unwrap() + 2;
    assert_eq!(read(&text[..end], 1).usage.output_tokens, Some(4));
}

#[test]
fn nothing_of_a_large_reply_is_kept() {
    let mut tap = JsonTap::default();
    tap.look(br#"{"content":[{"type":"text","text":""#);
    for _ in 0..1_000 {
        let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
        tap.look(&chunk);
        assert!(chunk.is_unique(), "the tap shares it");
    }
    tap.look(br#""}],"a key without end "#);
    for _ in 0..100 {
        tap.look(&[b'k'; 1000]);
    }
    assert!(tap.begun.capacity() <= 2 * LONGEST_KEY);
    tap.look(br#"":1,"usage":{"output_tokens":9,"text":""#);
    for _ in 0..100 {
        tap.look(&[b'y'; 1000]);
    }
    assert!(tap.begun.capacity() <= 2 * LARGEST);
    tap.look(br#""},"usage":{"output_tokens":8}}"#);
    assert_eq!(tap.usage.output_tokens, Some(8));
}

#[test]
fn what_is_no_object_has_no_usage() {
    for text in [r#"["usage",{"output_tokens":1}]"#, r#""usage":{"output_tokens":1}"#, "", "{}", r#"{"usage"}"#] {
        assert_eq!(
            (read(text.as_bytes(), 3).usage, read(text.as_bytes(), 3).is_said),
            (Usage::default(), false),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn a_parser_reads_the_same(
        members in prop::collection::vec((prop_oneof![Just("usage"), Just("input_tokens"), Just("a\\\"b")], 0i64..9, any::<bool>()), 0..5),
        size in 1usize..40,
    ) {
        let member = |(key, number, is_object): &(&str, i64, bool)| match (*key, is_object) {
            ("usage", _) => format!(r#""{key}": {{"output_tokens": {number}, "x": ["}}", {{}}]}}"#),
            (_, true) => format!(r#""{key}":{{"usage":{{"output_tokens":77}},"b":"\\\"}}"}}"#),
            (_, false) => format!(r#""{key}" : {number}"#),
        };
        let text = format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(" ,"));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read(text.as_bytes(), size).usage.output_tokens, parsed["usage"]["output_tokens"].as_u64());
    }

    #[test]
    fn cuts_never_change_what_is_read(text in r#"([{}\[\]",:\\ 0-9a-z]|"usage":|\{"output_tokens":5\}){0,60}"#, size in 1usize..9) {
        let (whole, cut) = (read(text.as_bytes(), usize::MAX), read(text.as_bytes(), size));
        prop_assert_eq!((whole.usage, whole.is_said, whole.place), (cut.usage, cut.is_said, cut.place));
    }
}
