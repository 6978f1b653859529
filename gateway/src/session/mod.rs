//! Sessions: mint, verify, refresh, revoke (`state.md`, "Sessions and refresh").
//!
//! Invariant: verification of an access token never touches the store.

pub mod id;

pub use id::SessionId;
