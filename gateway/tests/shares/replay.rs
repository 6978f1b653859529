//! A pod dies; another reads its journal.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use gateway::{
    clock::{Clock, SystemClock},
    spend::{Book, Counts, Held, Ledger, Meter, OpenReply, Pace, Replay, journal::Owner},
    store::{Store, flush::Flush},
};

use crate::stage::{Pod, alice, key, owner, schema};

const LIMIT: i64 = 10_000;

fn usage(output_tokens: i64) -> Counts {
    Counts { requests: 1, input_tokens: 100, output_tokens, ..Counts::default() }
}

async fn flush(pod: &Pod, sequence: i64) {
    let now = Instant::now();
    let told = pod.ledger.take(sequence, |reach| pod.book.reports_within(reach, now)).unwrap();
    let flush = Flush { incarnation: pod.incarnation.clone(), sequence, usage: told.usage, reports: told.reports };
    let answers = pod.store.flush(&flush, pod.book.pace()).await.unwrap();
    pod.ledger.acknowledge(sequence);
    pod.book.learn(&answers, now);
}

/// A pod whose requests hold, use and have told a part of it, and use more that they have not told.
async fn dying(pod: &Pod) -> OpenReply {
    let meters = [Meter::TokensPerDay, Meter::RequestsPerMinute, Meter::ConcurrentRequests];
    let amounts = [2_000, 1, 1];
    let wants: Vec<_> = meters
        .iter()
        .zip(amounts)
        .map(|(meter, amount)| pod.book.want(&key(*meter), LIMIT, amount, Instant::now()))
        .collect();
    flush(pod, 1).await;
    drop(wants);
    let mut held = Held::new(pod.book.clone(), false);
    for (meter, amount) in meters.into_iter().zip(amounts) {
        held.try_add(key(meter), LIMIT, amount, Instant::now()).unwrap();
    }
    let mut reply = pod.reply(held);
    reply.record(usage(1));
    flush(pod, 2).await;
    reply.record(usage(40));
    reply
}

async fn replayed(store: &Arc<Store>, journals: &Path) {
    let replay =
        Replay { directory: journals.to_owned(), owner: owner("other"), store: store.clone(), pace: Pace::default() };
    let task = tokio::spawn(replay.run());
    let since = Instant::now();
    while fs::read_dir(journals).unwrap().count() > 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "the journal is not replayed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.abort();
}

async fn counted(store: &Store) -> Counts {
    let now = SystemClock.now();
    let rows = store.usage_between(Some(&alice()), now - TimeDelta::days(1), now + TimeDelta::hours(1)).await.unwrap();
    rows.into_iter().map(|delta| delta.counts).fold(Counts::default(), |sum, counts| sum + counts)
}

#[tokio::test]
async fn a_dead_pod_is_charged_for_what_its_journal_says_and_holds_nothing() {
    let (config, journals, others) = (schema().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pod = Pod::start(&config, journals.path(), "dead").await;
    let other = Pod::start(&config, others.path(), "other").await;
    let reply = dying(&pod).await;
    drop((reply, pod));
    assert_eq!(counted(&other.store).await, usage(1));
    replayed(&other.store, journals.path()).await;
    assert_eq!(counted(&other.store).await, usage(40));
    assert_eq!(other.row(Meter::TokensPerDay).await, (140, 0));
    assert_eq!(other.row(Meter::ConcurrentRequests).await, (0, 0));
    let (requests, granted) = other.row(Meter::RequestsPerMinute).await;
    assert!(requests <= 1 && granted == 0);
}

#[tokio::test]
async fn a_lease_that_ended_before_the_replay_is_corrected_by_it() {
    let (config, journals, others) = (schema().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let quick = Pace { lease: Duration::from_millis(50), ..Pace::default() };
    let mut pod = Pod::start(&config, journals.path(), "dead").await;
    pod.book = Book::new(quick);
    let other = Pod::start(&config, others.path(), "other").await;
    let reply = dying(&pod).await;
    drop((reply, pod));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let want = other.book.want(&key(Meter::TokensPerDay), LIMIT, 10, Instant::now());
    flush(&other, 1).await;
    drop(want);
    assert_eq!(other.row(Meter::TokensPerDay).await.0, 2_000, "what was told, and what was held besides");
    replayed(&other.store, journals.path()).await;
    assert_eq!(other.row(Meter::TokensPerDay).await.0, 140);
}

#[tokio::test]
async fn a_flush_that_arrives_after_its_process_died_counts_once() {
    let (config, journals) = (schema().await, tempfile::tempdir().unwrap());
    let pod = Pod::start(&config, journals.path(), "dead").await;
    pod.ledger.reply(alice(), "m".to_owned(), "u".to_owned(), None).record(usage(3));
    let told = pod.ledger.take(1, |_| Vec::new()).unwrap();
    let late = Flush { incarnation: "dead".to_owned(), sequence: 1, usage: told.usage.clone(), reports: Vec::new() };
    let replayed = Flush { sequence: 2, ..late.clone() };
    pod.store.flush(&late, &Pace::default()).await.unwrap();
    let applied = pod.store.flush_for_the_dead(None, &replayed, &Pace::default()).await.unwrap();
    assert!(!applied, "the store has heard of it meanwhile");
    assert_eq!(counted(&pod.store).await, usage(3));
}

#[tokio::test]
async fn a_journal_of_another_gateway_is_left_alone() {
    let (config, journals) = (schema().await, tempfile::tempdir().unwrap());
    let foreign = Owner::new("https://elsewhere.example", "foreign");
    let elsewhere = Ledger::open(journals.path(), foreign, Arc::new(SystemClock));
    elsewhere.reply(alice(), "m".to_owned(), "u".to_owned(), None).record(usage(3));
    drop(elsewhere);
    let pod = Pod::start(&config, journals.path(), "dead").await;
    pod.ledger.reply(alice(), "m".to_owned(), "u".to_owned(), None).record(usage(5));
    let store = pod.store.clone();
    drop(pod);
    let replay = Replay {
        directory: journals.path().to_owned(),
        owner: owner("other"),
        store: store.clone(),
        pace: Pace::default(),
    };
    let task = tokio::spawn(replay.run());
    let since = Instant::now();
    while fs::read_dir(journals.path()).unwrap().count() > 1 {
        assert!(since.elapsed() < Duration::from_secs(60), "our own journal is not replayed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.abort();
    assert_eq!(counted(&store).await, usage(5));
}
