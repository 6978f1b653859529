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
        let free = !row.is_claimed(now);
        if current && free {
            row.claimed_until = Some(now + held_for);
        }
        Standing {
            in_grace: row.advanced_at.is_some_and(|at| now.duration_since(at) < grace),
            claimed_by_us: current && free,
            ..row.standing.clone()
        }
    }

    /// Where the session stands while a claim of the outage is out, the store back or not: the store knows nothing of that
    /// claim and would give another.
    pub(super) fn held(&self, session: &SessionId) -> Option<Standing> {
        let now = Instant::now();
        let rows = self.rows();
        let row = rows.get(session).filter(|row| row.is_claimed(now))?;
        Some(Standing { claimed_by_us: false, ..row.standing.clone() })
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

    /// The store knows what this pod knew, but for the claims that are still out.
    pub(super) fn over(&self) {
        let now = Instant::now();
        self.rows().retain(|_, row| row.is_claimed(now));
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

    fn is_claimed(&self, now: Instant) -> bool {
        self.claimed_until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{
        identity::{Person, Subject},
        session::refresh_token::Content,
    };

    const HELD_FOR: Duration = Duration::from_secs(600);
    const GRACE: Duration = Duration::from_secs(60);

    fn presented() -> Presented {
        let content = Content {
            session: SessionId::from_bytes([1; 16]),
            started_at: DateTime::UNIX_EPOCH,
            generation: 1,
            person: Person { sub: Subject("u-1".into()), email: None, name: None, groups: vec![] },
            upstream: "x".into(),
        };
        Presented { content, hash: [1; 32] }
    }

    #[test]
    fn a_claim_outlives_the_outage_until_it_is_given_back() {
        let (outage, presented) = (Outage::default(), presented());
        let session = presented.content.session;
        assert!(outage.held(&session).is_none());
        assert!(outage.claim(&presented, HELD_FOR, GRACE).claimed_by_us);
        outage.over();
        assert!(outage.held(&session).is_some_and(|standing| !standing.claimed_by_us));
        outage.release(&session);
        assert!(outage.held(&session).is_none());
        outage.over();
        assert!(outage.rows().is_empty());
    }
}
