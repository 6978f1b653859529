//! A `gateway.yaml` in the making: everything has a default that works on loopback, and a test changes what it is about.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Binary, Gateway};
use crate::cast::{
    certificate::Authority,
    leash::Leash,
    openid::OpenIdProvider,
    ports::free_port,
    provider::{API_KEY, Provider},
};

/// The secret of both clients at every identity provider of the cast.
pub const CLIENT_SECRET: &str = "a-secret-of-the-cast";

/// JSON is YAML, so the file needs no writer of its own.
pub struct Config {
    pub(super) document: Value,
    pub(super) port: u16,
    /// Removes the home when nobody is left to do it.
    _leash: Leash,
    pub(super) home: TempDir,
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) binary: Binary,
    pub(super) log_to_file: bool,
}

impl Config {
    /// Reserves a port, so that the identity provider can be told where browsers come back to.
    pub(super) fn new() -> Result<Self> {
        let port = free_port()?;
        let home = tempfile::Builder::new().prefix("cast-gateway-").tempdir()?;
        let leash = Leash::new(r#"rm -rf -- "$1""#, [home.path()])?;
        let document = json!({
            "listen": {"host": "127.0.0.1", "port": port, "public_url": format!("http://localhost:{port}")},
            "oidc": {
                "client_id": "basic", "client_secret": CLIENT_SECRET,
                // The certified provider gives a refresh token only to somebody who was asked.
                "extra_auth_params": {"prompt": "consent"},
            },
            "session": {"jwt_secret": "a secret of the cast, and of nobody else: 0123456789"},
            "store": {"journal_dir": home.path().join("journal")},
            "upstreams": [],
        });
        let environment = BTreeMap::from([("CLAUDE_GATEWAY_ALLOW_LOOPBACK".to_owned(), "1".to_owned())]);
        Ok(Self {
            document,
            port,
            _leash: leash,
            home,
            authority: None,
            environment,
            binary: Binary::Ours,
            log_to_file: false,
        })
    }

    /// Listens there instead of on the port that was reserved.
    pub fn at_port(mut self, port: u16) -> Self {
        self.port = port;
        self.set("/listen/port", json!(port)).set("/listen/public_url", json!(format!("http://localhost:{port}")))
    }

    pub fn url(&self) -> String {
        self.document["listen"]["public_url"].as_str().unwrap_or_default().to_owned()
    }

    /// What the identity provider must allow.
    pub fn redirect_uri(&self) -> String {
        format!("{}/oauth/callback", self.url())
    }

    pub fn issuer(self, issuer: &str) -> Self {
        self.set("/oidc/issuer", json!(issuer))
    }

    /// The built-in provider, and this gateway's registration with it.
    pub fn identity(self, provider: &OpenIdProvider) -> Self {
        self.issuer(&provider.issuer())
            .set("/oidc/client_id", json!(provider.client_id()))
            .set("/oidc/client_secret", json!(provider.client_secret()))
    }

    pub fn store(self, postgres_url: &str) -> Self {
        self.set("/store/postgres_url", json!(postgres_url))
    }

    /// One more upstream, after those there are.
    pub fn upstream(mut self, name: &str, provider: &Provider) -> Self {
        let mut upstream =
            json!({"name": name, "provider": "anthropic", "base_url": provider.url(), "auth": {"api_key": API_KEY}});
        if let Some(pem) = provider.ca_pem() {
            upstream["ca_cert_pem"] = json!(pem);
        }
        if let Some(upstreams) = self.document["upstreams"].as_array_mut() {
            upstreams.push(upstream);
        }
        self
    }

    /// Sets any key, by a JSON pointer; what it stands in is made where it is missing.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.document;
        for word in pointer.split('/').skip(1) {
            place = match (place.is_array(), word.parse::<usize>()) {
                (true, Ok(index)) => &mut place[index],
                _ => &mut place[word],
            };
        }
        *place = value;
        self
    }

    /// Serves HTTPS by a certificate of an authority that [`Gateway::client`] trusts.
    pub fn tls(mut self) -> Result<Self> {
        let authority = Authority::new()?;
        let leaf = authority.loopback_leaf()?;
        let (cert, key) = (self.home.path().join("tls.crt"), self.home.path().join("tls.key"));
        std::fs::write(&cert, leaf.certificate_pem)?;
        std::fs::write(&key, leaf.key_pem)?;
        self.authority = Some(Arc::new(authority));
        let port = self.port;
        Ok(self
            .set("/listen/tls", json!({"cert": cert, "key": key}))
            .set("/listen/public_url", json!(format!("https://localhost:{port}"))))
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a variable out of the process's environment.
    pub fn without_environment(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A place for files that the configuration names.
    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Starts the reference gateway on this configuration instead of ours.
    pub fn reference(mut self) -> Self {
        self.binary = Binary::Reference;
        if let Some(store) = self.document["store"].as_object_mut() {
            store.remove("journal_dir");
        }
        self
    }

    /// Standard error goes to a file and is not read: a measurement should not pay for listening.
    pub fn log_to_file(mut self) -> Self {
        self.log_to_file = true;
        self
    }

    /// Starts the release build: for measurements.
    pub fn release(mut self) -> Self {
        self.binary = Binary::Release;
        self
    }

    /// Writes the file, starts the binary and waits until it is ready.
    pub async fn start(self) -> Result<Gateway> {
        self.write()?;
        Gateway::start(self).await
    }

    pub(super) fn write(&self) -> Result<()> {
        std::fs::write(self.file(), serde_json::to_vec_pretty(&self.document)?).context("gateway.yaml")
    }

    pub(super) fn file(&self) -> PathBuf {
        self.home.path().join("gateway.yaml")
    }
}
