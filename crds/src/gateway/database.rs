//! The Postgres database, and the two roles on it: one that alters tables, one that the pods have.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    secret::{CaCertificate, CredentialsRef, SecretKeyRef},
    text,
};

/// Named by `urlSecretRef`, or by `host` and `name`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.urlSecretRef) != has(self.host)",
    "write one of urlSecretRef and host: either a Secret holds the whole URL, or host, port and name say where it is",
))]
#[x_kube(validation = (
    "!has(self.host) || (has(self.name) && has(self.migrationSecretRef))",
    "name and migrationSecretRef go with host: write which database it is, and the Secret with the role that may alter it",
))]
#[x_kube(validation = (
    "has(self.host) || (!has(self.port) && !has(self.name) && !has(self.sslMode))",
    "port, name and sslMode go with host: remove them, the URL of urlSecretRef says them",
))]
pub struct Database {
    /// A key with a `postgres://` URL of one host. Its user, where it has one, is the role that migrates, unless
    /// `migrationSecretRef` names another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<SecretKeyRef>,
    /// The name or the address of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::database_host")]
    pub host: Option<String>,
    /// The port; 5432 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// The database's name. It cannot change: the gateway's state is in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::database_name")]
    #[x_kube(validation = (
        "self == oldSelf",
        "cannot change, the gateway's state is in that database: make a new ClaudeGateway for another one",
    ))]
    pub name: Option<String>,
    /// How TLS is used, in libpq's words: disable, require, verify-ca or verify-full. Unless said verify-full where
    /// `caCertificate` is set, else require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_mode: Option<SslMode>,
    /// CA certificates that the server's has to be from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<CaCertificate>,
    /// The role that creates and alters the gateway's tables. Pods never get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_secret_ref: Option<CredentialsRef>,
    /// The role that the pods have. Unless said the operator makes it and rotates its password, for which the migrating role
    /// needs CREATEROLE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_secret_ref: Option<CredentialsRef>,
    /// The schema of the gateway's own tables; each gateway on a database has its own. It cannot change.
    #[serde(default = "claude_gateway")]
    #[schemars(schema_with = "text::database_schema")]
    #[x_kube(validation = (
        "self == oldSelf",
        "cannot change, the gateway's state is in that schema: make a new ClaudeGateway for another one",
    ))]
    pub schema: String,
    /// Connections that each pod may hold open.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1_000))]
    pub max_connections: u32,
    /// How long opening a connection may take.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 60))]
    pub connect_timeout_seconds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SslMode {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// As a connection URL says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

fn claude_gateway() -> String {
    "claude_gateway".into()
}

fn five() -> u32 {
    5
}
