//! What the operator can see: audit lines, logs and metrics.
//!
//! Invariant: no secret, prompt or completion is ever given to this room, and a reader that stops reading (a blocked pipe,
//! a full disk) never slows a request: lines are dropped and counted.

pub mod audit;
pub mod handles;
pub mod lines;
pub mod logs;
pub mod metrics;

pub use audit::Audit;
pub use handles::Handles;
pub use lines::Lines;
pub use metrics::Metrics;
