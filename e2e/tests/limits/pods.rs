//! One person on three pods: a limit is one limit, and nobody waits for what lies idle elsewhere.

use std::time::{Duration, Instant};

use e2e::cast::fleet::metric;
use serde_json::json;

use crate::{
    eventually,
    person::{Turn, limited},
};

/// The lease of a share, and a busy machine.
const LEASE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn one_place_on_three_pods_goes_wherever_it_is_needed() {
    let (_fleet, clients) = limited(3, json!({"concurrent_requests": 1})).await;
    let mut at_once = 0;
    for turn in 0..12 {
        let (here, elsewhere) = (&clients[turn % 3], &clients[(turn + 1) % 3]);
        let mut held = Turn::of(10, 10).lasting(Duration::from_secs(3)).ask(here).await;
        at_once += usize::from(held.status == 200);
        // A busy machine may take longer than the gateway waits.
        for _ in 0..5 {
            if held.status == 200 {
                break;
            }
            held = Turn::of(10, 10).lasting(Duration::from_secs(3)).ask(here).await;
        }
        assert_eq!(held.status, 200, "turn {turn}: the place of the pod before is idle");
        if turn % 4 == 0 {
            let refusal = Turn::of(10, 10).refused(elsewhere).await;
            assert_eq!((refusal.status, refusal.retry_after), (429, Some(1)));
            assert!(refusal.message.starts_with("your limit of 1 request at a time (concurrent_requests) is reached"));
        }
        // Whoever leaves gives the place back.
        drop(held);
    }
    assert!(at_once >= 9, "{at_once} of 12 got it at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_killed_pod_is_free_after_its_lease() {
    let (mut fleet, clients) = limited(3, json!({"concurrent_requests": 1})).await;
    let held = Turn::of(10, 10).lasting(Duration::from_secs(120)).ask(&clients[0]).await;
    assert_eq!(held.status, 200);
    // So that the store knows that it is held.
    tokio::time::sleep(Duration::from_secs(3)).await;
    fleet.pods[0].kill().await.unwrap();
    let since = Instant::now();
    assert_eq!(Turn::of(10, 10).ask(&clients[1]).await.status, 429, "nobody knows yet");
    eventually("the place is free", async || Turn::of(10, 10).take(&clients[2]).await == 200).await;
    assert!(since.elapsed() < LEASE + Duration::from_secs(8), "free after {:?}", since.elapsed());
    assert_eq!(Turn::of(10, 10).take(&clients[1]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_what_is_missing_lies_idle_elsewhere() {
    let (fleet, clients) = limited(3, json!({"tokens_per_day": 120_000, "requests_per_minute": 6_000})).await;
    // Everybody gets a share that is wide and idle, and learns what a request comes to.
    for client in &clients {
        assert_eq!(Turn::of(2_000, 100).take(client).await, 200);
    }
    assert_eq!(Turn::of(110_000, 100).take(&clients[1]).await, 200, "only together they have so much");
    assert_eq!(Turn::of(2_000, 100).take(&clients[2]).await, 200, "and what is left goes to whoever needs it");
    assert_eq!(Turn::of(8_000, 100).ask(&clients[0]).await.status, 429);
    for pod in &fleet.pods {
        assert_eq!(metric(pod, "limits_unchecked_total").await.unwrap(), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_on_one_pod_is_used_on_all() {
    let (_fleet, clients) = limited(3, json!({"tokens_per_day": 10_000})).await;
    let (mut used, mut turn) = (0, 0);
    while Turn::of(900, 100).take(&clients[turn % 3]).await == 200 {
        (used, turn) = (used + 1_000, turn + 1);
        assert!(used <= 20_000, "there is no limit");
    }
    assert!((8_000..=10_000).contains(&used), "{used} of 10,000");
}
