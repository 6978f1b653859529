//! Whose limits one flush speaks of.
//!
//! Invariant: a person's counts and the charge for them are told in one flush. Told apart, a kill in between would have the
//! journal charge them again, or never.

use std::collections::HashSet;

use crate::identity::Subject;

#[derive(Debug, Default)]
pub struct Reach {
    /// Their counts are in this flush.
    told: HashSet<Subject>,
    /// Theirs wait for the next one.
    left: HashSet<Subject>,
}

impl Reach {
    pub fn new<'a>(told: impl Iterator<Item = &'a Subject>, left: impl Iterator<Item = &'a Subject>) -> Self {
        Self { told: told.cloned().collect(), left: left.cloned().collect() }
    }

    /// Must be spoken of, however long the flush is.
    pub fn takes(&self, subject: &Subject) -> bool {
        self.told.contains(subject)
    }

    /// Must not be spoken of yet.
    pub fn leaves(&self, subject: &Subject) -> bool {
        self.left.contains(subject)
    }
}
