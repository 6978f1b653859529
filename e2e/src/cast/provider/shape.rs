//! Replies that a request orders for itself, so that one provider serves every row of a benchmark.
//!
//! The order stands near the start of the body, in `metadata.user_id`: every proxy passes that on unchanged.

use std::time::Duration;

use super::{
    message::{Message, Usage},
    reply::Reply,
};

/// Where an order may begin: the rest of a large body is not searched.
const WITHIN: usize = 512;
const MARK: &[u8] = b"\"cast/";

/// What a request wants to be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One JSON object with a text of so many bytes.
    Json { bytes: usize },
    /// A stream of so many text deltas, so many milliseconds apart.
    Stream { deltas: usize, every_ms: u64 },
    /// A reply that comes to just so many tokens: a stream of so many text deltas, or one JSON object without a pause.
    Counted { input: u64, output: u64, deltas: usize, every_ms: Option<u64> },
}

impl Shape {
    /// The order, as the value of `metadata.user_id`.
    pub fn order(self) -> String {
        match self {
            Self::Json { bytes } => format!("cast/json/{bytes}"),
            Self::Stream { deltas, every_ms } => format!("cast/stream/{deltas}/{every_ms}"),
            Self::Counted { input, output, deltas, every_ms } => {
                let every = every_ms.map_or_else(|| "whole".to_owned(), |every| every.to_string());
                format!("cast/counted/{deltas}/{every}/{input}/{output}")
            }
        }
    }

    pub(super) fn ordered_by(body: &[u8]) -> Option<Self> {
        let head = &body[..body.len().min(WITHIN)];
        let start = head.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
        let end = head[start..].iter().position(|byte| *byte == b'"')? + start;
        let mut words = std::str::from_utf8(&head[start..end]).ok()?.split('/');
        match (words.next()?, words.next()?.parse().ok()?, words.next()) {
            ("json", bytes, None) => Some(Self::Json { bytes }),
            ("stream", deltas, Some(every)) => Some(Self::Stream { deltas, every_ms: every.parse().ok()? }),
            ("counted", deltas, Some(every)) => {
                let (input, output) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let every_ms = if every == "whole" { None } else { Some(every.parse().ok()?) };
                Some(Self::Counted { input, output, deltas, every_ms })
            }
            _ => None,
        }
    }

    pub fn is_stream(self) -> bool {
        matches!(self, Self::Stream { .. } | Self::Counted { every_ms: Some(_), .. })
    }

    /// Whether the same order comes again and again, so that its reply is worth keeping.
    pub(super) fn is_common(self) -> bool {
        !matches!(self, Self::Counted { .. })
    }

    /// The reply, also known to whoever checks it.
    pub fn reply(self) -> Reply {
        match self {
            Self::Json { bytes: _ } => Reply::message(&self.message()),
            Self::Counted { every_ms: None, .. } => Reply::message(&self.message()),
            Self::Stream { every_ms, .. } | Self::Counted { every_ms: Some(every_ms), .. } => {
                Reply::stream(&self.message()).every(Duration::from_millis(every_ms))
            }
        }
    }

    /// What the reply says.
    pub fn message(self) -> Message {
        let message = Message::new("claude-sonnet-4-5");
        match self {
            Self::Json { bytes } => message.text(&"x".repeat(bytes)),
            Self::Stream { deltas, every_ms: _ } => message.deltas(deltas),
            Self::Counted { input, output, deltas, every_ms: _ } => {
                message.deltas(deltas).usage(Usage { input_tokens: input, output_tokens: output, ..Usage::default() })
            }
        }
    }
}
