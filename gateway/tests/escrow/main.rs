//! The store's side of limits, on a real Postgres: that the function `flush` is the row's state machine, that crowds of pods do
//! not break it, and what it costs.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod cost;
mod crowd;
mod deletion;
mod equal;
mod rights;
mod rings;
mod stage;
