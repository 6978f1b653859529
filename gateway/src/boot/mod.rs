//! From a valid configuration to a serving process, and from a signal to its end.
//!
//! Invariant: no port opens before everything that a request needs is there; what is missing stops the boot with one line
//! that names it.

pub mod drain;
mod explain;
pub mod health;
mod policies;
pub mod prometheus;
pub mod pulse;
pub mod reload;
mod rooms;
pub mod start;
pub mod threads;

pub use drain::Lifecycle;
pub use explain::explain;
pub use pulse::Pulse;
pub use start::{Plan, Running, start};
