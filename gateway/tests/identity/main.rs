//! The relying party against a provider over HTTP: what it accepts, what it refuses, what it sends.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod client_authentication;
mod discovery;
mod google_groups;
mod keys;
mod logs;
mod refusals;
mod renewal;
mod sign_in;
mod stage;
