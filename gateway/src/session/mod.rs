//! Sessions: mint, verify, refresh, revoke (`state.md`, "Sessions and refresh").
//!
//! Invariant: verification of an access token never touches the store.

pub mod access_token;
pub mod chance;
pub mod id;
pub mod keys;
pub mod lifetimes;
pub mod revocations;
pub mod sealed;
mod verified;

pub use access_token::{Admitted, BearerRefusal, Verifier, bearer};
pub use id::SessionId;
pub use keys::KeyRing;
pub use lifetimes::Lifetimes;
pub use revocations::Revocations;
