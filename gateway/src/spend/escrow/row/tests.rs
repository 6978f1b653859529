use super::*;
use crate::{identity::Subject, spend::Meter};

/// A row, its hands, and three pods.
struct Scene {
    row: Row,
    at: DateTime<Utc>,
    pace: Pace,
}

impl Scene {
    fn of(meter: Meter, limit: Amount) -> Self {
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        let key = LimitKey { subject: Subject("ada".to_owned()), meter };
        Self { row: Row::new(key, limit, at), at, pace: Pace::default() }
    }

    fn passes(&mut self, seconds: i64) -> &mut Self {
        self.at += TimeDelta::seconds(seconds);
        self
    }

    fn report(&self) -> Report {
        let (key, limit) = (self.row.key.clone(), self.row.limit);
        Report { key, limit, spent: 0, held: 0, given_back: 0, wanted: 0, needed: 0, closed: false }
    }

    fn apply(&mut self, incarnation: &str, change: impl FnOnce(&mut Report)) -> Applied {
        self.apply_as(incarnation, false, change)
    }

    fn apply_as(&mut self, incarnation: &str, is_again: bool, change: impl FnOnce(&mut Report)) -> Applied {
        let mut report = self.report();
        change(&mut report);
        let hearing = Hearing { incarnation, is_again, live_pods: 3, at: self.at };
        let applied = self.row.apply(&report, &hearing, &self.pace);
        assert_eq!(self.row.granted, self.row.leases.values().map(|lease| lease.granted).sum::<Amount>());
        applied
    }

    fn wants(&mut self, incarnation: &str, amount: Amount) -> Applied {
        self.apply(incarnation, |report| (report.wanted, report.needed) = (amount, amount))
    }
}

fn hold(amount: Amount) -> impl FnOnce(&mut Report) {
    move |report| report.held = amount
}

#[test]
fn far_from_the_limit_a_share_is_wide_and_all_pods_have_half() {
    let mut scene = Scene::of(Meter::TokensPerDay, 600);
    for pod in ["a", "b", "c"] {
        assert_eq!(scene.wants(pod, 1).answer.granted, 100);
    }
    assert_eq!(scene.wants("a", 1).answer.granted, 101, "what waits is always granted while there is some");
    assert_eq!(
        scene.apply("b", |report| report.spent = 40).answer.granted,
        93,
        "filled up to its part of what is left"
    );
}

#[test]
fn a_grant_never_makes_used_and_granted_pass_the_limit() {
    let mut scene = Scene::of(Meter::TokensPerDay, 4);
    assert_eq!(scene.wants("a", 3).answer.granted, 3);
    let short = scene.wants("b", 2);
    assert_eq!((short.answer.granted, short.answer.granted_to_all), (0, 3), "a part would lie idle");
    assert!(short.rings);
    assert!(!scene.wants("b", 2).rings, "they have heard it");
    assert!(scene.apply("a", hold(2)).answer.wanted_elsewhere);
    let given = scene.apply("a", |report| (report.held, report.given_back) = (2, 1));
    assert!(given.rings, "there is enough now");
    assert_eq!(scene.wants("b", 2).answer.granted, 2);
}

#[test]
fn what_cannot_come_is_not_wanted_from_others() {
    let mut scene = Scene::of(Meter::TokensPerDay, 4);
    scene.apply("a", |report| report.spent = 3);
    assert!(!scene.wants("b", 2).rings);
    assert!(!scene.apply("a", hold(0)).answer.wanted_elsewhere);
}

#[test]
fn a_want_that_is_not_repeated_is_forgotten() {
    let mut scene = Scene::of(Meter::TokensPerDay, 4);
    scene.wants("a", 4);
    scene.wants("b", 1);
    assert!(scene.apply("a", hold(0)).answer.wanted_elsewhere);
    assert!(!scene.passes(1).apply("a", hold(0)).answer.wanted_elsewhere);
}

#[test]
fn a_dead_pods_holds_are_charged_and_its_idle_share_returns() {
    let mut scene = Scene::of(Meter::TokensPerDay, 10);
    scene.wants("a", 6);
    scene.apply("a", hold(4));
    assert_eq!(scene.passes(9).wants("b", 5).answer.granted, 0);
    let answer = scene.passes(1).wants("b", 5).answer;
    assert_eq!((answer.granted, answer.used, answer.granted_to_all), (5, 4, 5));
}

#[test]
fn a_journal_that_is_replayed_corrects_the_charge() {
    let mut scene = Scene::of(Meter::TokensPerDay, 10);
    scene.wants("a", 6);
    scene.apply("a", hold(4));
    scene.passes(10).apply("b", hold(0));
    assert_eq!(scene.row.used, 4);
    scene.apply("a", |report| (report.spent, report.closed) = (3, true));
    assert_eq!(scene.row.used, 3);
    assert!(!scene.row.leases.contains_key("a"));
}

#[test]
fn a_pod_that_comes_back_holds_what_it_holds() {
    let mut scene = Scene::of(Meter::TokensPerDay, 10);
    scene.wants("a", 6);
    scene.apply("a", hold(4));
    assert_eq!(scene.passes(10).wants("b", 6).answer.granted, 6);
    let answer = scene.apply("a", |report| (report.spent, report.held) = (1, 3)).answer;
    assert_eq!((answer.granted, answer.used, answer.granted_to_all), (3, 1, 9));
}

#[test]
fn a_charge_of_another_day_is_not_undone() {
    let mut scene = Scene::of(Meter::TokensPerDay, 10);
    scene.wants("a", 6);
    scene.apply("a", hold(4));
    scene.passes(10).apply("b", hold(0));
    scene.passes(24 * 3600).apply("b", |report| report.spent = 5);
    scene.apply("a", |report| report.spent = 1);
    assert_eq!(scene.row.used, 6);
}

#[test]
fn an_answer_that_was_lost_counts_once_and_renews_the_lease() {
    let mut scene = Scene::of(Meter::TokensPerDay, 100);
    scene.wants("a", 50);
    let first = scene.apply("a", |report| (report.spent, report.given_back) = (10, 20)).answer;
    let again = scene.passes(5).apply_as("a", true, |report| (report.spent, report.given_back) = (10, 20)).answer;
    assert_eq!(Answer { resets_in: None, ..first }, Answer { resets_in: None, ..again });
    let answer = scene.passes(6).apply("b", hold(0)).answer;
    assert_eq!(answer.granted_to_all - answer.granted, 20);
}

#[test]
fn a_want_that_was_granted_is_not_granted_again_when_its_answer_was_lost() {
    let mut scene = Scene::of(Meter::TokensPerDay, 4);
    scene.wants("a", 2);
    let again = scene.apply_as("a", true, |report| (report.wanted, report.needed) = (2, 2));
    assert_eq!(again.answer.granted, 2);
    assert!(!scene.apply("b", hold(0)).answer.wanted_elsewhere);
}

#[test]
fn places_are_free_when_the_pod_that_held_them_is_dead() {
    let mut scene = Scene::of(Meter::ConcurrentRequests, 1);
    scene.wants("a", 1);
    scene.apply("a", hold(1));
    assert_eq!(scene.wants("b", 1).answer.granted, 0);
    let answer = scene.passes(10).wants("b", 1).answer;
    assert_eq!((answer.granted, answer.used), (1, 0));
    assert_eq!(answer.resets_in, None);
}

#[test]
fn a_bucket_refills_continuously_and_loses_no_part_of_an_amount() {
    let mut scene = Scene::of(Meter::TokensPerMinute, 7);
    scene.apply("a", |report| report.spent = 7);
    for _ in 0..600 {
        scene.at += TimeDelta::milliseconds(100);
        scene.row.roll(scene.at);
        let due = 7 - 7 * (scene.at.timestamp_millis() % 60_000) / 60_000;
        assert!((due..=due + 1).contains(&scene.row.used), "{} {due}", scene.row.used);
        if scene.row.used == 1 {
            break;
        }
    }
    scene.passes(60);
    scene.row.roll(scene.at);
    assert_eq!((scene.row.used, scene.row.since), (0, scene.at));
}

#[test]
fn periods_end_at_midnight_and_at_the_first_in_utc() {
    let mut day = Scene::of(Meter::TokensPerDay, 10);
    assert_eq!(day.apply("a", |report| report.spent = 4).answer.resets_in, Some(12 * 3600));
    assert_eq!(day.passes(12 * 3600 - 1).wants("a", 1).answer.used, 4);
    let answer = day.passes(1).wants("a", 1).answer;
    assert_eq!((answer.used, answer.resets_in), (0, Some(24 * 3600)));
    let mut month = Scene::of(Meter::TokensPerMonth, 10);
    assert_eq!(month.apply("a", |report| report.spent = 4).answer.resets_in, Some((8 * 24 + 12) * 3600));
    assert_eq!(month.passes((8 * 24 + 12) * 3600).wants("a", 1).answer.used, 0);
}

#[test]
fn a_hold_larger_than_the_limit_gets_the_whole_of_it_where_nothing_was_used() {
    let mut scene = Scene::of(Meter::TokensPerMinute, 10);
    scene.wants("b", 1);
    let short = scene.wants("a", 30);
    assert!(short.rings && short.answer.granted == 0, "b has some of it");
    scene.apply("b", |report| (report.given_back, report.closed) = (1, true));
    let answer = scene.wants("a", 30).answer;
    assert_eq!((answer.granted, answer.granted_to_all, answer.used), (10, 10, 0));
    scene.apply("a", hold(30));
    let answer = scene.apply("a", |report| report.spent = 25).answer;
    assert_eq!((answer.used, answer.granted), (25, 5), "five were held and not used");
    assert_eq!(scene.wants("b", 30).answer.granted, 0);
    assert!(!scene.wants("b", 30).rings);
}

#[test]
fn a_limit_that_shrank_takes_nothing_away_and_grants_nothing() {
    let mut scene = Scene::of(Meter::TokensPerDay, 10);
    scene.wants("a", 8);
    let answer = scene.apply("b", |report| (report.limit, report.wanted, report.needed) = (4, 1, 1)).answer;
    assert_eq!((answer.granted, answer.granted_to_all, answer.limit), (0, 8, 4));
    assert_eq!(scene.apply("a", |report| report.given_back = 5).answer.granted, 3);
    assert_eq!(scene.wants("b", 1).answer.granted, 1);
}

#[test]
fn a_charge_that_no_longer_counts_goes_while_others_go_on() {
    let mut buckets = Scene::of(Meter::TokensPerMinute, 600);
    buckets.apply("one", hold(100));
    buckets.passes(11).apply("two", hold(0));
    assert!(buckets.row.leases.contains_key("one"), "ten a second are refilled");
    buckets.passes(9).apply("two", hold(0));
    assert!(buckets.row.leases.contains_key("one"));
    buckets.passes(1).apply("two", hold(0));
    assert!(!buckets.row.leases.contains_key("one"));

    let mut days = Scene::of(Meter::TokensPerDay, 600);
    days.apply("one", hold(100));
    days.passes(12 * 3_600 - 1).apply("two", hold(0));
    assert!(days.row.leases.contains_key("one"));
    days.passes(1).apply("two", hold(0));
    assert!(!days.row.leases.contains_key("one"), "its day is over");
}
