//! The cast's own stage.

pub use e2e::cast::stage::{MODEL, Stage};
