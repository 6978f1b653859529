//! Events of an object: one for each turn it takes, and none for staying as it is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

/// The API's bound on a note.
const NOTE: usize = 1024;

/// What happened, in the words of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

pub struct Events {
    recorder: Recorder,
    /// By the object's uid, and the matter.
    last: Mutex<HashMap<String, HashMap<&'static str, Turn>>>,
}

impl Events {
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: "claude-gateway-operator".to_owned(), instance };
        Self { recorder: Recorder::new(client, reporter), last: Mutex::default() }
    }

    /// Publishes the turn unless it is the object's last one already. A failure to publish fails nothing.
    pub async fn publish(&self, object: &ObjectReference, turn: Turn) {
        self.publish_of(object, "", turn).await;
    }

    /// The same for one matter of several that an object has.
    pub async fn publish_of(&self, object: &ObjectReference, matter: &'static str, turn: Turn) {
        if !self.turned(object.uid.as_deref().unwrap_or_default(), matter, &turn) {
            return;
        }
        let type_ = if turn.warning { EventType::Warning } else { EventType::Normal };
        let note = Some(shortened(&turn.note));
        let event = Event { type_, reason: turn.reason, note, action: "Reconcile".to_owned(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::warn!(%error, object = object.name, "an event could not be written");
        }
    }

    /// The first turn of an object since this process began is one only if it is bad: a start is no news.
    fn turned(&self, uid: &str, matter: &'static str, turn: &Turn) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.entry(uid.to_owned()).or_default().insert(matter, turn.clone()) {
            Some(before) => before.reason != turn.reason || before.warning != turn.warning,
            None => turn.warning,
        }
    }

    pub fn forget(&self, uid: &str) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn shortened(note: &str) -> String {
    note.chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= NOTE).then_some(c)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(warning: bool, reason: &str) -> Turn {
        Turn { warning, reason: reason.to_owned(), note: String::new() }
    }

    #[tokio::test]
    async fn b6_equal_failures_are_one_turn_and_a_start_is_none() {
        let (service, _server) =
            tower_test::mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
        let events = Events::new(Client::new(service, "default"), None);
        assert!(!events.turned("a", "", &turn(false, "Ready")));
        assert!(events.turned("b", "", &turn(true, "SecretMissing")));
        assert!((0..100).all(|_| !events.turned("b", "", &turn(true, "SecretMissing"))));
        assert!(events.turned("b", "", &turn(false, "Ready")));
    }

    #[test]
    fn a_note_is_cut_at_a_letter() {
        assert_eq!(shortened(&"ä".repeat(600)).len(), 1024);
    }
}
