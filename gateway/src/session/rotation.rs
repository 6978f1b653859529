//! The rules of refresh tokens that rotate: pure, so that the store and an outage decide alike.
//!
//! Invariant: of two different tokens of one generation at most one is ever renewed, and seeing both, or one that is older
//! than the grace allows, ends the session.

use super::refresh_token::Presented;
use crate::store::session::{Advance, Standing, TokenHash};

/// What a presented token is to its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Claimed by this very call: ask the provider.
    Ours,
    /// Somebody else has claimed it: look again soon.
    Wait,
    /// The reply that carried the successor was lost, or two processes share the token: the same successor, sealed.
    Successor(Vec<u8>),
    /// A copy: this token was renewed long ago, or another token of its generation was.
    Copied,
    /// The session has ended.
    Over,
}

pub fn judge(standing: Option<Standing>, presented: &Presented) -> Verdict {
    let Some(standing) = standing else { return Verdict::Over };
    if standing.claimed_by_us {
        return Verdict::Ours;
    }
    let newer = presented.content.generation > standing.generation;
    if newer || standing.token_hash == Some(presented.hash) {
        return Verdict::Wait;
    }
    match standing {
        Standing { previous_hash: Some(previous), successor: Some(successor), in_grace: true, .. }
            if previous == presented.hash =>
        {
            Verdict::Successor(successor)
        }
        _ => Verdict::Copied,
    }
}

/// What an advance that was made during an outage is to the session as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// The session stands further back: write it.
    Apply,
    /// Nothing new: known already, or overtaken.
    Known,
    /// Two different tokens of one generation: somebody has a copy.
    Conflict,
}

pub fn catch_up(standing: &Standing, advance: &Advance) -> CatchUp {
    let of_same_generation = |ours: Option<TokenHash>, theirs: TokenHash| match ours == Some(theirs) {
        true => CatchUp::Known,
        false => CatchUp::Conflict,
    };
    match advance.generation - standing.generation {
        ..-1 => CatchUp::Known,
        -1 => of_same_generation(standing.previous_hash, advance.token_hash),
        0 => of_same_generation(standing.token_hash, advance.token_hash),
        1 if standing.token_hash != Some(advance.previous_hash) => CatchUp::Conflict,
        _ => CatchUp::Apply,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{
        identity::{Person, Subject},
        session::{SessionId, refresh_token::Content},
    };

    const SEALED: &[u8] = b"the successor, sealed";

    fn presented(generation: i64, hash: u8) -> Presented {
        let content = Content {
            session: SessionId::from_bytes([1; 16]),
            started_at: DateTime::UNIX_EPOCH,
            generation,
            person: Person { sub: Subject("u-1".into()), email: None, name: None, groups: vec![] },
            upstream: "x".into(),
        };
        Presented { content, hash: [hash; 32] }
    }

    /// Generation 5, whose token hashes to fives.
    fn standing() -> Standing {
        Standing {
            generation: 5,
            token_hash: Some([5; 32]),
            previous_hash: Some([4; 32]),
            successor: Some(SEALED.to_vec()),
            in_grace: true,
            claimed_by_us: false,
        }
    }

    fn advance(generation: i64, previous: u8, token: u8) -> Advance {
        Advance {
            session: SessionId::from_bytes([1; 16]),
            generation,
            previous_hash: [previous; 32],
            token_hash: [token; 32],
            successor: SEALED.to_vec(),
        }
    }

    #[test]
    fn the_current_token_is_renewed_by_who_claims_it_and_waits_otherwise() {
        let claimed = Standing { claimed_by_us: true, ..standing() };
        assert_eq!(judge(Some(claimed), &presented(5, 5)), Verdict::Ours);
        assert_eq!(judge(Some(standing()), &presented(5, 5)), Verdict::Wait);
    }

    #[test]
    fn the_previous_token_gets_the_same_successor_within_the_grace_only() {
        assert_eq!(judge(Some(standing()), &presented(4, 4)), Verdict::Successor(SEALED.to_vec()));
        let later = Standing { in_grace: false, ..standing() };
        assert_eq!(judge(Some(later), &presented(4, 4)), Verdict::Copied);
    }

    #[test]
    fn an_older_token_or_another_of_the_same_generation_is_a_copy() {
        assert_eq!(judge(Some(standing()), &presented(3, 3)), Verdict::Copied);
        assert_eq!(judge(Some(standing()), &presented(5, 6)), Verdict::Copied);
        assert_eq!(judge(Some(standing()), &presented(4, 6)), Verdict::Copied);
    }

    #[test]
    fn a_token_newer_than_the_store_knows_was_made_during_an_outage_and_waits_for_the_claim() {
        assert_eq!(judge(Some(standing()), &presented(6, 6)), Verdict::Wait);
    }

    #[test]
    fn a_session_without_a_row_is_over() {
        assert_eq!(judge(None, &presented(5, 5)), Verdict::Over);
    }

    #[test]
    fn an_advance_from_an_outage_is_applied_where_the_session_stands_further_back() {
        assert_eq!(catch_up(&standing(), &advance(6, 5, 6)), CatchUp::Apply);
        assert_eq!(catch_up(&standing(), &advance(9, 8, 9)), CatchUp::Apply, "the steps between may come later");
    }

    #[test]
    fn an_advance_that_was_applied_or_overtaken_changes_nothing() {
        assert_eq!(catch_up(&standing(), &advance(5, 4, 5)), CatchUp::Known);
        assert_eq!(catch_up(&standing(), &advance(4, 3, 4)), CatchUp::Known);
        assert_eq!(catch_up(&standing(), &advance(2, 1, 9)), CatchUp::Known);
    }

    #[test]
    fn two_different_tokens_of_one_generation_are_a_conflict() {
        assert_eq!(catch_up(&standing(), &advance(5, 4, 7)), CatchUp::Conflict);
        assert_eq!(catch_up(&standing(), &advance(4, 3, 7)), CatchUp::Conflict);
        assert_eq!(catch_up(&standing(), &advance(6, 7, 6)), CatchUp::Conflict);
    }
}
