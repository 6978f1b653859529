//! Audit events: one JSON line each, with `ts`, `evt` and `request_id`; never a secret, never content.

use std::sync::Arc;

use chrono::SecondsFormat;
use serde::Serialize;

use super::lines::Lines;
use crate::clock::Clock;

/// Writes audit events; clones share the sink.
#[derive(Clone)]
pub struct Audit {
    lines: Lines,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
struct Event<'a, F> {
    ts: String,
    evt: &'static str,
    request_id: &'a str,
    #[serde(flatten)]
    fields: F,
}

impl Audit {
    pub fn new(lines: Lines, clock: Arc<dyn Clock>) -> Self {
        Self { lines, clock }
    }

    /// `fields` serialises to a JSON object; its keys stand beside the three that every event has.
    pub fn event(&self, evt: &'static str, request_id: &str, fields: impl Serialize) {
        if let Some(line) = self.line(evt, request_id, fields) {
            self.lines.write(line);
        }
    }

    /// An event that anybody can cause, as often as they like.
    pub fn event_of_stranger(&self, evt: &'static str, request_id: &str, fields: impl Serialize) {
        if let Some(line) = self.line(evt, request_id, fields) {
            self.lines.write_of_stranger(line);
        }
    }

    fn line(&self, evt: &'static str, request_id: &str, fields: impl Serialize) -> Option<Vec<u8>> {
        let ts = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut line = Vec::with_capacity(512);
        sonic_rs::to_writer(&mut line, &Event { ts, evt, request_id, fields }).ok()?;
        line.push(b'\n');
        Some(line)
    }
}
