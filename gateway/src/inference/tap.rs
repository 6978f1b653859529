//! Reads the usage of a reply as it goes by, without parsing the rest or holding anything back.
//!
//! Invariant: a tap only looks. Whatever a provider sends, nothing here fails, and a frame that is not understood is passed
//! on like any other.

use bytes::Bytes;
use memchr::{memchr, memmem, memrchr};
use serde::Deserialize;

use super::{scan, usage::Usage};

/// A JSON reply larger than this is passed on unread.
const LARGEST_JSON: usize = 16 * 1024 * 1024;

/// What a reply's bytes are, by its `content-type`.
#[derive(Debug)]
pub enum Tap {
    Stream(StreamTap),
    Json(JsonTap),
    Blind,
}

impl Tap {
    pub fn usage(&mut self) -> Usage {
        match self {
            Self::Stream(tap) => tap.usage,
            Self::Json(tap) => tap.usage(),
            Self::Blind => Usage::default(),
        }
    }
}

/// Where the last whole event of `bytes` ends: after its blank line (HTML Living Standard, "Server-sent events").
pub fn last_boundary(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    while let Some(newline) = memrchr(b'\n', &bytes[..end]) {
        let before = &bytes[..newline];
        if before.is_empty() || before.ends_with(b"\n") || before.ends_with(b"\n\r") {
            return Some(newline + 1);
        }
        end = newline;
    }
    None
}

/// Reads `message_start`, `message_delta` and `message_stop` of a server-sent event stream.
#[derive(Debug, Default)]
pub struct StreamTap {
    pub usage: Usage,
    /// `message_stop` or an `error` event came: the stream is whole.
    pub finished: bool,
    kind: Kind,
    /// A line that an earlier chunk began.
    partial: Vec<u8>,
    /// That line is of no interest; wait for its end.
    skipping: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Kind {
    /// No `event` field yet in this event.
    #[default]
    Unnamed,
    Usage,
    End,
    Other,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    usage: Option<Usage>,
}

impl StreamTap {
    /// Looks at the next bytes; chunks may be cut anywhere.
    pub fn look(&mut self, mut chunk: &[u8]) {
        while let Some(newline) = memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..newline], &chunk[newline + 1..]);
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() {
                self.line(line);
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole);
            }
            chunk = rest;
        }
        self.keep(chunk);
    }

    /// The beginning of a line, kept only while it may matter.
    fn keep(&mut self, beginning: &[u8]) {
        if self.skipping || beginning.is_empty() {
            return;
        }
        self.partial.extend_from_slice(beginning);
        if self.is_dull(&self.partial) {
            self.partial.clear();
            self.skipping = true;
        }
    }

    /// Whether a line that is this, or begins with this, is passed over. What is dull stays dull however the line goes on,
    /// so that a line is read or passed over whole, wherever it is cut.
    fn is_dull(&self, line: &[u8]) -> bool {
        let long = match self.kind {
            Kind::Usage => false,
            // Long enough to hold a field's name and, in data, the type of the frame.
            Kind::Unnamed => line.len() > 256 && !names_usage(line),
            Kind::End | Kind::Other => line.len() > 64,
        };
        long || line.len() > LARGEST_JSON
    }

    fn line(&mut self, line: &[u8]) {
        if self.is_dull(line) {
            return;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.finished |= self.kind == Kind::End;
            self.kind = Kind::Unnamed;
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.kind = match name.trim_ascii() {
                b"message_start" | b"message_delta" => Kind::Usage,
                b"message_stop" | b"error" => Kind::End,
                _ => Kind::Other,
            };
        } else if let Some(data) = line.strip_prefix(b"data:")
            && (self.kind == Kind::Usage || self.kind == Kind::Unnamed && names_usage(data))
        {
            self.data(data);
        } else if let Some(data) = line.strip_prefix(b"data:")
            && self.kind == Kind::Unnamed
            && names_end(data)
        {
            self.kind = Kind::End;
        }
    }

    fn data(&mut self, data: &[u8]) {
        let Ok(frame) = serde_json::from_slice::<Frame>(data) else { return };
        for usage in [frame.message.and_then(|message| message.usage), frame.usage].iter().flatten() {
            self.usage.update(usage);
        }
    }
}

/// For streams without `event` fields: the type stands at the front of the data.
fn names_usage(data: &[u8]) -> bool {
    let front = &data[..data.len().min(128)];
    memmem::find(front, b"\"message_start\"").is_some() || memmem::find(front, b"\"message_delta\"").is_some()
}

fn names_end(data: &[u8]) -> bool {
    let front = &data[..data.len().min(128)];
    memmem::find(front, b"\"message_stop\"").is_some() || memmem::find(front, b"\"type\":\"error\"").is_some()
}

/// Keeps a JSON reply's chunks (shared, not copied) until the end, then reads its `usage`.
#[derive(Debug, Default)]
pub struct JsonTap {
    chunks: Vec<Bytes>,
    length: usize,
}

impl JsonTap {
    pub fn look(&mut self, chunk: &Bytes) {
        self.length += chunk.len();
        if self.length <= LARGEST_JSON {
            self.chunks.push(chunk.clone());
        } else {
            self.chunks.clear();
        }
    }

    fn usage(&mut self) -> Usage {
        let joined;
        let text: &[u8] = match self.chunks.as_slice() {
            [one] => one,
            many => {
                joined = many.concat();
                &joined
            }
        };
        // A count_tokens reply has its one number at the top.
        let Ok([usage, counted]) = scan::members(text, ["usage", "input_tokens"]) else { return Usage::default() };
        let counted = counted.and_then(|span| serde_json::from_slice(&text[span]).ok());
        let reported = usage.and_then(|span| serde_json::from_slice::<Usage>(&text[span]).ok());
        reported.unwrap_or(Usage { input_tokens: counted, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
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
        let bare: String =
            STREAM.lines().filter(|line| !line.starts_with("event:")).map(|line| format!("{line}\n")).collect();
        let mut tap = StreamTap::default();
        tap.look(bare.as_bytes());
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
    fn a_json_replys_usage_is_read_across_chunks() {
        let text =
            r#"{"id":"msg_1","content":[{"usage":1}],"usage":{"input_tokens":3,"output_tokens":4,"unknown":{}}}"#;
        for size in 1..text.len() {
            let mut tap = JsonTap::default();
            text.as_bytes().chunks(size).for_each(|chunk| tap.look(&Bytes::copy_from_slice(chunk)));
            let usage = tap.usage();
            assert_eq!((usage.input_tokens, usage.output_tokens), (Some(3), Some(4)));
        }
        let mut counted = JsonTap::default();
        counted.look(&Bytes::from_static(b"{\"input_tokens\":7}"));
        assert_eq!(counted.usage().input_tokens, Some(7));
    }

    #[test]
    fn a_line_is_read_or_passed_over_whole_wherever_it_is_cut() {
        let name_after_spaces = format!("event:{}message_stop\n\n", " ".repeat(300));
        let data = |spaces| {
            let (spaces, rest) = (" ".repeat(spaces), "y".repeat(300));
            format!(
                "data: {{{spaces}\"type\":\"message_delta\",\"usage\":{{\"output_tokens\":9}},\"x\":\"{rest}\"}}\n\n"
            )
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
            Just(b"\r\n".to_vec()), prop::collection::vec(any::<u8>(), 0..40)], 0..30), cut in 1usize..50) {
            let bytes = bytes.concat();
            let (mut whole, mut cuts) = (StreamTap::default(), StreamTap::default());
            whole.look(&bytes);
            bytes.chunks(cut).for_each(|chunk| cuts.look(chunk));
            prop_assert_eq!((whole.usage, whole.finished), (cuts.usage, cuts.finished));
        }
    }
}
