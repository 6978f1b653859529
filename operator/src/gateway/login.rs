//! What pods log in to the database with where the operator makes that, and since when: another one after a month.
//!
//! The time stands in the pods' Secret beside the login, so that one write changes both and an operator that is started anew
//! knows it. How one login follows another without a moment in which pods cannot connect: [`crate::store`].

use jiff::{SignedDuration, Timestamp};

use crate::store::PodLogin;

/// As long as a key signs.
const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The login that the pods' Secret holds, or shall hold.
#[derive(Debug, Clone)]
pub struct StandingLogin {
    pub login: PodLogin,
    pub since: Timestamp,
}

impl StandingLogin {
    /// Another one is due.
    pub fn is_aged(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= HOLDS_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixtures;

    #[test]
    fn a_login_stands_for_a_month() {
        let standing = fixtures::login();
        let after = |days: i64| standing.since + SignedDuration::from_hours(24 * days);
        assert!(!standing.is_aged(after(29)) && standing.is_aged(after(30)));
    }
}
