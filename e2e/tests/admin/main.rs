//! What administrators are promised, seen from outside.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod credentials;
mod explain;
mod sessions;
mod stage;
