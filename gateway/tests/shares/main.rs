//! Ledgers, books and flushers of several pods on one real Postgres, without the requests that use them.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod edge;
mod replay;
mod stage;
