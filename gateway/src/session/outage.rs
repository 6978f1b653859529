//! Sessions that were refreshed while the store was away: this pod stands in for their rows until the store has caught up.
//!
//! Invariant: what this pod renewed it renews only once, as the store would: same claim, same grace, same verdicts.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{SessionId, refresh_token::Presented};
use crate::store::session::{Advance, Standing};

#[derive(Default)]
pub(super) struct Outage {
    rows: Mutex<HashMap<SessionId, Row>>,
}

struct Row {
    standing: Standing,
    advanced_at: Option<Instant>,
    claimed_until: Option<Instant>,
}

impl Outage {
    /// The store's claim, word for word, on a row that the first authentic token makes.
    pub(super) fn claim(&self, presented: &Presented, held_for: Duration, grace: Duration) -> Standing {
        let now = Instant::now();
        let mut rows = self.rows();
        let row = rows.entry(presented.content.session).or_insert_with(|| Row::of(presented));
        let current =
            row.standing.token_hash == Some(presented.hash) || row.standing.generation < presented.content.generation;
        let free = row.claimed_until.is_none_or(|until| until <= now);
        if current && free {
            row.claimed_until = Some(now + held_for);
        }
        Standing {
            in_grace: row.advanced_at.is_some_and(|at| now.duration_since(at) < grace),
            claimed_by_us: current && free,
            ..row.standing.clone()
        }
    }

    pub(super) fn advance(&self, advance: &Advance) {
        let Advance { session, generation, previous_hash, token_hash, successor } = advance.clone();
        let standing = Standing {
            generation,
            token_hash: Some(token_hash),
            previous_hash: Some(previous_hash),
            successor: Some(successor),
            in_grace: false,
            claimed_by_us: false,
        };
        let row = Row { standing, advanced_at: Some(Instant::now()), claimed_until: None };
        self.rows().insert(session, row);
    }

    /// Gives a claim back unused.
    pub(super) fn release(&self, session: &SessionId) {
        if let Some(row) = self.rows().get_mut(session) {
            row.claimed_until = None;
        }
    }

    /// The store knows what this pod knew.
    pub(super) fn over(&self) {
        self.rows().clear();
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<SessionId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn of(presented: &Presented) -> Self {
        let standing = Standing {
            generation: presented.content.generation,
            token_hash: Some(presented.hash),
            previous_hash: None,
            successor: None,
            in_grace: false,
            claimed_by_us: false,
        };
        Self { standing, advanced_at: None, claimed_until: None }
    }
}
