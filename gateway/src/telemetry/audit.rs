//! Audit events: one JSON line each, with `ts`, `evt` and `request_id`; never a secret, never content.

use std::{cell::RefCell, sync::Arc};

use serde::Serialize;

use super::lines::Lines;
use crate::clock::{Clock, Stamp};

/// Writes audit events; clones share the sink.
#[derive(Clone)]
pub struct Audit {
    lines: Lines,
    clock: Arc<dyn Clock>,
}

thread_local! {
    /// Text of the second in which this thread wrote last.
    static NOW: RefCell<Stamp> = const { RefCell::new(Stamp::new()) };
}

impl Audit {
    pub fn new(lines: Lines, clock: Arc<dyn Clock>) -> Self {
        Self { lines, clock }
    }

    /// `evt` is a plain word. `fields` serialises to a JSON object, whose keys stand beside the three that every event has; of
    /// anything else no line could be made, and none is.
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
        let now = self.clock.now();
        let mut line = Vec::with_capacity(1024);
        line.extend_from_slice(b"{\"ts\":\"");
        NOW.with_borrow_mut(|stamp| line.extend_from_slice(stamp.in_milliseconds(now).as_bytes()));
        line.extend_from_slice(b"\",\"evt\":\"");
        line.extend_from_slice(evt.as_bytes());
        line.extend_from_slice(b"\",\"request_id\":");
        sonic_rs::to_writer(&mut line, request_id).ok()?;
        // One object behind the other, made one: `serde(flatten)` writes the same of objects, at twice the cost.
        let at = line.len();
        sonic_rs::to_writer(&mut line, &fields).ok()?;
        match &line[at..] {
            b"{}" => line.truncate(at),
            [b'{', _, .., b'}'] => {
                line[at] = b',';
                line.pop();
            }
            _ => return None,
        }
        line.push(b'}');
        line.push(b'\n');
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{super::lines::tests::Shared, *};
    use crate::clock::SystemClock;

    #[test]
    fn an_event_is_one_object_with_its_fields_beside_what_every_event_has() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::to(Shared(written.clone())).unwrap();
        let audit = Audit::new(lines.clone(), Arc::new(SystemClock));
        audit.event("some", "req_1", serde_json::json!({"a": {"b": "\"}{"}, "c": []}));
        audit.event("none", "req_2", serde_json::json!({}));
        audit.event("no object", "req_3", serde_json::json!([1]));
        lines.flush(std::time::Duration::from_secs(10));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let plain: Vec<_> = events.iter().map(|event| (&event["evt"], &event["request_id"])).collect();
        assert_eq!(plain, [(&"some".into(), &"req_1".into()), (&"none".into(), &"req_2".into())]);
        assert_eq!((&events[0]["a"]["b"], &events[0]["c"]), (&"\"}{".into(), &serde_json::json!([])));
        assert!(events.iter().all(|event| event["ts"].is_string()));
    }
}
