//! What token limits promise, seen from outside: one request, one person on many pods, a store that is away.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod cost;
mod edge;
mod one_request;
mod outage;
mod person;
mod pods;
mod race;
mod trial;

use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until it is so.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
