//! What the provider's threads and the test share: the script still to be played, and what was seen.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    persona::Persona,
    reply::{Reply, Script},
    request::{Credential, Received},
    shape::Shape,
};

pub(super) struct Stage {
    /// Off for a benchmark: nothing is kept and bodies are not parsed.
    inspect: bool,
    credential: Credential,
    persona: Persona,
    acts: Mutex<Acts>,
    shapes: Mutex<HashMap<Shape, Arc<Script>>>,
    pub(super) answered: watch::Sender<usize>,
    pub(super) abandoned: watch::Sender<usize>,
    pub(super) connections: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Acts {
    pub(super) replies: VecDeque<Reply>,
    /// What a path answers always, whatever the script says.
    pub(super) fixed: HashMap<String, Reply>,
    pub(super) received: Vec<Received>,
    pub(super) faults: Vec<String>,
}

impl Stage {
    pub(super) fn new(inspect: bool, credential: Credential, persona: Persona) -> Self {
        Self {
            inspect,
            credential,
            persona,
            acts: Mutex::default(),
            shapes: Mutex::default(),
            answered: watch::Sender::new(0),
            abandoned: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
        }
    }

    pub(super) fn acts(&self) -> MutexGuard<'_, Acts> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides the answer, and remembers the question.
    pub(super) fn answer(&self, request: Received) -> Arc<Script> {
        if let Some(shape) = Shape::ordered_by(&request.body) {
            if !shape.is_common() {
                return shape.reply().script();
            }
            let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
            return shapes.entry(shape).or_insert_with(|| shape.reply().script()).clone();
        }
        if !self.inspect {
            return self.persona.answer(&request).script();
        }
        let script = self.scripted(&request).script();
        self.acts().received.push(request);
        self.answered.send_modify(|count| *count += 1);
        script
    }

    pub(super) fn connection_opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn scripted(&self, request: &Received) -> Reply {
        let mut acts = self.acts();
        if let Some(reply) = acts.fixed.get(&request.path) {
            return reply.clone();
        }
        let faults = request.faults(&self.credential);
        if let Some(fault) = faults.first() {
            let reply = match fault.ends_with("is not the operator's") {
                true => Reply::error(401, "authentication_error", "invalid x-api-key"),
                false => Reply::error(400, "invalid_request_error", fault),
            };
            acts.faults.extend(faults);
            return reply;
        }
        match request.path.as_str() {
            "/v1/messages" | "/v1/messages/count_tokens" => acts.replies.pop_front(),
            _ => None,
        }
        .unwrap_or_else(|| self.persona.answer(request))
    }
}
