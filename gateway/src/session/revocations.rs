//! What this pod knows to be revoked. Fed by the tick and by notifications; it only ever grows while a session could still
//! use what it holds, so a known revocation holds through an outage of the store.
//!
//! A cut-off is compared with the session's start, never with a token's: a token minted a moment after the cut-off, on a
//! pod that had not heard of it, belongs to a session that started before it.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use chrono::{DateTime, Utc};

use super::SessionId;
use crate::identity::Subject;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    Session(SessionId),
    Subject(Subject),
    Everyone,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub sequence: i64,
    pub revoked: Revoked,
    pub cut_off: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub struct Revocations {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<SessionId, DateTime<Utc>>,
    subjects: HashMap<Subject, DateTime<Utc>>,
    everyone: Option<DateTime<Utc>>,
    /// The newest sequence number up to which nothing is missing.
    sequence: i64,
}

impl Revocations {
    pub fn covers(&self, session: &SessionId, subject: &Subject, started_at: DateTime<Utc>) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.sessions.contains_key(session)
            || known.everyone.is_some_and(|cut_off| started_at <= cut_off)
            || known.subjects.get(subject).is_some_and(|cut_off| started_at <= *cut_off)
    }

    /// Whether this very session was ended.
    pub fn has_ended(&self, session: &SessionId) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(session)
    }

    /// Up to where this pod has read the table.
    pub fn sequence(&self) -> i64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).sequence
    }

    /// Everything after [`Self::sequence`], read up to `head`. A head that went back (a restored database) makes the pod
    /// read the whole table again; what it knew stays known.
    pub fn learn(&self, rows: Vec<Revocation>, head: i64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            known.add(row);
        }
        known.sequence = head;
    }

    /// What this pod itself has just revoked: in force here at once, the sequence untouched because rows before it may be
    /// missing.
    pub fn add(&self, revocation: Revocation) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).add(revocation);
    }

    /// Drops what no session can run into any more: every session that started by then is over by its age.
    pub fn forget_up_to(&self, over: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.sessions.retain(|_, cut_off| *cut_off > over);
        known.subjects.retain(|_, cut_off| *cut_off > over);
        known.everyone = known.everyone.filter(|cut_off| *cut_off > over);
    }
}

impl Known {
    fn add(&mut self, Revocation { sequence: _, revoked, cut_off }: Revocation) {
        match revoked {
            Revoked::Session(session) => {
                self.sessions.insert(session, cut_off);
            }
            Revoked::Subject(subject) => {
                let known = self.subjects.entry(subject).or_insert(cut_off);
                *known = (*known).max(cut_off);
            }
            Revoked::Everyone => self.everyone = self.everyone.max(Some(cut_off)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn revoked(revoked: Revoked, cut_off: i64) -> Revocation {
        Revocation { sequence: 1, revoked, cut_off: at(cut_off) }
    }

    fn somebody() -> (SessionId, Subject) {
        (SessionId::from_bytes([7; 16]), Subject("somebody".into()))
    }

    #[test]
    fn a_cut_off_covers_sessions_that_started_up_to_it_and_none_after() {
        let (session, subject) = somebody();
        for what in [Revoked::Subject(subject.clone()), Revoked::Everyone] {
            let revocations = Revocations::default();
            revocations.add(revoked(what, 10));
            assert!(revocations.covers(&session, &subject, at(9)));
            assert!(revocations.covers(&session, &subject, at(10)));
            assert!(!revocations.covers(&session, &subject, at(11)));
        }
    }

    #[test]
    fn the_latest_cut_off_stands_in_whatever_order_they_arrive() {
        let (session, subject) = somebody();
        for what in [Revoked::Subject(subject.clone()), Revoked::Everyone] {
            let revocations = Revocations::default();
            revocations.add(revoked(what.clone(), 20));
            revocations.add(revoked(what, 10));
            assert!(revocations.covers(&session, &subject, at(15)));
        }
    }

    #[test]
    fn a_session_or_person_that_is_not_named_is_not_covered() {
        let (session, subject) = somebody();
        let revocations = Revocations::default();
        revocations.add(revoked(Revoked::Session(SessionId::from_bytes([8; 16])), 10));
        revocations.add(revoked(Revoked::Subject(Subject("somebody else".into())), 10));
        assert!(!revocations.covers(&session, &subject, at(0)));
        revocations.add(revoked(Revoked::Session(session), 10));
        assert!(revocations.covers(&session, &subject, at(0)));
    }

    #[test]
    fn what_covers_no_living_session_is_forgotten_and_nothing_else() {
        let (session, subject) = somebody();
        let revocations = Revocations::default();
        revocations.add(revoked(Revoked::Session(session), 10));
        revocations.forget_up_to(at(9));
        assert!(revocations.covers(&session, &subject, at(0)));
        revocations.forget_up_to(at(10));
        assert!(!revocations.covers(&session, &subject, at(0)));
    }

    #[test]
    fn what_this_pod_revoked_itself_does_not_hide_what_others_revoked_before() {
        let revocations = Revocations::default();
        revocations.add(Revocation { sequence: 9, revoked: Revoked::Everyone, cut_off: at(0) });
        assert_eq!(revocations.sequence(), 0);
    }
}
