//! The function `flush` against the row that explains it: the same reports at the same times, and after every flush the same
//! answers, the same rows, and in the end the same rings.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::cast::length::short_or_full;
use gateway::spend::{
    Amount, LimitKey, Meter, Pace,
    escrow::{
        Report,
        row::{Hearing, Row},
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::postgres::PgListener;

use crate::stage::{Stage, flush, key};

const PODS: [&str; 3] = ["pod-a", "pod-b", "pod-c"];
const METERS: [Meter; 4] =
    [Meter::TokensPerMinute, Meter::TokensPerDay, Meter::TokensPerMonth, Meter::ConcurrentRequests];

/// One flush, and how much time has passed before it.
#[derive(Debug, Clone)]
struct Step {
    passed: TimeDelta,
    pod: usize,
    sequence: Sequence,
    /// By the place of the meter.
    reports: BTreeMap<usize, Said>,
    /// Which pods have said lately that they live.
    alive: [bool; 3],
}

#[derive(Debug, Clone, Copy)]
enum Sequence {
    Next,
    Again,
    Older,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    limit: Amount,
    spent: Amount,
    held: Amount,
    given_back: Amount,
    needed: Amount,
    wanted_besides: Amount,
    closed: bool,
}

fn time() -> impl Strategy<Value = TimeDelta> {
    let of = |milliseconds: &'static [i64]| prop::sample::select(milliseconds).prop_map(TimeDelta::milliseconds);
    let microseconds = (0..70_000_000_i64).prop_map(TimeDelta::microseconds);
    prop_oneof![
        4 => of(&[0, 1, 137, 999, 1_000, 5_000, 9_999, 10_000]),
        2 => microseconds,
        1 => of(&[-2_000, 61_000, 3_600_000, 86_400_000, 31 * 86_400_000]),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let limit = prop_oneof![
        6 => Just(100),
        1 => prop::sample::select(&[0, 1, 7, 10, 1_000, 5_000_000_000, 1_000_000_000_000][..]),
    ];
    let amount = || prop_oneof![3 => Just(0), 3 => 0..20_i64, 1 => 0..300_i64];
    let closed = prop::bool::weighted(0.1);
    (limit, amount(), amount(), amount(), amount(), 0..9_i64, closed).prop_map(
        |(limit, spent, held, given_back, needed, wanted_besides, closed)| {
            let held = if closed { 0 } else { held };
            let needed = if closed { 0 } else { needed };
            Said { limit, spent, held, given_back, needed, wanted_besides, closed }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = prop_oneof![8 => Just(Sequence::Next), 1 => Just(Sequence::Again), 1 => Just(Sequence::Older)];
    let reports = prop::collection::btree_map(0..METERS.len(), said(), 0..=METERS.len());
    (time(), 0..PODS.len(), sequence, reports, any::<[bool; 3]>())
        .prop_map(|(passed, pod, sequence, reports, alive)| Step { passed, pod, sequence, reports, alive })
}

#[test]
fn the_function_answers_as_the_row_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::new(1));
    let (cases, steps) = short_or_full((24, 50), (400, 100));
    let case = Cell::new(0);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let tried = TestRunner::new(config).run(&prop::collection::vec(step(), 1..steps), |steps| {
        case.set(case.get() + 1);
        runtime.block_on(try_out(&stage, &format!("person-{}", case.get()), &steps))
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// What the row's machine has come to, and which rings it heard.
struct Expected {
    rows: BTreeMap<LimitKey, Row>,
    sequences: BTreeMap<String, i64>,
    rings: Vec<(String, BTreeSet<String>)>,
    pace: Pace,
}

async fn try_out(stage: &Stage, person: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let channel = format!("{}_limit", stage.schema);
    let mut ears = PgListener::connect_with(&stage.pool).await.unwrap();
    ears.listen(&channel).await.unwrap();
    let mut expected =
        Expected { rows: BTreeMap::new(), sequences: BTreeMap::new(), rings: Vec::new(), pace: Pace::default() };
    // Just before a month ends.
    let mut at: DateTime<Utc> = "2026-11-30T23:58:30Z".parse().unwrap();
    for step in steps {
        at += step.passed;
        let pods = PODS.map(|pod| format!("{person} {pod}").replace(' ', "."));
        let live_pods = live(stage, &pods, step.alive, at).await;
        let incarnation = &pods[step.pod];
        let last = expected.sequences.get(incarnation).copied().unwrap_or(0);
        let sequence = match step.sequence {
            Sequence::Again if last > 0 => last,
            Sequence::Older if last > 1 => last - 1,
            _ => last + 1,
        };
        let reports: Vec<Report> = step.reports.iter().map(|(&meter, said)| said.of(person, METERS[meter])).collect();
        let sent = flush(incarnation, sequence, reports);
        let mut answers = stage.store.flush_at(&sent, &expected.pace, Some(at)).await.unwrap();
        answers.sort_by(|one, other| one.key.cmp(&other.key));

        let hearing = Hearing { incarnation, is_again: sequence == last, live_pods, at };
        let due = match sequence < last {
            true => Vec::new(),
            false => expected.apply(&sent.reports, &hearing),
        };
        expected.sequences.insert(incarnation.clone(), last.max(sequence));
        prop_assert_eq!(&answers, &due, "answers at {}, {:?}", at, step);
        let (rows, _) = stage.store.limit_rows(&key(person, METERS[0]).subject).await.unwrap();
        let rows: BTreeMap<LimitKey, Row> = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        prop_assert_eq!(&rows, &expected.rows, "rows at {}, {:?}", at, step);
        prop_assert_eq!(stage.store.last_sequence_of(incarnation).await.unwrap(), Some(last.max(sequence)));
    }
    prop_assert_eq!(heard(stage, &mut ears, &channel).await, expected.rings);
    Ok(())
}

impl Expected {
    fn apply(&mut self, reports: &[Report], hearing: &Hearing<'_>) -> Vec<gateway::spend::escrow::Answer> {
        let (mut answers, mut words) = (Vec::new(), BTreeSet::new());
        for report in reports {
            let new = Row::new(report.key.clone(), report.limit, hearing.at);
            let row = self.rows.entry(report.key.clone()).or_insert(new);
            let applied = row.apply(report, hearing, &self.pace);
            answers.push(applied.answer);
            if applied.rings {
                words.insert(word(&report.key));
            }
        }
        if !words.is_empty() {
            self.rings.push((hearing.incarnation.to_owned(), words));
        }
        answers.sort_by(|one, other| one.key.cmp(&other.key));
        answers
    }
}

impl Said {
    fn of(&self, person: &str, meter: Meter) -> Report {
        let Self { limit, spent, held, given_back, needed, wanted_besides, closed } = *self;
        let spent = if meter == Meter::ConcurrentRequests { 0 } else { spent };
        let wanted = if needed > 0 { needed + wanted_besides } else { 0 };
        Report { key: key(person, meter), limit, spent, held, given_back, wanted, needed, closed }
    }
}

/// Makes these pods live, and counts who lives then: pods of other cases lived at other times.
async fn live(stage: &Stage, pods: &[String; 3], alive: [bool; 3], at: DateTime<Utc>) -> Amount {
    for (pod, alive) in pods.iter().zip(alive) {
        let seen_at = at - TimeDelta::seconds(if alive { 9 } else { 10 });
        sqlx::query(
            "INSERT INTO pod (incarnation, name, version, session_keys, seen_at) VALUES ($1, 'pod', '1', '{}', $2)
             ON CONFLICT (incarnation) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(pod)
        .bind(seen_at)
        .execute(&stage.pool)
        .await
        .unwrap();
    }
    sqlx::query("UPDATE pod SET seen_at = 'epoch' WHERE incarnation <> ALL($1)")
        .bind(pods.to_vec())
        .execute(&stage.pool)
        .await
        .unwrap();
    alive.map(Amount::from).iter().sum::<Amount>().max(1)
}

/// Everything that was rung, up to a word of our own.
async fn heard(stage: &Stage, ears: &mut PgListener, channel: &str) -> Vec<(String, BTreeSet<String>)> {
    sqlx::query("SELECT pg_notify($1, 'no more')").bind(channel).execute(&stage.pool).await.unwrap();
    let mut rings = Vec::new();
    loop {
        let said = ears.recv().await.unwrap();
        let (from, words) = said.payload().split_once(' ').unwrap();
        if from == "no" {
            return rings;
        }
        rings.push((from.to_owned(), words.split(' ').map(str::to_owned).collect()));
    }
}

fn word(key: &LimitKey) -> String {
    let hash = digest(&SHA256, format!("{} {}", key.subject.0, key.meter.word()).as_bytes());
    hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
