//! How long a test waits for what must come.

use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until it is so.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, holds).await;
}

/// As [`eventually`], for what takes its time.
pub async fn eventually_within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < patience, "after {patience:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
