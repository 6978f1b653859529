//! What the ledger promises, whatever dies: three gateways on one Postgres, clients that know what each reply costs, and
//! somebody who kills.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod counts;
mod crashes;
mod cut;
mod fleet;
mod told;
mod traffic;
mod wire;

use std::time::Duration;

use e2e::cast::patience::eventually_within;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, holds).await;
}
