//! Sessions: mint, verify, refresh, revoke (`state.md`, "Sessions and refresh").
//!
//! Invariant: verification of an access token never touches the store.

pub mod access_token;
pub mod chance;
pub mod id;
pub mod journal;
pub mod keys;
pub mod lifetimes;
mod outage;
pub mod refresh;
pub mod refresh_token;
pub mod revocations;
pub mod rotation;
pub mod sealed;
pub mod sessions;
mod upkeep;
mod verified;

pub use access_token::{Admitted, BearerRefusal, Verifier, bearer};
pub use id::SessionId;
pub use journal::Journal;
pub use keys::KeyRing;
pub use lifetimes::Lifetimes;
pub use refresh::{RefreshError, Refusal};
pub use revocations::Revocations;
pub use sessions::{SessionParts, Sessions, Tokens};
