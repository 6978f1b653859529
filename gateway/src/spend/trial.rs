//! A request on limits that are only watched. The gate is asked as if they were enforced, and nobody waits for what it says.
//!
//! Invariant: the verdict is the one that the same limits, enforced, would have given, unless the reply ends before the gate
//! has said it; then it is what this pod knows by itself.

use std::{sync::Arc, time::Instant};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::{Gate, Held, Needs, OverLimit};
use crate::identity::Subject;

pub struct Trial {
    gate: Arc<Gate>,
    subject: Subject,
    needs: Needs,
    outcome: Outcome,
}

enum Outcome {
    /// There was room at once.
    Held(Held),
    /// The store is asked for more.
    Asked(JoinHandle<Result<Held, OverLimit>>),
}

impl Trial {
    pub fn begin(gate: &Arc<Gate>, subject: Subject, needs: Needs) -> Self {
        let outcome = gate.hold_now(&subject, &needs).map_or_else(
            || {
                let (gate, subject) = (gate.clone(), subject.clone());
                Outcome::Asked(tokio::spawn(async move { gate.would_pass(&subject, &needs).await }))
            },
            Outcome::Held,
        );
        Self { gate: gate.clone(), subject, needs, outcome }
    }

    /// The reply is over, or there is none.
    pub fn end(self) -> Result<Held, OverLimit> {
        let Self { gate, subject, needs, outcome } = self;
        let asked = match outcome {
            Outcome::Held(held) => return Ok(held),
            Outcome::Asked(asked) => asked,
        };
        asked.abort();
        match asked.now_or_never() {
            Some(Ok(said)) => said,
            // What it may have held comes back with it.
            Some(Err(_)) | None => gate.by_what_is_known(&subject, &needs, Instant::now()),
        }
    }
}
