//! One pod's gate, with a store that grants what is left, or nothing at all.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use gateway_config::TokenLimits;

use super::{
    Aftermath, Amount, Book, Counts, Estimate, Gate, Held, LimitKey, Meter, Needs, OverLimit, Pace, Reach, Trial,
    escrow::{Answer, Report},
};
use crate::identity::Subject;

struct Stage {
    book: Arc<Book>,
    gate: Arc<Gate>,
    store: RefCell<Store>,
    is_store_away: Arc<AtomicBool>,
    alice: Subject,
}

/// What rows would say if this were the only pod.
#[derive(Default)]
struct Store {
    rows: BTreeMap<LimitKey, Row>,
    reports: usize,
}

#[derive(Default, Clone, Copy)]
struct Row {
    used: Amount,
    granted: Amount,
    /// In the hands of other pods.
    elsewhere: Amount,
    idle_elsewhere: Amount,
}

const PATIENCE: Duration = Duration::from_millis(400);

impl Stage {
    fn new(fail_closed: bool, usable: Duration) -> Self {
        let book = Book::new(Pace { patience: PATIENCE, usable, ..Pace::default() });
        let is_store_away = Arc::new(AtomicBool::new(false));
        let asked = is_store_away.clone();
        let gate = Arc::new(Gate::new(book.clone(), fail_closed, move || asked.load(Ordering::Relaxed)));
        Self { book, gate, store: RefCell::default(), is_store_away, alice: Subject("alice".to_owned()) }
    }

    fn calm() -> Self {
        Self::new(false, Duration::from_secs(60))
    }

    fn row(&self, meter: Meter, change: impl FnOnce(&mut Row)) {
        change(self.store.borrow_mut().rows.entry(self.key(meter)).or_default());
    }

    fn key(&self, meter: Meter) -> LimitKey {
        LimitKey { subject: self.alice.clone(), meter }
    }

    /// The request, while a store answers every flush that is urgent.
    async fn pass(&self, limits: &TokenLimits, tokens: u64) -> Result<Held, OverLimit> {
        let needs = needs(limits, tokens);
        tokio::select! {
            passed = self.gate.pass(&self.alice, &needs) => passed,
            () = self.answer_urgent() => unreachable!("never ends"),
        }
    }

    async fn answer_urgent(&self) {
        loop {
            self.book.urgent().await;
            self.flush();
        }
    }

    fn flush(&self) {
        let now = Instant::now();
        let answers: Vec<_> =
            self.book.reports(now).iter().map(|report| self.store.borrow_mut().answer(report)).collect();
        self.book.learn(&answers, now);
    }

    fn lose_store(&self) {
        self.is_store_away.store(true, Ordering::Relaxed);
    }

    /// Without anybody who answers.
    async fn pass_alone(&self, limits: &TokenLimits, tokens: u64) -> Result<Held, OverLimit> {
        self.gate.pass(&self.alice, &needs(limits, tokens)).await
    }
}

impl Store {
    fn answer(&mut self, report: &Report) -> Answer {
        self.reports += 1;
        let row = self.rows.entry(report.key.clone()).or_default();
        row.used += report.spent;
        row.granted = (row.granted - report.spent - report.given_back).max(0);
        let left = (report.limit - row.used - row.granted - row.elsewhere).max(0);
        row.granted += report.wanted.min(left);
        let is_calendar = matches!(report.key.meter, Meter::TokensPerDay | Meter::TokensPerMonth);
        Answer {
            key: report.key.clone(),
            granted: row.granted,
            limit: report.limit,
            used: row.used,
            granted_to_all: row.granted + row.elsewhere,
            idle_elsewhere: row.idle_elsewhere,
            wanted_elsewhere: false,
            resets_in: is_calendar.then_some(3_600),
        }
    }
}

fn needs(limits: &TokenLimits, tokens: u64) -> Needs {
    Needs::of(limits, Estimate { prompt: tokens, uncached: tokens, output: 0 })
}

fn per_day(limit: u64) -> TokenLimits {
    TokenLimits { tokens_per_day: Some(limit), ..TokenLimits::default() }
}

fn per_minute(limit: u64) -> TokenLimits {
    TokenLimits { tokens_per_minute: Some(limit), ..TokenLimits::default() }
}

fn at_once(limit: u64) -> TokenLimits {
    TokenLimits { concurrent_requests: Some(limit), ..TokenLimits::default() }
}

fn reached(meter: Meter, limit: Amount, retry_after: u64) -> OverLimit {
    OverLimit::Reached { meter, limit, retry_after }
}

/// The refusal; a hold says nothing of itself.
fn refused(passed: Result<Held, OverLimit>) -> Option<OverLimit> {
    passed.err()
}

#[tokio::test]
async fn a_first_request_asks_and_passes_and_the_next_asks_nobody() {
    let stage = Stage::calm();
    let all = TokenLimits {
        tokens_per_minute: Some(1_000),
        tokens_per_month: Some(1_000),
        concurrent_requests: Some(9),
        requests_per_minute: Some(9),
        ..per_day(1_000)
    };
    let first = stage.pass(&all, 100).await.unwrap();
    assert_eq!(stage.store.borrow().reports, 5, "one flush for all five");
    drop(first);
    let again = needs(&all, 100);
    let passed = stage.gate.pass(&stage.alice, &again).now_or_never();
    assert!(passed.expect("nothing is awaited").is_ok());
}

#[tokio::test]
async fn a_request_holds_all_that_it_needs_or_nothing() {
    let stage = Stage::calm();
    stage.row(Meter::TokensPerDay, |row| row.used = 950);
    let both = TokenLimits { tokens_per_minute: Some(1_000), ..per_day(1_000) };
    assert_eq!(refused(stage.pass(&both, 100).await), Some(reached(Meter::TokensPerDay, 1_000, 3_600)));
    let all_of_the_minute = stage.pass(&per_minute(1_000), 1_000).await;
    assert!(all_of_the_minute.is_ok(), "the refused request holds nothing of it");
}

#[tokio::test]
async fn a_day_that_is_used_up_refuses_at_once_and_says_when_it_ends() {
    let stage = Stage::calm();
    stage.row(Meter::TokensPerDay, |row| row.used = 1_000);
    let since = Instant::now();
    assert_eq!(refused(stage.pass(&per_day(1_000), 1).await), Some(reached(Meter::TokensPerDay, 1_000, 3_600)));
    assert!(since.elapsed() < PATIENCE, "nothing can come by waiting");
}

#[tokio::test]
async fn what_is_idle_elsewhere_is_waited_for() {
    let stage = Stage::calm();
    stage.row(Meter::TokensPerDay, |row| (row.elsewhere, row.idle_elsewhere) = (1_000, 1_000));
    let give_back = async {
        tokio::time::sleep(PATIENCE / 4).await;
        stage.row(Meter::TokensPerDay, |row| (row.elsewhere, row.idle_elsewhere) = (0, 0));
        pending::<()>().await;
    };
    let limits = per_day(1_000);
    let passed = tokio::select! { passed = stage.pass(&limits, 600) => passed, () = give_back => unreachable!() };
    assert!(passed.is_ok());
}

#[tokio::test]
async fn what_others_never_give_back_is_not_waited_for_without_end() {
    let stage = Stage::calm();
    stage.row(Meter::ConcurrentRequests, |row| row.elsewhere = 1);
    let since = Instant::now();
    assert_eq!(refused(stage.pass(&at_once(1), 1).await), Some(reached(Meter::ConcurrentRequests, 1, 1)));
    assert!(since.elapsed() >= PATIENCE && since.elapsed() < 20 * PATIENCE);
}

#[tokio::test]
async fn a_place_is_taken_as_soon_as_the_request_before_has_ended() {
    let stage = Stage::calm();
    let first = stage.pass(&at_once(1), 1).await.unwrap();
    let leave = async {
        tokio::time::sleep(PATIENCE / 4).await;
        drop(first);
        pending::<()>().await;
    };
    let limits = at_once(1);
    let passed = tokio::select! { passed = stage.pass(&limits, 1) => passed, () = leave => unreachable!() };
    assert!(passed.is_ok());
}

#[tokio::test]
async fn a_bucket_says_when_its_refill_covers_the_request() {
    let stage = Stage::calm();
    stage.row(Meter::TokensPerMinute, |row| row.used = 600);
    let refusal = refused(stage.pass(&per_minute(600), 100).await);
    assert_eq!(refusal, Some(reached(Meter::TokensPerMinute, 600, 10)));
}

#[tokio::test]
async fn what_is_larger_than_the_limit_passes_only_where_nothing_was_used() {
    let stage = Stage::calm();
    let whole = stage.pass(&per_day(1_000), 5_000).await.unwrap();
    drop(whole);
    stage.row(Meter::TokensPerDay, |row| (row.used, row.granted) = (1, 0));
    stage.book.last_reports(&Reach::default());
    let other = Stage::calm();
    other.row(Meter::TokensPerDay, |row| row.used = 1);
    let refusal = refused(other.pass(&per_day(1_000), 5_000).await);
    assert_eq!(refusal, Some(OverLimit::Larger { meter: Meter::TokensPerDay, limit: 1_000, needed: 5_000 }));
}

#[tokio::test]
async fn whoever_hammers_is_refused_without_asking_the_store_each_time() {
    let stage = Stage::calm();
    stage.row(Meter::TokensPerDay, |row| row.used = 1_000);
    let limits = per_day(1_000);
    let (since, mut requests) = (Instant::now(), 0);
    while since.elapsed() < Duration::from_secs(1) {
        assert_eq!(refused(stage.pass(&limits, 10).await), Some(reached(Meter::TokensPerDay, 1_000, 3_600)));
        requests += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (reports, seconds) = (stage.store.borrow().reports, since.elapsed().as_secs_f64());
    assert!(
        requests > 50 && (reports as f64) < 10.0 * seconds,
        "{reports} reports for {requests} requests in {seconds} s"
    );
}

/// A share that was used while the store was there, and whose lease is over.
async fn after_the_lease(stage: &Stage, limits: &TokenLimits, tokens: u64) {
    drop(stage.pass(limits, tokens).await);
    stage.lose_store();
    tokio::time::sleep(stage.book.pace().usable).await;
}

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn within_the_lease_the_share_holds_while_the_store_is_away() {
    for fail_closed in [false, true] {
        let stage = Stage::new(fail_closed, Duration::from_secs(60));
        drop(stage.pass(&per_day(1_000), 400).await.unwrap());
        stage.lose_store();
        let held = stage.pass_alone(&per_day(1_000), 400).now_or_never().expect("nothing is awaited");
        assert!(held.is_ok(), "the share has it");
        let more = stage.pass_alone(&per_day(1_000), 1).await;
        assert!(matches!(refused(more), Some(OverLimit::Reached { .. })), "and no more");
        assert!(stage.gate.holds_limits());
    }
}

#[tokio::test]
async fn after_the_lease_others_pass_and_are_counted_and_the_gate_says_that_it_does_not_hold() {
    let stage = Stage::new(false, SHORT);
    after_the_lease(&stage, &per_day(1_000), 10).await;
    let since = Instant::now();
    let mut held = stage.pass_alone(&per_day(1_000), 5_000).await.unwrap();
    assert!(since.elapsed() < PATIENCE, "a store that is known to be away is not waited for");
    assert_eq!((stage.gate.unchecked(), stage.gate.holds_limits()), (1, false));
    let counts = Counts { requests: 1, input_tokens: 4_000, ..Counts::default() };
    held.charge(&super::tally::Tally { counts, charged_tokens: held.tokens_of(&counts) }, Instant::now());
    drop(held);
    stage.flush();
    assert_eq!(stage.store.borrow().rows[&stage.key(Meter::TokensPerDay)].used, 4_000);
    assert!(stage.gate.holds_limits(), "the store has answered");
}

#[tokio::test]
async fn who_was_over_at_the_last_answer_stays_refused_until_the_period_ends() {
    let stage = Stage::new(false, SHORT);
    stage.row(Meter::TokensPerDay, |row| row.used = 1_000);
    after_the_lease(&stage, &per_day(1_000), 10).await;
    let refusal = refused(stage.pass_alone(&per_day(1_000), 10).await);
    assert!(matches!(refusal, Some(OverLimit::Reached { meter: Meter::TokensPerDay, retry_after: 3_599..=3_600, .. })));
    assert_eq!(stage.gate.unchecked(), 0);
    // What the pod has nothing of goes at the next flush; what it knows must not.
    stage.book.reports(Instant::now() + Duration::from_secs(60));
    let refusal = refused(stage.pass_alone(&per_day(1_000), 10).await);
    assert!(matches!(refusal, Some(OverLimit::Reached { .. })));
}

#[tokio::test]
async fn who_only_held_at_the_last_answer_passes_during_an_outage() {
    let stage = Stage::new(false, SHORT);
    stage.row(Meter::TokensPerDay, |row| (row.used, row.elsewhere) = (400, 600));
    after_the_lease(&stage, &per_day(1_000), 10).await;
    assert!(stage.pass_alone(&per_day(1_000), 600).await.is_ok());
    assert!(matches!(refused(stage.pass_alone(&per_day(1_000), 601).await), Some(OverLimit::Reached { .. })));
}

#[tokio::test]
async fn where_the_operator_wants_it_nobody_passes_unchecked() {
    let stage = Stage::new(true, SHORT);
    after_the_lease(&stage, &per_day(1_000), 10).await;
    let unchecked = OverLimit::Unchecked { meter: Meter::TokensPerDay, limit: 1_000 };
    assert_eq!(refused(stage.pass_alone(&per_day(1_000), 10).await), Some(unchecked));
    assert_eq!((stage.gate.unchecked(), stage.gate.holds_limits()), (0, true));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_away_before_anybody_has_noticed() {
    let stage = Stage::new(false, SHORT);
    let since = Instant::now();
    assert!(stage.pass_alone(&per_day(1_000), 10).await.is_ok());
    assert!(since.elapsed() >= PATIENCE && stage.gate.unchecked() == 1, "a slow store is waited for");
}

#[tokio::test]
async fn places_are_not_refused_for_what_was_held_before_the_outage() {
    let stage = Stage::new(false, SHORT);
    stage.row(Meter::ConcurrentRequests, |row| row.elsewhere = 1);
    after_the_lease(&stage, &at_once(1), 1).await;
    assert!(stage.pass_alone(&at_once(1), 1).await.is_ok());
}

/// Whether the limits would have let a reply pass that lasts so long.
async fn on_trial(stage: &Stage, limits: &TokenLimits, lasting: Duration) -> bool {
    let trial = Trial::begin(&stage.gate, stage.alice.clone(), needs(limits, 400));
    let aftermath = Aftermath { lesson: None, trials: vec![(0, trial)] };
    tokio::select! {
        () = tokio::time::sleep(lasting) => {}
        () = stage.answer_urgent() => unreachable!("never ends"),
    }
    let counts = Counts { requests: 1, output_tokens: 500, ..Counts::default() };
    aftermath.conclude(Some(counts), true).is_empty()
}

#[tokio::test]
async fn a_limit_on_trial_says_whom_it_would_have_refused_from_the_first_request_on() {
    let stage = Stage::calm();
    // Used up on another pod, of which this one has heard nothing yet.
    stage.row(Meter::TokensPerDay, |row| row.used = 900);
    let lasting = stage.book.pace().patience + Duration::from_millis(200);
    assert!(!on_trial(&stage, &per_day(1_000), lasting).await);
    assert!(stage.gate.holds_limits() && stage.gate.unchecked() == 0);
}

#[tokio::test]
async fn requests_on_trial_within_one_moment_are_counted_as_the_enforced_limit_would() {
    let stage = Stage::calm();
    let lasting = Duration::from_millis(600);
    for would_pass in [true, true, false, false] {
        assert_eq!(on_trial(&stage, &per_day(1_000), lasting).await, would_pass);
    }
    stage.flush();
    assert_eq!(stage.store.borrow().rows[&stage.key(Meter::TokensPerDay)].used, 1_000, "who is refused uses nothing");
}

#[tokio::test]
async fn a_reply_that_ends_before_the_store_has_answered_gets_what_this_pod_knows() {
    let stage = Stage::calm();
    let trial = || Trial::begin(&stage.gate, stage.alice.clone(), needs(&per_day(1_000), 400));
    assert!(trial().end().is_ok(), "nothing is known");
    stage.row(Meter::TokensPerDay, |row| row.used = 900);
    stage.book.hold_regardless(&stage.key(Meter::TokensPerDay), 1_000, 1, Instant::now());
    stage.flush();
    assert!(trial().end().is_err());
}
