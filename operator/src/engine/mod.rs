//! What every controller runs in: leadership, watches, health, metrics, back-off and events.
//!
//! Invariant: nothing here knows what is reconciled. A write goes out only while this replica holds the lease, by its own
//! monotonic clock; a watch that fails delays no other; one object that cannot be read stops no other.

pub mod access;
pub mod backoff;
pub mod controller;
pub mod discovery;
pub mod events;
pub mod fence;
pub mod health;
pub mod leadership;
pub mod metrics;
pub mod progress;
pub mod scope;
pub mod settings;
pub mod watch;
pub mod witness;
