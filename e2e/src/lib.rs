//! The cast (identity providers, model providers, Postgres, the gateway, Claude Code), the Kubernetes they meet in, and the
//! promises checked against it.
//!
//! The gateway, the operator and the chart are black boxes here: nothing in this crate knows their rooms.

pub mod cast;
pub mod cluster;
