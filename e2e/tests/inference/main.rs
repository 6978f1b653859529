//! What the data path promises, seen from outside: the built binary between a client and scripted model providers.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod bearers;
mod bodies;
mod drain;
mod failover;
mod hostile;
mod listing;
mod passing;
mod refusals;
mod smuggling;
mod stage;
mod streams;
