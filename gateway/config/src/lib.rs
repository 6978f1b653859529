//! The words of `gateway.yaml` and of a policy, validated.
//!
//! Invariant: a [`Config`] exists only if the whole file was valid; nothing downstream sees the raw file. This crate reads
//! the file it is given and the files that file names, and nothing else.

pub mod section;

pub use section::{
    Config,
    http::{AccessControl, Limits, RateLimit, RateLimits, Timeouts},
    listen::{Listen, PublicUrl, TlsFiles},
    models::ModelEntry,
    oidc::{ClientAuthentication, ClientCertificate, EmailClaim, GoogleGroups, Oidc, SigningAlgorithm},
    session::Session,
    store::{Readiness, Store},
    upstream::{AnthropicAuth, ModelGlob, Provider, StaticHeader, Upstream, WorkloadIdentity},
};
