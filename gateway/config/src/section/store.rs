//! `store`: Postgres.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::{
    complaint::Complaint,
    fields::Fields,
    pem,
    vocabulary::{Fallback, Key, Shape, Table},
};

pub(crate) static STORE: Table = Table {
    about: "The Postgres database.",
    keys: &[&[
        Key::required(
            "postgres_url",
            Shape::Secret,
            "A postgres:// or postgresql:// URL with one host. A password is better kept in `password`.",
        ),
        Key::optional("username", Shape::Text, "Used instead of the user in the URL."),
        Key::optional("password", Shape::Secret, "Used instead of the password in the URL; any characters."),
        Key::optional("max_connections", Shape::Whole(1, 1_000), "Connections that each replica may hold open.")
            .or(Fallback::Whole(5)),
        Key::optional("connect_timeout_seconds", Shape::Whole(1, 60), "How long opening a connection may take.")
            .or(Fallback::Whole(5)),
        Key::optional(
            "readiness_grace_seconds",
            Shape::Whole(0, 3_600),
            "How long /readyz stays ready after the database stops answering.",
        )
        .or(Fallback::Whole(0)),
        Key::optional("schema", Shape::Text, "The schema of the gateway's own tables.").or(Fallback::Text("claude_gateway")),
        Key::optional("migrate", Shape::Flag, "Create and alter tables at start; false where somebody else does.")
            .or(Fallback::Flag(true)),
        Key::optional(
            "readiness",
            Shape::Choice(&["strict", "booted"]),
            "strict: a replica whose database does not answer is not ready. booted: once ready, it stays so until it drains.",
        )
        .or(Fallback::Text("strict")),
        Key::optional("journal_dir", Shape::Text, "Directory of the usage journal; keep it over restarts.")
            .or(Fallback::Text("/tmp/claude-gateway")),
        Key::optional("ca_cert_pem", Shape::Text, "The CA certificate itself, in PEM form, that the database's must be from."),
    ]],
};

#[derive(Debug, Clone)]
pub struct Store {
    /// One host; `username` and `password` of the file are already in it.
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

impl Store {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let username = fields.owned("username");
        let password = fields.text("password");
        let postgres_url = fields.parsed("postgres_url", |text| postgres_url(text, username.as_deref(), password));
        let schema = fields.parsed("schema", schema);
        let ca_cert_pem = fields.parsed("ca_cert_pem", pem::trust_store);
        let readiness = match fields.text("readiness")? {
            "booted" => Readiness::Booted,
            _ => Readiness::Strict,
        };
        Some(Self {
            postgres_url: postgres_url?,
            username,
            password: fields.secret("password"),
            max_connections: fields.whole("max_connections")?,
            connect_timeout: Duration::from_secs(fields.whole("connect_timeout_seconds")?),
            readiness_grace: Duration::from_secs(fields.whole("readiness_grace_seconds")?),
            schema: schema?,
            migrate: fields.flag("migrate")?,
            readiness,
            journal_dir: fields.text("journal_dir")?.into(),
            ca_cert_pem,
        })
    }
}

fn postgres_url(text: &str, username: Option<&str>, password: Option<&str>) -> Result<SecretString, Complaint> {
    let scheme = text.split_once("://");
    let Some((_, rest)) = scheme.filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql")) else {
        return Err(Complaint::new(
            "is no Postgres URL",
            "write one such as postgres://gateway@db.example.com:5432/gateway",
        ));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let url = Url::parse(text).ok();
    let more_hosts = |url: &Url| url.query_pairs().any(|(name, hosts)| name == "host" && hosts.contains(','));
    if hosts.contains(',') || url.as_ref().is_some_and(more_hosts) {
        return Err(Complaint::new("names more than one host", "write the one address of the primary"));
    }
    if hosts.is_empty() {
        return Err(Complaint::new(
            "names no host",
            "write it after the slashes; for a socket its directory, as in postgres://%2Frun%2Fpostgresql/gateway",
        ));
    }
    let applied = url.and_then(|mut url| {
        username.map_or(Ok(()), |name| url.set_username(name)).ok()?;
        password.map_or(Ok(()), |word| url.set_password(Some(word))).ok()?;
        Some(SecretString::from(url.as_str()))
    });
    // A password with `/`, `#` or `@` in it cuts the URL at the wrong place.
    applied.ok_or_else(|| Complaint::new("cannot be read as a URL", "move the password to store.password"))
}

fn schema(text: &str) -> Result<String, Complaint> {
    let mut bytes = text.bytes();
    let plain = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && text.len() <= 63;
    if !plain {
        return Err(Complaint::new(
            "is no plain identifier",
            "write lower-case letters, digits and underscores, 63 at most",
        ));
    }
    if text.starts_with("pg_") || text == "information_schema" {
        return Err(Complaint::new("belongs to Postgres itself", "choose another name"));
    }
    Ok(text.to_owned())
}
