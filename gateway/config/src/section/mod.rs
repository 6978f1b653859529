//! One file per section of `gateway.yaml`. These types hold only what was validated.

pub mod http;
pub mod listen;
pub mod models;
pub mod oidc;
pub mod session;
pub mod store;
pub mod upstream;

use std::path::PathBuf;

/// A whole, valid `gateway.yaml`.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: listen::Listen,
    pub oidc: oidc::Oidc,
    pub session: session::Session,
    pub store: store::Store,
    /// In the file's order; names are distinct.
    pub upstreams: Vec<upstream::Upstream>,
    pub models: Vec<models::ModelEntry>,
    pub auto_include_builtin_models: bool,
    pub access_control: http::AccessControl,
    pub limits: http::Limits,
    pub timeouts: http::Timeouts,
    pub rate_limits: http::RateLimits,
    /// Every file that was read for this configuration (itself, `${file:}` references, TLS): what a reload watches.
    pub files: Vec<PathBuf>,
}
