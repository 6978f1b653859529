//! What a device hears when it asks: pure, on the grant as the poll found it.

use crate::store::device_grant::{GrantState, Polled};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollAnswer {
    Pending,
    SlowDown,
    Denied,
    /// Unknown, too old, or its tokens were fetched: no difference is told.
    Expired,
    /// This poll has taken the tokens, sealed.
    Approved(Vec<u8>),
}

/// Ends come before pace: a device that will never get tokens should hear so at once.
pub fn answer(polled: Option<Polled>) -> PollAnswer {
    let Some(Polled { state, expired, too_fast, sign_in }) = polled else { return PollAnswer::Expired };
    match (state, sign_in) {
        (GrantState::Denied, _) => PollAnswer::Denied,
        (GrantState::Consumed, _) => PollAnswer::Expired,
        _ if expired => PollAnswer::Expired,
        _ if too_fast => PollAnswer::SlowDown,
        (GrantState::Approved, Some(sign_in)) => PollAnswer::Approved(sign_in),
        (GrantState::Approved, None) => PollAnswer::Expired,
        (GrantState::Pending | GrantState::Departed | GrantState::Redeeming, _) => PollAnswer::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(state: GrantState) -> Polled {
        let sign_in = (state == GrantState::Approved).then(|| b"sealed".to_vec());
        Polled { state, expired: false, too_fast: false, sign_in }
    }

    const UNDER_WAY: [GrantState; 3] = [GrantState::Pending, GrantState::Departed, GrantState::Redeeming];

    #[test]
    fn a_grant_under_way_is_pending() {
        for state in UNDER_WAY {
            assert_eq!(answer(Some(polled(state))), PollAnswer::Pending);
        }
    }

    #[test]
    fn a_hasty_device_is_slowed_down_and_takes_nothing() {
        for state in UNDER_WAY.into_iter().chain([GrantState::Approved]) {
            assert_eq!(answer(Some(Polled { too_fast: true, ..polled(state) })), PollAnswer::SlowDown);
        }
    }

    #[test]
    fn an_unknown_consumed_or_old_grant_has_expired() {
        assert_eq!(answer(None), PollAnswer::Expired);
        assert_eq!(answer(Some(polled(GrantState::Consumed))), PollAnswer::Expired);
        for state in UNDER_WAY.into_iter().chain([GrantState::Approved]) {
            assert_eq!(answer(Some(Polled { expired: true, too_fast: true, ..polled(state) })), PollAnswer::Expired);
        }
    }

    #[test]
    fn a_denied_grant_says_so_whatever_the_pace() {
        let hasty = Polled { too_fast: true, ..polled(GrantState::Denied) };
        assert_eq!(answer(Some(hasty)), PollAnswer::Denied);
    }

    #[test]
    fn an_approved_grant_gives_what_was_sealed() {
        assert_eq!(answer(Some(polled(GrantState::Approved))), PollAnswer::Approved(b"sealed".to_vec()));
    }
}
