use proptest::prelude::*;

use super::*;

const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":12,"cache_read_input_tokens":5,"#,
    r#""cache_creation":{"ephemeral_5m_input_tokens":1},"output_tokens":1}}}"#,
    "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n: a comment\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"event: message_delta\\n\"}}\n\n",
    "event: some_day_new\r\ndata: {}\r\n\r\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":34,\"server_tool_use\":{\"web_search_requests\":2}}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn expected() -> Usage {
    Usage {
        input_tokens: Some(12),
        output_tokens: Some(34),
        cache_creation_input_tokens: None,
        cache_read_input_tokens: Some(5),
        cache_creation: Some(super::super::usage::CacheCreation {
            ephemeral_5m_input_tokens: Some(1),
            ephemeral_1h_input_tokens: None,
        }),
        server_tool_use: Some(super::super::usage::ServerToolUse { web_search_requests: Some(2) }),
    }
}

fn without_names(stream: &str) -> String {
    stream.lines().filter(|line| !line.starts_with("event:")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn usage_is_read_wherever_the_stream_is_cut() {
    for size in 1..STREAM.len() {
        let mut tap = StreamTap::default();
        STREAM.as_bytes().chunks(size).for_each(|chunk| tap.look(chunk));
        assert_eq!((tap.usage, tap.finished), (expected(), true), "chunks of {size}");
    }
}

#[test]
fn a_stream_without_event_names_is_understood() {
    let mut tap = StreamTap::default();
    tap.look(without_names(STREAM).as_bytes());
    assert_eq!((tap.usage, tap.finished), (expected(), true));
}

#[test]
fn a_long_dull_line_is_not_kept() {
    let mut tap = StreamTap::default();
    tap.look(b"event: content_block_delta\ndata: {");
    for _ in 0..1000 {
        tap.look(&[b'x'; 1000]);
    }
    assert!(tap.partial.capacity() < 10_000);
    tap.look(&STREAM.as_bytes()[STREAM.len() - 200..]);
    assert!(tap.finished);
}

#[test]
fn boundaries_are_after_blank_lines() {
    assert_eq!(last_boundary(b"data: a\n\n"), Some(9));
    assert_eq!(last_boundary(b"data: a\n\ndata: b\n"), Some(9));
    assert_eq!(last_boundary(b"data: a\r\n\r\ndata"), Some(11));
    assert_eq!(last_boundary(b"data: a\n"), None);
    assert_eq!(last_boundary(b""), None);
    assert_eq!(last_boundary(b"\n"), Some(1));
}

#[test]
fn a_line_is_read_or_passed_over_whole_wherever_it_is_cut() {
    let name_after_spaces = format!("event:{}message_stop\n\n", " ".repeat(300));
    let data = |spaces| {
        let (spaces, rest) = (" ".repeat(spaces), "y".repeat(300));
        format!("data: {{{spaces}\"type\":\"message_delta\",\"usage\":{{\"output_tokens\":9}},\"x\":\"{rest}\"}}\n\n")
    };
    for text in (90..130).map(data).chain([name_after_spaces]) {
        let (mut whole, mut cut) = (StreamTap::default(), StreamTap::default());
        whole.look(text.as_bytes());
        text.as_bytes().chunks(1).for_each(|byte| cut.look(byte));
        assert_eq!((cut.usage, cut.finished), (whole.usage, whole.finished), "{text}");
    }
}

proptest! {
    #[test]
    fn cuts_never_change_what_is_read(bytes in prop::collection::vec(prop_oneof![
        Just(b"event: message_delta\n".to_vec()), Just(b"data: {\"usage\":{\"output_tokens\":9}}\n".to_vec()), Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()), Just(b"event: content_block_delta\n".to_vec()), Just(b"data: ".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40)], 0..30), cut in 1usize..50) {
        let bytes = bytes.concat();
        let (mut whole, mut cuts) = (StreamTap::default(), StreamTap::default());
        whole.look(&bytes);
        bytes.chunks(cut).for_each(|chunk| cuts.look(chunk));
        let read = |tap: StreamTap| (tap.usage, tap.finished, tap.is_said, tap.text_bytes, tap.kind, tap.event_bytes);
        prop_assert_eq!(read(whole), read(cuts));
    }
}

#[test]
fn the_text_of_a_stream_that_says_nothing_more_is_weighed_wherever_it_is_cut() {
    let delta = |text: &str| {
        let data = serde_json::json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
        format!("event: content_block_delta\ndata: {data}\n\n")
    };
    let start = &STREAM[..STREAM.find("event: ping").unwrap()];
    let said = &STREAM[STREAM.find("event: message_delta").unwrap()..];
    let stream = [start, &delta(&"x".repeat(300)), &delta("y"), &delta("")].concat();
    // Some providers and proxies leave the names away.
    for (stream, said) in [(stream.clone(), said.to_owned()), (without_names(&stream), without_names(said))] {
        for size in [1, 7, 64, 65, 300, stream.len()] {
            let mut tap = Tap::Stream(StreamTap::default());
            stream.as_bytes().chunks(size).for_each(|chunk| tap.look(chunk));
            assert_eq!(tap.unsaid(), Some(301), "chunks of {size} of {stream}");
            tap.look(said.as_bytes());
            assert_eq!(tap.unsaid(), None, "its usage came");
        }
    }
}

#[test]
fn what_other_models_used_is_read_with_the_usage_that_says_so() {
    let frame = r#"{"type":"message_delta","usage":{"output_tokens":9,"iterations":[
        {"type":"advisor_message","model":"claude-opus-5","input_tokens":5,"output_tokens":6}]}}"#
        .replace('\n', "");
    for name in ["event: message_delta\n", ""] {
        let mut tap = StreamTap::default();
        format!("{name}data: {frame}\n\n").as_bytes().chunks(7).for_each(|chunk| tap.look(chunk));
        assert_eq!(tap.usage.output_tokens, Some(9));
        let told = tap.beside.told_apart("own", |name| Some(name.to_owned()));
        assert_eq!((told.len(), told["claude-opus-5"].input_tokens, told["claude-opus-5"].output_tokens), (1, 5, 6));
    }
}

#[test]
fn a_json_reply_that_broke_off_has_said_nothing() {
    let reply = br#"{"content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#;
    for length in [0, 20, reply.len()] {
        let mut tap = Tap::Json(JsonTap::default());
        tap.look(&reply[..length]);
        assert_eq!(tap.unsaid(), (length < reply.len()).then_some(length as u64));
    }
}
