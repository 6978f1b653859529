//! Files that change while the process runs: TLS, signing secrets, upstream credentials, the client's secret at the identity
//! provider, the store's password.
//!
//! The whole configuration is read again and judged like at boot. An invalid one changes nothing; in a valid one, what can
//! change in place does, and the rest is named as needing a new process. Files are looked at rather than watched: a
//! Kubernetes volume swaps a link, and a look every other second is cheap.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway_config::{Config, Environment, Provider, restart_needed};

use crate::{
    door::tls::Certificate, identity::RelyingParty, inference::Shared, session::KeyRing, store::Store, telemetry::Audit,
};

const LOOK: Duration = Duration::from_secs(2);

/// What takes a change in place.
pub struct Reloader {
    pub path: PathBuf,
    pub environment: Environment,
    pub keys: Arc<KeyRing>,
    pub store: Arc<Store>,
    pub relying_party: Arc<RelyingParty>,
    pub shared: Arc<Shared>,
    pub certificate: Option<Arc<Certificate>>,
    pub audit: Audit,
}

/// Enough to see that a file was replaced or written.
type Mark = Option<(SystemTime, u64)>;

impl Reloader {
    /// Never ends.
    pub async fn run(self, mut current: Config) {
        let mut seen = marks(&self.path, &current.files);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = marks(&self.path, &current.files);
            if now == seen {
                continue;
            }
            match Config::load(&self.path, &self.environment) {
                Ok(loaded) => {
                    self.apply(&current, &loaded.config);
                    current = loaded.config;
                    seen = marks(&self.path, &current.files);
                }
                Err(errors) => {
                    tracing::error!(%errors, "the changed configuration is not valid; the old one stays");
                    self.audit.event("config.load", "", serde_json::json!({"outcome": "refused"}));
                    seen = now;
                }
            }
        }
    }

    fn apply(&self, old: &Config, new: &Config) {
        let waiting = restart_needed(old, new);
        if !waiting.is_empty() {
            tracing::warn!(fields = waiting.join(", "), "these changes need a new process");
        }
        if let Err(error) = self.keys.reload(&new.session.jwt_secrets) {
            tracing::error!(%error, "session.jwt_secret was not taken over");
        }
        if let Err(error) = self.store.reload(&new.store) {
            tracing::error!(%error, "the store's password was not taken over");
        }
        self.relying_party.reload_credentials(&new.oidc);
        self.upstreams(new);
        if let (Some(certificate), Some(files)) = (&self.certificate, &new.listen.tls) {
            if let Err(error) = certificate.reload(files) {
                tracing::error!(%error, "the certificate was not taken over");
            }
        }
        self.audit.event("config.load", "", serde_json::json!({"outcome": "reloaded", "needs_restart": waiting}));
        tracing::info!("the configuration was read again");
    }

    fn upstreams(&self, new: &Config) {
        for upstream in &self.shared.upstreams {
            let Some(configured) = new.upstreams.iter().find(|configured| configured.name == upstream.name) else {
                continue;
            };
            let Provider::Anthropic { auth, .. } = &configured.provider;
            if !upstream.reload_credential(auth) {
                tracing::error!(upstream = upstream.name, "the credential was not taken over: it is of another kind");
            }
        }
    }
}

fn marks(path: &Path, files: &[PathBuf]) -> Vec<Mark> {
    let mark = |path: &Path| -> Mark {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    std::iter::once(path).chain(files.iter().map(PathBuf::as_path)).map(mark).collect()
}
