//! Replies that a request orders for itself, so that one provider serves every row of a benchmark.
//!
//! The order stands near the start of the body, in `metadata.user_id`: every proxy passes that on unchanged.

use std::time::Duration;

use super::{message::Message, reply::Reply};

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
}

impl Shape {
    /// The order, as the value of `metadata.user_id`.
    pub fn order(self) -> String {
        match self {
            Self::Json { bytes } => format!("cast/json/{bytes}"),
            Self::Stream { deltas, every_ms } => format!("cast/stream/{deltas}/{every_ms}"),
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
            _ => None,
        }
    }

    /// The reply, also known to whoever checks it.
    pub fn reply(self) -> Reply {
        match self {
            Self::Json { bytes: _ } => Reply::message(&self.message()),
            Self::Stream { deltas: _, every_ms } => {
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
        }
    }
}
