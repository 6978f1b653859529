//! `session`: how long a sign-in lasts and what signs it.

use std::time::Duration;

use secrecy::SecretString;

#[derive(Debug, Clone)]
pub struct Session {
    /// The first signs and seals, all verify and open; 32 bytes or more each; never empty.
    pub jwt_secrets: Vec<SecretString>,
    /// Lifetime of an access token (`ttl_hours`), at least a minute.
    pub ttl: Duration,
    /// No session outlives it (`max_days`, ours).
    pub max_age: Duration,
}
