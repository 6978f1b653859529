//! The `ClaudeGateway` controller: `dereference`, `validate`, `build`, `apply`, `update_status`, in that order.
//!
//! Invariant: only `dereference`, `apply` and `update_status` hold a client; what the middle two return is a function of what
//! they are given, so that two reconciles of one world build the same objects.

pub mod apply;
pub mod build;
pub mod dereference;
pub mod update_status;
pub mod validate;
