//! What operators do over HTTP: see and end sessions, ask why a policy decides as it does.
//!
//! Invariant: nothing here answers without an [`Administrator`], and nothing changes without a [`Writer`]; every act and every
//! refusal is in the audit. A surface: it decides nothing that the rooms below do not.

mod credential;
mod error;
mod explain;
mod query;
mod routes;
mod sessions;

pub use credential::AdminKeys;
pub use explain::{Explained, Explainer, Question};
pub use routes::{AdminParts, routes};

use credential::{Administrator, Writer};
use error::AdminError;
