use super::*;
use crate::spend::{LimitKey, Pace, escrow::Answer};
use crate::{identity::Subject, spend::Meter};

fn key() -> LimitKey {
    LimitKey { subject: Subject("ada".to_owned()), meter: Meter::TokensPerDay }
}

fn answer(granted: Amount) -> Answer {
    Answer {
        key: key(),
        granted,
        limit: 100,
        used: 0,
        granted_to_all: granted,
        idle_elsewhere: 0,
        wanted_elsewhere: false,
        resets_in: Some(60),
    }
}

/// A share that was just granted.
fn granted(amount: Amount) -> (Share, Instant, Pace) {
    let (now, pace) = (Instant::now(), Pace::default());
    let mut share = Share::new(100, now);
    share.want(1, now);
    share.report(&key(), now, &pace).unwrap();
    share.learn(&answer(amount), now, &pace);
    share.unwant(1);
    (share, now, pace)
}

#[test]
fn nothing_is_held_before_the_store_has_granted_it() {
    let now = Instant::now();
    assert_eq!(Share::new(100, now).try_hold(1, now), Err(Short::Lease));
}

#[test]
fn holds_fit_the_share_and_no_more() {
    let (mut share, now, _) = granted(10);
    assert_eq!(share.try_hold(7, now), Ok(()));
    assert_eq!(share.try_hold(4, now), Err(Short::Room));
    assert_eq!(share.try_hold(3, now), Ok(()));
    share.settle(7, 2, now);
    assert_eq!(share.room(), 5);
}

#[test]
fn a_share_is_not_used_past_its_time_counted_from_the_sending() {
    let (mut share, now, pace) = granted(10);
    assert_eq!(share.try_hold(1, now + pace.usable - Duration::from_millis(1)), Ok(()));
    assert_eq!(share.try_hold(1, now + pace.usable), Err(Short::Lease));
}

#[test]
fn what_is_in_a_report_is_not_room_until_it_is_answered() {
    let (mut share, now, pace) = granted(10);
    share.hold_regardless(6, now);
    share.settle(6, 6, now);
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.spent, report.held, report.needed), (6, 0, 0));
    assert_eq!(share.room(), 4);
    assert_eq!(share.report(&key(), now + pace.lease, &pace), None, "one at a time");
    share.learn(&answer(4), now, &pace);
    assert_eq!(share.room(), 4);
}

#[test]
fn idle_share_goes_back_when_somebody_else_waits() {
    let (mut share, now, pace) = granted(10);
    share.try_hold(4, now).unwrap();
    assert_eq!(share.report(&key(), now, &pace), None, "nothing to say");
    share.has_new_want = true;
    share.report(&key(), now, &pace).unwrap();
    share.learn(&Answer { wanted_elsewhere: true, ..answer(10) }, now, &pace);
    assert!(share.is_urgent());
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.given_back, report.held), (6, 4));
    assert_eq!(share.room(), 0);
}

#[test]
fn a_pod_that_waits_itself_gives_back_too_and_asks_for_all_it_needs() {
    let (mut share, now, pace) = granted(3);
    share.want(5, now);
    share.report(&key(), now, &pace).unwrap();
    share.learn(&Answer { wanted_elsewhere: true, ..answer(3) }, now, &pace);
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.given_back, report.needed, report.wanted), (3, 5, 5));
}

#[test]
fn what_a_waiting_request_is_about_to_take_is_not_given_back() {
    let (mut share, now, pace) = granted(3);
    share.want(5, now);
    share.want(2, now);
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.given_back, report.needed, report.wanted), (0, 4, 4), "one is left beside the 2");
    share.learn(&Answer { wanted_elsewhere: true, ..answer(7) }, now, &pace);
    assert_eq!(share.report(&key(), now, &pace), None, "both fit now");
}

#[test]
fn share_past_a_limit_that_shrank_goes_back() {
    let (mut share, now, pace) = granted(10);
    assert!(share.set_limit(4, now));
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.limit, report.given_back), (4, 6));
}

#[test]
fn a_share_nobody_uses_is_closed_with_what_was_spent() {
    let (mut share, now, pace) = granted(10);
    share.try_hold(4, now).unwrap();
    share.settle(4, 4, now);
    let later = now + pace.unused;
    let report = share.report(&key(), later, &pace).unwrap();
    assert_eq!((report.spent, report.given_back, report.closed), (4, 6, true));
    assert!(!share.is_empty(), "not before the answer");
    share.learn(&answer(0), later, &pace);
    assert!(share.is_empty());
}

#[test]
fn a_share_in_use_is_renewed_and_not_closed() {
    let (mut share, now, pace) = granted(10);
    share.try_hold(4, now).unwrap();
    let report = share.report(&key(), now + pace.unused, &pace).unwrap();
    assert_eq!((report.held, report.closed), (4, false));
    let (mut share, now, pace) = granted(10);
    assert!(share.report(&key(), now + pace.renew, &pace).is_some_and(|report| !report.closed));
}

#[test]
fn a_hold_larger_than_the_limit_passes_only_where_nothing_was_used() {
    let (mut share, now, pace) = granted(100);
    share.want(300, now);
    assert!(!share.is_urgent(), "it may pass");
    share.unwant(300);
    assert_eq!(share.try_hold(300, now), Ok(()));
    assert_eq!(share.try_hold(300, now), Err(Short::Room));
    share.settle(300, 250, now);
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.spent, report.given_back), (250, 0));
    assert_eq!(granted(99).0.try_hold(300, now), Err(Short::Room));
    let (mut used, ..) = granted(100);
    used.heard.as_mut().unwrap().used = 1;
    assert_eq!(used.try_hold(300, now), Err(Short::Room));
}

#[test]
fn a_limit_of_nothing_lets_nothing_pass() {
    let (now, pace) = (Instant::now(), Pace::default());
    let mut share = Share::new(0, now);
    share.want(1, now);
    share.report(&key(), now, &pace).unwrap();
    share.learn(&Answer { limit: 0, ..answer(0) }, now, &pace);
    share.unwant(1);
    assert_eq!(share.try_hold(1, now), Err(Short::Room));
}

#[test]
fn the_edge_is_near_when_nine_tenths_are_used_or_held() {
    let (mut share, now, pace) = granted(10);
    assert!(!share.is_near_edge());
    share.hold_regardless(10, now);
    for (used, is_near) in [(79, false), (80, true)] {
        share.learn(&Answer { used, ..answer(10) }, now, &pace);
        assert_eq!(share.is_near_edge(), is_near, "{used}");
    }
}

#[test]
fn a_lower_limit_holds_before_the_store_has_heard_of_it() {
    let (mut share, now, pace) = granted(50);
    share.hold_regardless(8, now);
    assert!(share.set_limit(10, now));
    assert_eq!(share.try_hold(3, now), Err(Short::Room));
    assert_eq!(share.try_hold(2, now), Ok(()));
    let report = share.report(&key(), now, &pace).unwrap();
    assert_eq!((report.limit, report.given_back), (10, 40));
    assert!(!share.set_limit(10, now), "it is on its way");
}

#[test]
fn sessions_with_different_limits_take_the_smaller_one() {
    let (mut share, now, _) = granted(10);
    for turn in 0..10 {
        let then = now + STEADY / 2 * turn;
        share.set_limit(40, then);
        share.set_limit(100, then + STEADY / 4);
        assert_eq!(share.limit, 40);
    }
    share.set_limit(100, now + STEADY * 6);
    assert_eq!(share.limit, 100, "nobody says the smaller one any more");
}

#[test]
fn a_raised_limit_holds_half_a_second_after_the_lower_one_was_said_last() {
    let (mut share, now, _) = granted(10);
    share.set_limit(40, now);
    share.set_limit(100, now + Duration::from_millis(499));
    assert_eq!(share.limit, 40);
    share.set_limit(100, now + Duration::from_millis(500));
    assert_eq!(share.limit, 100);
}

#[test]
fn a_report_that_is_passed_over_does_not_silence_the_share() {
    let (mut share, now, pace) = granted(10);
    share.hold_regardless(4, now);
    share.settle(4, 4, now);
    share.report(&key(), now, &pace).unwrap();
    assert!(share.was_passed_over() && !share.was_passed_over());
    assert_eq!(share.room(), 6);
    share.hold_regardless(1, now);
    share.settle(1, 1, now);
    assert_eq!(share.report(&key(), now, &pace).unwrap().spent, 1);
}

#[test]
fn a_report_that_comes_again_says_the_same_of_the_past_and_anew_of_the_present() {
    let (mut share, now, pace) = granted(10);
    share.try_hold(5, now).unwrap();
    share.settle(2, 1, now);
    let sent = share.report(&key(), now, &pace).unwrap();
    assert_eq!((sent.spent, sent.held, sent.needed), (1, 3, 0));
    share.settle(3, 2, now);
    share.want(9, now);
    let again = share.again(&sent);
    assert_eq!((again.spent, again.given_back, again.held), (1, 0, 2), "what was spent since then is not free");
    assert_eq!(again.needed, 2);
}

#[test]
fn a_share_that_is_used_again_is_not_closed_by_a_report_that_was_lost() {
    let (mut share, now, _) = granted(10);
    let sent = share.close(&key()).unwrap();
    assert!(share.again(&sent).closed);
    share.hold_regardless(1, now);
    assert_eq!((share.again(&sent).closed, share.again(&sent).held), (false, 1));
}
