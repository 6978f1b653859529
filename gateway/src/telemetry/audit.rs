//! One JSON line for each thing that somebody was allowed or refused: `ts`, `evt`, `request_id`, and the event's own fields.
//!
//! Invariant: writing a line never waits, and no line carries a secret or content; the caller chooses fields accordingly.

use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Map, Value};

use crate::clock::Clock;

/// Takes finished lines and must not block.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Clone)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    sink: Sink,
}

impl Audit {
    pub fn new(clock: Arc<dyn Clock>, sink: Sink) -> Self {
        Self { clock, sink }
    }

    /// `fields` is an object; its members follow the three that every line has.
    pub fn event(&self, name: &'static str, request_id: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("ts".to_owned(), self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true).into());
        line.insert("evt".to_owned(), name.into());
        line.insert("request_id".to_owned(), request_id.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        (self.sink)(Value::Object(line).to_string());
    }
}
