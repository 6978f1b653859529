//! `listen`: where the gateway serves, and the only source of its own origin.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use url::Url;

#[derive(Debug, Clone)]
pub struct Listen {
    pub host: String,
    pub port: u16,
    pub public_url: PublicUrl,
    pub tls: Option<TlsFiles>,
    pub trusted_proxies: Vec<IpNet>,
    /// `listen.metrics` (ours): Prometheus and nothing else.
    pub metrics: Option<SocketAddr>,
}

/// An origin: `https`, or `http` on loopback; no path, query or credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The caller (validation, or a test) has checked that this is a bare origin.
    pub fn from_origin(url: Url) -> Self {
        Self(url)
    }

    /// The origin without a trailing slash, as it stands in `issuer` and `iss`.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// An absolute URL below the origin; `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    pub fn url(&self) -> &Url {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}
