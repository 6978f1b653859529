//! The cast's own stage.

pub(crate) use e2e::cast::stage::{MODEL, Stage};
