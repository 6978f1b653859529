//! What token limits promise, seen from outside: one request, one person on many pods, a store that is away.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod change;
mod cost;
mod edge;
mod one_request;
mod outage;
mod person;
mod pods;
mod race;
mod trial;

use std::time::Duration;

use e2e::cast::patience::eventually_within;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, holds).await;
}
