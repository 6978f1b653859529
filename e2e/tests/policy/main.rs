//! What policies promise, seen from outside: from a file or from rows, on one pod or on several, with the store away.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod audit_mode;
mod file;
mod models;
mod outage;
mod retention;
mod rows;
