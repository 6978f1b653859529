//! How to reach a gateway's database with the role that owns its schema, and how long anything there may take.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use super::StoreError;

/// Until a connection stands.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A call that only reads, a free connection included.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// A call that writes a whole set, or makes roles.
pub(super) const WRITE: Duration = Duration::from_secs(60);
/// All migrations of a schema: one of them may build an index over a large table.
pub(super) const MIGRATE: Duration = Duration::from_secs(600);
/// Whoever waits for a lock holds up everybody behind it.
const LOCK: Duration = Duration::from_secs(5);
/// One for each of the controllers: a server counts them, and each one costs it a process.
const CONNECTIONS: u32 = 2;
const IDLE: Duration = Duration::from_secs(60);

/// Where a gateway's schema is. Two that are equal reach the same one.
#[derive(Debug, Clone)]
pub struct DatabaseAccess {
    /// A `postgres://` URL; it may hold the role and its password.
    pub url: SecretString,
    /// Used instead of the URL's.
    pub username: Option<String>,
    /// Used instead of the URL's.
    pub password: Option<SecretString>,
    /// A plain identifier.
    pub schema: String,
    /// Whom the server's certificate must be from; without it, what the URL's `sslmode` says holds with the system's.
    pub ca_pem: Option<String>,
}

impl PartialEq for DatabaseAccess {
    fn eq(&self, other: &Self) -> bool {
        let Self { url, username, password, schema, ca_pem } = self;
        let word = |password: &Option<SecretString>| password.as_ref().map(|word| word.expose_secret().to_owned());
        url.expose_secret() == other.url.expose_secret()
            && *username == other.username
            && word(password) == word(&other.password)
            && *schema == other.schema
            && *ca_pem == other.ca_pem
    }
}

impl DatabaseAccess {
    /// The same database, as another role.
    pub(super) fn as_role(&self, username: &str, password: &SecretString) -> Self {
        Self { username: Some(username.to_owned()), password: Some(password.clone()), ..self.clone() }
    }

    pub(super) fn pool(&self) -> Result<PgPool, StoreError> {
        let options = self.options(CALL)?;
        Ok(PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .connect_lazy_with(options))
    }

    /// A connection that no pool knows, whose statements may take this long.
    pub(super) async fn connection(&self, statement: Duration) -> Result<PgConnection, StoreError> {
        let options = self.options(statement)?;
        match tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(StoreError::Unavailable("no connection in time".to_owned())),
        }
    }

    /// The server gives up when the caller has.
    fn options(&self, statement: Duration) -> Result<PgConnectOptions, StoreError> {
        let mut options: PgConnectOptions =
            self.url.expose_secret().parse().map_err(|_: sqlx::Error| StoreError::BadUrl)?;
        if let Some(username) = &self.username {
            options = options.username(username);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        if let Some(pem) = &self.ca_pem {
            options = options.ssl_root_cert_from_pem(pem.clone().into_bytes());
        }
        let (statement, lock) = (statement.as_millis().to_string(), LOCK.as_millis().to_string());
        let limits =
            [("search_path", self.schema.as_str()), ("statement_timeout", &statement), ("lock_timeout", &lock)];
        // Statements of ours hold no secret, and the log is still no place for ten thousand policies.
        Ok(options.application_name("claude-gateway-operator").options(limits).disable_statement_logging())
    }
}
