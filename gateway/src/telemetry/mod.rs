//! What leaves the pod about itself: audit lines.

pub mod audit;

pub use audit::Audit;
