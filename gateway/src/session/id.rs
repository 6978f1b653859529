//! The name of one sign-in, from approval to sign-out.

use serde::{Deserialize, Serialize};

/// 128 random bits, base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);
