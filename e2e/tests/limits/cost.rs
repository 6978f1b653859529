//! What limits that are far away cost the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use e2e::cast::{
    client::Client,
    fleet::{Fleet, metric},
    people::People,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::person::{Turn, limited};

const PODS: usize = 3;
const PEOPLE: usize = 40;
const REQUESTS: usize = 2_400;
const AT_ONCE: usize = 24;

/// Heartbeat, look, flush, and what is asked now and then. At 1,000 requests a second this is 15 for 1,000 requests.
const A_SECOND_AND_POD: f64 = 5.0;

async fn statements(fleet: &Fleet) -> f64 {
    let mut sum = 0.0;
    for pod in &fleet.pods {
        sum += metric(pod, "store_statements_total").await.unwrap();
    }
    sum
}

/// All of them, by this many people in turn, each on every pod.
async fn ask_all(clients: Arc<Vec<Vec<Client>>>, requests: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (clients, next) = (clients.clone(), next.clone());
        running.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return;
                }
                let person = &clients[n % clients.len()];
                assert_eq!(Turn::of(100, 10).take(&person[n / clients.len() % PODS]).await, 200);
            }
        });
    }
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_far_away_are_not_asked_for_on_the_path() {
    let limits = json!({
        "tokens_per_minute": 50_000_000, "tokens_per_day": 500_000_000, "tokens_per_month": 5_000_000_000_u64,
        "requests_per_minute": 1_000_000, "concurrent_requests": 1_000,
    });
    let (fleet, _) = limited(PODS, limits).await;
    let people = People::of(&fleet.pods[0]).await.unwrap();
    let clients = Arc::new((0..PEOPLE).map(|n| fleet.clients_with(&people.bearer(&format!("person-{n}")))).collect());
    // Everybody's first request on each pod.
    ask_all(Arc::clone(&clients), PEOPLE * PODS).await;
    let (before, since) = (statements(&fleet).await, Instant::now());
    ask_all(clients, REQUESTS).await;
    let (spent, seconds) = (statements(&fleet).await - before, since.elapsed().as_secs_f64());
    println!("{spent} statements for {REQUESTS} requests in {seconds:.1} s");
    let most = A_SECOND_AND_POD * PODS as f64 * (seconds + 1.0);
    assert!(spent <= most, "{spent} statements in {seconds} s, for {REQUESTS} requests");
}
