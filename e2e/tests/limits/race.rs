//! Many clients of one person at the edge of a limit, on three pods.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::cast::client::Client;
use serde_json::json;
use tokio::task::JoinSet;

use crate::person::{Turn, limited};

const CLIENTS: usize = 64;
const LIMIT: u64 = 120_000;

struct Outcome {
    passed: u64,
    refused: u64,
    elapsed: Duration,
}

/// Everybody asks again and again, until so many were refused and some time has passed.
async fn run(clients: &[Client], turn: Turn) -> Outcome {
    let (over, passed, refused) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let since = Instant::now();
    let mut running = JoinSet::new();
    for n in 0..CLIENTS {
        let (client, over) = (clients[n % clients.len()].clone(), over.clone());
        let (passed, refused) = (passed.clone(), refused.clone());
        running.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match turn.take(&client).await {
                    200 => passed.fetch_add(1, Ordering::Relaxed),
                    429 => refused.fetch_add(1, Ordering::Relaxed),
                    other => panic!("{other}"),
                };
            }
        });
    }
    while refused.load(Ordering::Relaxed) < CLIENTS as u64 || since.elapsed() < Duration::from_secs(5) {
        assert!(since.elapsed() < Duration::from_secs(90), "nobody was refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    over.store(true, Ordering::Relaxed);
    running.join_all().await;
    Outcome {
        passed: passed.load(Ordering::Relaxed),
        refused: refused.load(Ordering::Relaxed),
        elapsed: since.elapsed(),
    }
}

/// What a bucket of one minute holds, and what came into it meanwhile.
fn allowed(elapsed: Duration) -> u64 {
    LIMIT + (LIMIT as f64 * elapsed.as_secs_f64() / 60.0).ceil() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_estimated_well_do_not_overrun_a_minutes_limit() {
    let (_fleet, clients) = limited(3, json!({"tokens_per_minute": LIMIT})).await;
    let turn = Turn::of(1_500, 500).lasting(Duration::from_millis(200));
    let Outcome { passed, refused, elapsed } = run(&clients, turn).await;
    let (used, allowed) = (passed * 2_000, allowed(elapsed));
    println!("{passed} passed and {refused} were refused in {elapsed:?}: {used} tokens of {allowed}");
    assert!(used <= allowed, "{used} of {allowed}");
    assert!(used + used / 5 >= LIMIT, "{used}: nobody is refused while shares lie idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overrun_is_at_most_the_error_of_the_estimates_in_flight() {
    let (_fleet, clients) = limited(3, json!({"tokens_per_minute": LIMIT})).await;
    // Taken for 1,550 at first, and comes to 3,000.
    let turn = Turn { max_tokens: 50, output: 1_500, ..Turn::of(1_500, 0) }.lasting(Duration::from_millis(400));
    let Outcome { passed, refused, elapsed } = run(&clients, turn).await;
    let (used, error) = (passed * 3_000, CLIENTS as u64 * 1_450);
    let allowed = allowed(elapsed) + error;
    println!("{passed} passed and {refused} were refused in {elapsed:?}: {used} tokens of {allowed}");
    assert!(used <= allowed, "{used} of {allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_run_at_once_than_may() {
    let (_fleet, clients) = limited(3, json!({"concurrent_requests": 4})).await;
    let turn = Turn::of(10, 10).lasting(Duration::from_millis(300));
    let Outcome { passed, refused, elapsed } = run(&clients, turn).await;
    // Four places, each for 300 ms at least.
    let most = (elapsed.as_secs_f64() / 0.3).ceil() as u64 * 4 + 4;
    println!("{passed} passed and {refused} were refused in {elapsed:?}: at most {most}");
    assert!(passed <= most, "{passed} of {most}");
    assert!(passed >= 4 * 4, "{passed}: places are used again");
}
