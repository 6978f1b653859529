//! The cast (identity providers, model providers, Postgres, the gateway, Claude Code) and the promises checked against it.
//!
//! The gateway is a black box here: nothing in this crate knows its rooms.

pub mod cast;
pub mod chart;
