//! Many pods on the same rows at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use gateway::{
    spend::{Amount, LimitKey, Meter, escrow::Report},
    store::{StoreError, flush::Flush},
};

use crate::stage::{Stage, flush, key, patient, report, usage};

const PODS: usize = 16;
const ROUNDS: i64 = 15;
const LIMIT: Amount = 1_000;

fn keys() -> Vec<LimitKey> {
    let people = (0..20).map(|n| format!("person-{n}"));
    people
        .flat_map(|person| [Meter::TokensPerDay, Meter::ConcurrentRequests].map(|meter| key(&person, meter)))
        .collect()
}

fn hour() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Each pod names the keys in another order.
fn turned<T: Clone>(all: &[T], by: usize) -> Vec<T> {
    let mut turned = all.to_vec();
    turned.rotate_left(by * 7 % all.len());
    turned
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_pods_on_the_same_rows_neither_pass_the_limit_nor_lock_each_other_out() {
    let stage = Stage::new(PODS.try_into().unwrap()).await;
    let spent = join_all((0..PODS).map(|pod| one_pod(&stage, pod))).await;
    let mut most = 0;
    for (place, key) in keys().iter().enumerate() {
        let row = stage.row(key).await.unwrap();
        let told: Amount = spent.iter().map(|by_key| by_key[place]).sum();
        assert_eq!(row.used, told, "{key:?}: what was spent counts once");
        assert_eq!(row.granted, row.leases.values().map(|lease| lease.granted).sum::<Amount>());
        assert!(row.used + row.granted <= LIMIT, "{row:?}");
        most = most.max(row.used);
    }
    assert!(most > LIMIT / 2, "nobody came near the limit: {most}");
    for person in 0..20 {
        let hours = stage.usage(&key(&format!("person-{person}"), Meter::TokensPerDay).subject).await;
        let requests: i64 = hours.iter().map(|delta| delta.counts.requests).sum();
        assert_eq!(requests, i64::try_from(PODS).unwrap() * ROUNDS);
    }
}

/// Spends what it is granted, and asks for more; what it spent, by key.
async fn one_pod(stage: &Stage, pod: usize) -> Vec<Amount> {
    let (keys, incarnation) = (keys(), format!("pod-{pod}"));
    let (mut granted, mut spent) = (vec![0; keys.len()], vec![0; keys.len()]);
    for sequence in 1..=ROUNDS {
        let places: Vec<usize> = (0..keys.len()).collect();
        let mut reports = Vec::new();
        for place in turned(&places, pod) {
            let is_used_up = keys[place].meter != Meter::ConcurrentRequests;
            let now = if is_used_up { granted[place] } else { 0 };
            spent[place] += now;
            reports.push(Report { spent: now, wanted: 9, needed: 9, ..report(&keys[place], LIMIT) });
        }
        let usage = (0..20).map(|person| usage(&format!("person-{person}"), hour(), 1)).collect();
        let sent =
            Flush { usage: turned(&Vec::from_iter::<Vec<_>>(usage), pod), ..flush(&incarnation, sequence, reports) };
        for answer in insist(stage, &sent).await {
            let place = keys.iter().position(|key| *key == answer.key).unwrap();
            granted[place] = answer.granted;
        }
    }
    spent
}

/// As the flusher does: until it is answered. Now and then it sends a flush once more that was applied.
async fn insist(stage: &Stage, sent: &Flush) -> Vec<gateway::spend::escrow::Answer> {
    let mut tries = 0;
    loop {
        match stage.store.flush(sent, &patient()).await {
            Ok(_) if sent.sequence % 4 == 1 && tries == 0 => tries += 1,
            Ok(answers) => return answers,
            Err(StoreError::Unavailable(why)) => {
                assert!(!why.contains("deadlock"), "{why}");
                tries += 1;
                assert!(tries < 100, "{why}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_of_one_flush_at_once_count_once() {
    let stage = Stage::new(8).await;
    let day = key("ada", Meter::TokensPerDay);
    let spends = Report { spent: 5, held: 2, ..report(&day, 100) };
    let sent = Flush { usage: vec![usage("ada", hour(), 1)], ..flush("pod", 1, vec![spends]) };
    let pace = patient();
    let answers = join_all((0..8).map(|_| stage.store.flush(&sent, &pace))).await;
    assert!(answers.iter().all(|answers| answers.as_ref().unwrap().len() == 1));
    assert_eq!(stage.row(&day).await.unwrap().used, 5);
    assert_eq!(stage.usage(&day.subject).await, [usage("ada", hour(), 1)]);
    assert_eq!(stage.store.last_sequence_of("pod").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_flush_that_was_on_its_way_for_long_changes_nothing() {
    let stage = Stage::new(1).await;
    let day = key("ada", Meter::TokensPerDay);
    let of = |sequence, spent| {
        let reports = vec![Report { spent, ..report(&day, 100) }];
        Flush { usage: vec![usage("ada", hour(), 1)], ..flush("pod", sequence, reports) }
    };
    stage.store.flush(&of(1, 5), &patient()).await.unwrap();
    stage.store.flush(&of(2, 5), &patient()).await.unwrap();
    let before = stage.row(&day).await;
    assert_eq!(stage.store.flush(&of(1, 5), &patient()).await.unwrap(), []);
    assert_eq!(stage.row(&day).await, before);
    assert_eq!(stage.usage(&day.subject).await, [usage("ada", hour(), 2)]);
}

#[tokio::test]
async fn a_pod_whose_row_was_deleted_still_counts_once() {
    let stage = Stage::new(1).await;
    let sent = Flush { usage: vec![usage("ada", hour(), 1)], ..flush("pod", 7, Vec::new()) };
    for _ in 0..2 {
        stage.store.flush(&sent, &patient()).await.unwrap();
    }
    assert_eq!(stage.usage(&sent.usage[0].key.subject).await, [usage("ada", hour(), 1)]);
    assert_eq!(stage.store.live_pods().await.unwrap(), 0, "it has not said that it lives");
}
