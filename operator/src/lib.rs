//! The operator: `ClaudeGateway` and `UserPolicy` objects become running gateways and policy rows.
//!
//! Invariant: only the holder of the lease writes, and what a status says was applied was applied. `engine` keeps the loops
//! alive and counted; `gateway` and `policy` are a controller each, five files in the order of a reconcile; `store` is the
//! only room that opens Postgres.

#![forbid(unsafe_code)]

pub mod check;
pub mod clock;
pub mod engine;
pub mod gateway;
pub mod import;
pub mod policy;
pub mod run;
pub mod store;
