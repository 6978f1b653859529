//! An event stream, event by event, with every byte accounted for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// Reads until the body ends; a body that breaks off is an error, after the events that came whole.
pub struct Events {
    body: Incoming,
    buffer: BytesMut,
    seen: BytesMut,
}

/// One event as it stood in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
    /// All its bytes, the empty line included.
    pub raw: Bytes,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), seen: BytesMut::new() }
    }

    /// The next event; `None` at a proper end.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                return Ok(Some(Event::parse(self.buffer.split_to(end + 2).freeze())?));
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.context("60 s of silence in a stream")?;
            let Some(frame) = frame else {
                ensure!(self.buffer.is_empty(), "the stream ended inside an event");
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.buffer.extend_from_slice(&data);
                self.seen.extend_from_slice(&data);
            }
        }
    }

    /// All that are left.
    pub async fn rest(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }

    /// Every byte that has arrived, in order.
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }
}

impl Event {
    fn parse(raw: Bytes) -> Result<Self> {
        let text = std::str::from_utf8(&raw)?;
        let field = |name: &str| {
            let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        Ok(Self { name: field("event"), data: field("data"), raw: raw.clone() })
    }

    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.data)?)
    }
}

/// The text that a stream's deltas spell.
pub fn text_of(events: &[Event]) -> String {
    let deltas = events.iter().filter_map(|event| event.json().ok());
    deltas.filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned)).collect()
}
