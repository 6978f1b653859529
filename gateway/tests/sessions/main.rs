//! Sign-in, tokens and revocation over the whole surface: a real Postgres, a scripted OpenID provider, a clock with hands, and
//! as many pods on one schema as a promise needs.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod at_rest;
mod browser;
mod callback;
mod crowd;
mod device;
#[path = "../stage/hands.rs"]
mod hands;
mod limits;
mod outage;
mod pages;
mod polling;
mod refresh;
#[path = "../stage/registration.rs"]
mod registration;
mod revocation;
mod schema;
mod stage;
