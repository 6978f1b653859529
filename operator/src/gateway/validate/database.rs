//! How the operator reaches the database, and what of that pods are told.

use crds::gateway::database::{Database, SslMode};
use secrecy::SecretString;
use url::Url;

use super::values::Values;
use crate::{
    gateway::condition::{Finding, Reason},
    store::DatabaseAccess,
};

/// How the operator reaches the database, and the URL that pods are given.
pub(super) fn database(database: &Database, values: &Values<'_>) -> Result<(DatabaseAccess, String), Finding> {
    let invalid = |message: &str| Finding::bad(Reason::DatabaseUrlInvalid, message);
    let url = match (&database.url_secret_ref, &database.host) {
        (Some(key), _) => values.text(&key.name, &key.key)?,
        (None, Some(host)) => written(database, host),
        (None, None) => return Err(invalid("database names no server: write urlSecretRef, or host and name.")),
    };
    let mut bare = Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.has_host())
        .ok_or_else(|| invalid("The database's URL cannot be read. Write one such as postgres://db.example.com:5432/gateway into the Secret."))?;
    let cleared = bare.set_password(None).and_then(|()| bare.set_username(""));
    cleared.map_err(|()| invalid("The database's URL cannot be read. Write one with a host into the Secret."))?;
    let (username, password) = match &database.migration_secret_ref {
        Some(role) => {
            let password = values.text(&role.name, &role.password_key)?;
            (Some(values.text(&role.name, &role.username_key)?), Some(SecretString::from(password)))
        }
        None => (None, None),
    };
    let ca_pem = database.ca_certificate.as_ref().map(|ca| values.ca(ca)).transpose()?;
    let access = DatabaseAccess { url: url.into(), username, password, schema: database.schema.clone(), ca_pem };
    Ok((access, bare.into()))
}

fn written(database: &Database, host: &str) -> String {
    let port = database.port.unwrap_or(5432);
    let name = database.name.as_deref().unwrap_or_default();
    let default = if database.ca_certificate.is_some() { SslMode::VerifyFull } else { SslMode::Require };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("postgres://{host}:{port}/{name}?sslmode={}", database.ssl_mode.unwrap_or(default).word())
}
