//! The relying party against a provider over HTTP: what it accepts, what it refuses, what it sends.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod client_authentication;
mod discovery;
mod google_groups;
#[path = "../stage/hands.rs"]
mod hands;
mod keys;
mod logs;
mod refusals;
#[path = "../stage/registration.rs"]
mod registration;
mod renewal;
mod sign_in;
mod stage;
