//! The words of `gateway.yaml` and of a policy, validated.
//!
//! Invariant: a [`Config`] exists only if the whole file was valid; nothing downstream sees the raw file. This crate reads
//! the file it is given and the files that file names, and nothing else. No complaint quotes a value.
//!
//! The way of a file: `yaml` makes a tree of it, `check` holds the tree against the tables of `vocabulary` (and `expansion`
//! fills in variables and files), each section reads its own type through `fields`, `rules` compares sections, `not_yet`
//! refuses what this version does not do.

mod address;
mod check;
mod complaint;
mod environment;
mod expansion;
mod fields;
mod header;
mod load;
mod not_yet;
mod path;
mod pem;
mod reload;
mod rules;
mod schema;
pub mod section;
mod vocabulary;
mod yaml;

pub use complaint::{ConfigError, ConfigErrors, Warning};
pub use environment::{Environment, LogLevel, ProcessSettings};
pub use expansion::{Disk, Files, references};
pub use load::{Loaded, tree};
pub use path::FieldPath;
pub use reload::restart_needed;
pub use schema::schema;
pub use section::{
    Config,
    admin::{Admin, AdminKey, Enforcement},
    http::{AccessControl, Limits, RateLimit, RateLimits, Timeouts},
    listen::{Listen, PublicUrl, TlsFiles},
    managed::{
        Managed, Matcher, Policy, PolicyMode, PolicySource, Retention, TelemetryDetail, TokenLimits, UpstreamRetention,
    },
    models::ModelEntry,
    oidc::{ClientAuthentication, ClientCertificate, EmailClaim, GoogleGroups, Oidc, SigningAlgorithm},
    session::Session,
    store::{Readiness, Store},
    upstream::{AnthropicAuth, ModelGlob, Provider, StaticHeader, Upstream, WorkloadIdentity},
};
