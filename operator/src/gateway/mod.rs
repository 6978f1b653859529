//! The `ClaudeGateway` controller: `dereference`, `validate`, `build`, `apply`, `update_status`, in that order, with a probe of
//! Postgres and the identity provider before the build.
//!
//! Invariant: only `sight`, through which `dereference` and `apply` read, `apply` and `update_status` hold a client of the API
//! server; what `validate` and `build` return is a function of what they are given, so that two reconciles of one world build
//! the same objects.

pub mod apply;
pub mod build;
pub mod condition;
pub mod controller;
pub mod dereference;
pub mod drift;
#[cfg(test)]
mod fixtures;
pub mod issuer;
pub mod keys;
pub mod kinds;
pub mod login;
pub mod probe;
pub mod reconcile;
pub mod references;
pub mod rendering;
#[cfg(test)]
mod server;
pub mod sight;
pub mod status;
pub mod told;
pub mod update_status;
pub mod validate;
