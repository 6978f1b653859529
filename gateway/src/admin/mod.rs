//! What operators do over HTTP: see and end sessions.
//!
//! Invariant: nothing here answers without an [`Administrator`], and nothing changes without a [`Writer`]; every act and every
//! refusal is in the audit. A surface: it decides nothing that the rooms below do not.

mod credential;
mod error;
mod query;
mod routes;
mod sessions;

pub use credential::AdminKeys;
pub use routes::{AdminParts, routes};

use credential::{Administrator, Writer};
use error::AdminError;
