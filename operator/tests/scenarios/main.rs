//! Promises of the operator, held by the built binary against a real API server and controller manager, a real Postgres and
//! an identity provider. Each test has a namespace of its own, and an operator that may only what the chart's Role allows
//! there.
//!
//! No node runs pods, so tests mark pods ready themselves.

#![expect(clippy::unwrap_used, reason = "a stage that does not stand fails its test")]
#![expect(clippy::print_stdout, reason = "figures, to be read with --show-output")]

mod database;
mod definitions;
mod drift;
mod faults;
mod import;
mod installs;
mod leadership;
mod life;
mod order;
mod policies;
mod preflight;
mod references;
mod restricted;
mod rights;
mod stage;
mod verdicts;
