//! `store`: Postgres.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

#[derive(Debug, Clone)]
pub struct Store {
    /// One host; `username` and `password` of the file are already applied by the reader of this value.
    pub postgres_url: SecretString,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub max_connections: u32,
    pub connect_timeout: Duration,
    pub readiness_grace: Duration,
    /// A plain identifier.
    pub schema: String,
    pub migrate: bool,
    pub readiness: Readiness,
    pub journal_dir: PathBuf,
    pub ca_cert_pem: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// An unreachable store makes a pod unready after the grace.
    Strict,
    /// Once ready, only draining makes a pod unready.
    Booted,
}
