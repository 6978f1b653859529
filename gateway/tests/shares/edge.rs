//! What pods say to each other through the store.

use std::time::Instant;

use gateway::spend::{Counts, Meter};

use crate::stage::{Pod, schema};

const LIMIT: i64 = 1_000;

#[tokio::test]
async fn a_first_hold_asks_once_and_the_next_ones_ask_nobody() {
    let (config, journals) = (schema().await, tempfile::tempdir().unwrap());
    let pod = Pod::start(&config, journals.path(), "one").await;
    let flushing = pod.flushing();
    drop(pod.hold(Meter::TokensPerDay, LIMIT, 10).await);
    let before = pod.store.calls();
    for _ in 0..20 {
        drop(pod.hold(Meter::TokensPerDay, LIMIT, 10).await);
    }
    assert!(pod.store.calls() <= before + 2, "at most a flush and a census meanwhile");
    flushing.end().await;
    assert_eq!(pod.row(Meter::TokensPerDay).await, (0, 0));
}

#[tokio::test]
async fn what_lies_idle_on_one_pod_goes_to_the_one_that_waits() {
    let (config, journals) = (schema().await, tempfile::tempdir().unwrap());
    let one = Pod::start(&config, journals.path(), "one").await;
    let other = Pod::start(&config, journals.path(), "other").await;
    let (flushing, others) = (one.flushing(), other.flushing());
    let all = one.hold(Meter::TokensPerDay, LIMIT, LIMIT).await;
    drop(all);
    let since = Instant::now();
    let held = other.hold(Meter::TokensPerDay, LIMIT, 700).await;
    println!("the share came after {:?}", since.elapsed());
    assert!(one.hold(Meter::TokensPerDay, LIMIT, 300).await.tokens_of(&Counts::default()) == 0);
    let mut reply = other.reply(held);
    reply.record(Counts { requests: 1, input_tokens: 650, ..Counts::default() });
    drop(reply);
    flushing.end().await;
    others.end().await;
    assert_eq!(one.row(Meter::TokensPerDay).await, (650, 0));
}

#[tokio::test]
async fn one_place_on_two_pods_never_sticks() {
    let (config, journals) = (schema().await, tempfile::tempdir().unwrap());
    let one = Pod::start(&config, journals.path(), "one").await;
    let other = Pod::start(&config, journals.path(), "other").await;
    let (flushing, others) = (one.flushing(), other.flushing());
    for _ in 0..4 {
        drop(one.hold(Meter::ConcurrentRequests, 1, 1).await);
        drop(other.hold(Meter::ConcurrentRequests, 1, 1).await);
    }
    flushing.end().await;
    others.end().await;
    assert_eq!(one.row(Meter::ConcurrentRequests).await, (0, 0));
}
