//! Reads the usage of a reply as it goes by, without parsing the rest or holding anything back.
//!
//! Invariant: a tap only looks. Whatever a provider sends, nothing here fails, and a frame that is not understood is passed
//! on like any other.

use http::{HeaderMap, header};
use memchr::{memchr, memmem, memrchr};
use serde::Deserialize;

use super::{
    json_tap::JsonTap,
    usage::{Beside, Usage},
};

/// A line longer than this is passed on unread.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// What stands in a `content_block_delta` beside its text: at least so much.
const ENVELOPE: u64 =
    br#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#.len() as u64;

/// How nearly every event of a stream begins.
const CONTENT: &[u8] = b"event: content_block_delta\n";

/// What a reply's bytes are, by its `content-type`.
#[derive(Debug)]
pub enum Tap {
    Stream(StreamTap),
    Json(JsonTap),
    /// How many bytes went by.
    Blind(u64),
}

impl Tap {
    /// For a reply with these headers. What is encoded cannot be read.
    pub fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let plain = !headers.contains_key(header::CONTENT_ENCODING);
        if plain && kind.starts_with(b"text/event-stream") {
            Self::Stream(StreamTap::default())
        } else if plain && kind.starts_with(b"application/json") {
            Self::Json(JsonTap::default())
        } else {
            Self::Blind(0)
        }
    }

    /// Looks at the next bytes; chunks may be cut anywhere.
    pub fn look(&mut self, chunk: &[u8]) {
        match self {
            Self::Stream(tap) => tap.look(chunk),
            Self::Json(tap) => tap.look(chunk),
            Self::Blind(bytes) => *bytes += chunk.len() as u64,
        }
    }

    /// What the reply has come to so far; `None`: that cannot be read.
    pub fn usage(&self) -> Option<(Usage, &Beside)> {
        match self {
            Self::Stream(tap) => Some((tap.usage, &tap.beside)),
            Self::Json(tap) => Some((tap.usage, &tap.beside)),
            Self::Blind(_) => None,
        }
    }

    /// How many bytes of text went by, while the reply has not said what it came to as a whole.
    pub fn unsaid(&self) -> Option<u64> {
        match self {
            Self::Stream(tap) => (!tap.is_said).then_some(tap.text_bytes),
            Self::Json(tap) => (!tap.is_said).then_some(tap.length as u64),
            Self::Blind(bytes) => Some(*bytes),
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
    pub beside: Beside,
    /// `message_stop` or an `error` event came: the stream is whole.
    pub finished: bool,
    /// The last usage came.
    is_said: bool,
    /// Of the content that went by, what is text.
    text_bytes: u64,
    /// Of this event, while it may be content.
    event_bytes: u64,
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
    Content,
    Other,
}

#[derive(Deserialize)]
struct Frame<U> {
    message: Option<Message<U>>,
    usage: Option<U>,
}

#[derive(Deserialize)]
struct Message<U> {
    usage: Option<U>,
}

impl<U> Frame<U> {
    /// The earlier one first.
    fn usages(self) -> impl Iterator<Item = U> {
        self.message.and_then(|message| message.usage).into_iter().chain(self.usage)
    }
}

impl StreamTap {
    /// Looks at the next bytes; chunks may be cut anywhere.
    pub fn look(&mut self, mut chunk: &[u8]) {
        loop {
            if let Some((text_bytes, rest)) = self.is_between_events().then(|| plain_content(chunk)).flatten() {
                self.text_bytes += text_bytes;
                self.event_bytes = 0;
                chunk = rest;
                continue;
            }
            let Some(newline) = memchr(b'\n', chunk) else { break };
            let (line, rest) = (&chunk[..newline], &chunk[newline + 1..]);
            self.weigh(line);
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
        self.weigh(chunk);
        self.keep(chunk);
    }

    /// Nothing of an event has come that is of any matter.
    fn is_between_events(&self) -> bool {
        self.kind == Kind::Unnamed && self.partial.is_empty() && !self.skipping
    }

    /// A part of a line, or all of it.
    fn weigh(&mut self, line: &[u8]) {
        if matches!(self.kind, Kind::Content | Kind::Unnamed) {
            self.event_bytes += line.len() as u64;
        }
    }

    /// The beginning of a line, kept only while it may matter.
    fn keep(&mut self, beginning: &[u8]) {
        if self.skipping || beginning.is_empty() {
            return;
        }
        self.partial.extend_from_slice(beginning);
        if self.is_dull(&self.partial) {
            self.kind = unnamed_content(self.kind, &self.partial);
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
            Kind::End | Kind::Content | Kind::Other => line.len() > 64,
        };
        long || line.len() > LONGEST_LINE
    }

    fn line(&mut self, line: &[u8]) {
        self.kind = unnamed_content(self.kind, line);
        if self.is_dull(line) {
            return;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.finished |= self.kind == Kind::End;
            let weighed = std::mem::take(&mut self.event_bytes);
            if self.kind == Kind::Content {
                self.text_bytes += weighed.saturating_sub(ENVELOPE);
            }
            self.kind = Kind::Unnamed;
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.kind = match name.trim_ascii() {
                b"message_start" | b"message_delta" => Kind::Usage,
                b"message_stop" | b"error" => Kind::End,
                b"content_block_delta" => Kind::Content,
                _ => Kind::Other,
            };
            self.event_bytes = 0;
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
        let Ok(frame) = serde_json::from_slice::<Frame<Usage>>(data) else { return };
        self.is_said |= frame.usage.is_some_and(|usage| usage.output_tokens.is_some());
        frame.usages().for_each(|usage| self.usage.update(&usage));
        if Beside::may_be_in(data)
            && let Ok(frame) = serde_json::from_slice::<Frame<Beside>>(data)
        {
            frame.usages().for_each(|beside| self.beside.update(beside));
        }
    }
}

/// Where a whole event of content stands at the front, in its most common form: how much text is in it, and what follows it. What
/// reads lines would say the same, at four times the cost.
fn plain_content(chunk: &[u8]) -> Option<(u64, &[u8])> {
    let data = chunk.strip_prefix(CONTENT).filter(|data| data.starts_with(b"data:"))?;
    let newline = memchr(b'\n', data)?;
    let rest = data[newline + 1..].strip_prefix(b"\n")?;
    Some(((newline as u64).saturating_sub(ENVELOPE), rest))
}

/// As [`names_usage`]: without an `event` field, the data itself says that it is content.
fn unnamed_content(kind: Kind, line: &[u8]) -> Kind {
    let names_content = |data: &[u8]| names(data, b"\"content_block_delta\"") && !names_usage(data);
    let is_content = |line: &[u8]| line.strip_prefix(b"data:").is_some_and(names_content);
    if kind == Kind::Unnamed && is_content(line) { Kind::Content } else { kind }
}

/// For streams without `event` fields: the type stands at the front of the data.
fn names_usage(data: &[u8]) -> bool {
    names(data, b"\"message_start\"") || names(data, b"\"message_delta\"")
}

fn names_end(data: &[u8]) -> bool {
    names(data, b"\"message_stop\"") || names(data, b"\"type\":\"error\"")
}

fn names(data: &[u8], word: &[u8]) -> bool {
    memmem::find(&data[..data.len().min(128)], word).is_some()
}

#[cfg(test)]
mod tests;
