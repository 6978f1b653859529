//! One answer of the provider: what it says, how slowly, and how it ends. Well-behaved or not.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::message::{Message, error};

/// What the operator's account looks like in the provider's headers; a gateway must let none of it through.
const OPERATORS_OWN: [(&str, &str); 3] = [
    ("anthropic-organization-id", "org-of-the-operator"),
    ("anthropic-ratelimit-requests-remaining", "4999"),
    ("request-id", "req_of_the_provider"),
];

#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    every: Duration,
    before: Duration,
    end: End,
}

#[derive(Debug, Clone)]
enum Body {
    /// With a `content-length`.
    Whole(Bytes),
    /// In chunks, one each.
    Frames(Vec<Bytes>),
    /// Instead of any HTTP.
    Raw(Bytes),
}

/// What happens after the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The connection serves the next request.
    Properly,
    /// The connection closes; the body's own end is never said.
    Cut,
    /// Nothing, for ever.
    Hang,
}

/// A reply in bytes and waits: made once, played often.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

#[derive(Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
}

impl Reply {
    /// The message's events, all at once unless [`every`](Self::every) says otherwise.
    pub fn stream(message: &Message) -> Self {
        Self::frames(message.frames())
    }

    /// Any bytes as an event stream, each element a chunk of its own.
    pub fn frames(frames: Vec<Bytes>) -> Self {
        Self::new(200, "text/event-stream; charset=utf-8", Body::Frames(frames)).header("cache-control", "no-cache")
    }

    pub fn message(message: &Message) -> Self {
        Self::json(200, &message.json())
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    pub fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, content_type, Body::Whole(body.into()))
    }

    /// The provider's error envelope.
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self::json(status, &error(kind, message))
    }

    /// These bytes in place of a response, then the end of the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { end: End::Cut, ..Self::new(0, "", Body::Raw(bytes.into())) }
    }

    /// No answer at all; the connection stays open.
    pub fn hang() -> Self {
        Self { end: End::Hang, ..Self::new(0, "", Body::Raw(Bytes::new())) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A pause between any two frames.
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// A pause before the response head.
    pub fn after(mut self, pause: Duration) -> Self {
        self.before = pause;
        self
    }

    /// The body in frames of one byte, `pause` apart.
    pub fn byte_by_byte(mut self, pause: Duration) -> Self {
        let bytes = match &self.body {
            Body::Whole(bytes) | Body::Raw(bytes) => bytes.clone(),
            Body::Frames(frames) => frames.concat().into(),
        };
        self.body = Body::Frames((0..bytes.len()).map(|at| bytes.slice(at..at + 1)).collect());
        self.every(pause)
    }

    /// The connection breaks after the first `frames` of a stream.
    pub fn cut_after(mut self, frames: usize) -> Self {
        if let Body::Frames(all) = &mut self.body {
            all.truncate(frames);
        }
        self.end = End::Cut;
        self
    }

    /// The stream falls silent after the first `frames`, and stays open.
    pub fn stall_after(self, frames: usize) -> Self {
        Self { end: End::Hang, ..self.cut_after(frames) }
    }

    fn new(status: u16, content_type: &str, body: Body) -> Self {
        let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
        headers.extend(OPERATORS_OWN.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self { status, headers, body, every: Duration::ZERO, before: Duration::ZERO, end: End::Properly }
    }

    pub(super) fn script(&self) -> Arc<Script> {
        let mut script = Script { steps: Vec::new(), end: self.end };
        script.wait(self.before);
        match &self.body {
            Body::Raw(bytes) => script.send(bytes),
            Body::Whole(bytes) => {
                script.send(&self.head(&format!("content-length: {}", bytes.len())));
                script.send(bytes);
            }
            Body::Frames(frames) => {
                script.send(&self.head("transfer-encoding: chunked"));
                for (place, frame) in frames.iter().enumerate() {
                    script.wait(if place == 0 { Duration::ZERO } else { self.every });
                    script.send(&chunk(frame));
                }
                if self.end == End::Properly {
                    script.send(b"0\r\n\r\n");
                }
            }
        }
        Arc::new(script)
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut head = format!("HTTP/1.1 {} {}\r\n{framing}\r\n", self.status, reason.unwrap_or("Said"));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Script {
    /// Joins what is sent without a pause between, so that it leaves in one write.
    fn send(&mut self, bytes: &[u8]) {
        if let Some(Step::Send(last)) = self.steps.last_mut() {
            last.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            self.steps.push(Step::Send(bytes.to_vec()));
        }
    }

    fn wait(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.steps.push(Step::Wait(pause));
        }
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
