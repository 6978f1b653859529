//! What every controller runs in: leadership, watches, health, metrics, back-off and events.
//!
//! Invariant: nothing here knows what is reconciled.

pub mod settings;
