//! Files that change while the process runs: policies, TLS, signing secrets, upstream credentials, the client's secret at the
//! identity provider, the store's role and password.
//!
//! The whole configuration is read again and judged like at boot. An invalid one changes nothing; in a valid one, what can
//! change in place does, and the rest is named as needing a new process. Files are looked at rather than watched: a
//! Kubernetes volume swaps a link, and a look twice a second is cheap and soon enough for a policy to hold within one.

use std::{
    fmt::Display,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway_config::{Config, ConfigErrors, Environment, Managed, PolicySource, Provider, restart_needed};
use serde_json::json;

use crate::{
    admin::AdminKeys,
    door::tls::Certificate,
    identity::RelyingParty,
    inference::Shared,
    policy::{LivePolicies, PolicySet, Revision},
    session::KeyRing,
    store::Store,
    telemetry::Audit,
};

const LOOK: Duration = Duration::from_millis(500);

/// What takes a change in place.
pub struct Reloader {
    pub path: PathBuf,
    pub environment: Environment,
    pub keys: Arc<KeyRing>,
    pub store: Arc<Store>,
    pub relying_party: Arc<RelyingParty>,
    pub shared: Arc<Shared>,
    pub certificate: Option<Arc<Certificate>>,
    /// Where policies are the file's.
    pub policies: Option<Arc<LivePolicies>>,
    pub admin_keys: Option<Arc<AdminKeys>>,
    pub audit: Audit,
}

/// Enough to see that a file was replaced or written.
#[derive(Debug, PartialEq, Eq)]
pub struct Marks(Vec<Option<(SystemTime, u64, u64)>>);

impl Marks {
    pub fn of(path: &Path, files: &[PathBuf]) -> Self {
        let mark = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        Self(std::iter::once(path).chain(files.iter().map(PathBuf::as_path)).map(mark).collect())
    }
}

impl Reloader {
    /// Never ends. `booted` is what the process runs with, and stays the measure of what needs a new one; `seen` is how the
    /// files looked before it was read, because what changes meanwhile is a change too.
    pub async fn run(self, booted: Config, mut seen: Marks) {
        let (mut files, mut refused) = (booted.files.clone(), None);
        loop {
            tokio::time::sleep(LOOK).await;
            let mut now = Marks::of(&self.path, &files);
            // What a refused configuration waits for may be a file that nobody has named so far: it is judged at every look.
            if now == seen && refused.is_none() {
                continue;
            }
            let mut read = Config::load(&self.path, &self.environment);
            if let Ok(loaded) = &read
                && loaded.config.files != files
            {
                // Only a reading says which files there are to look at, and a look has to come before the reading.
                files.clone_from(&loaded.config.files);
                now = Marks::of(&self.path, &files);
                read = Config::load(&self.path, &self.environment);
            }
            match read {
                Ok(loaded) => {
                    self.apply(&booted, &loaded.config);
                    (files, refused) = (loaded.config.files, None);
                }
                Err(errors) => self.refuse(in_one_line(&errors), &mut refused),
            }
            seen = now;
        }
    }

    /// Says each refusal once.
    fn refuse(&self, errors: String, refused: &mut Option<String>) {
        if refused.as_ref() != Some(&errors) {
            tracing::error!(%errors, "the changed configuration is not valid; the old one stays");
            self.audit.event("config.load", "", json!({"outcome": "refused"}));
            if let Some(live) = &self.policies {
                live.refused();
                self.reloaded(live, "refused");
            }
            *refused = Some(errors);
        }
    }

    fn apply(&self, booted: &Config, new: &Config) {
        let waiting = restart_needed(booted, new);
        if !waiting.is_empty() {
            tracing::warn!(fields = waiting.join(", "), "these changes need a new process");
        }
        if let Some(keys) = &self.admin_keys {
            new.admin.as_ref().map_or_else(|| keys.forget(), |admin| keys.reload(admin));
        }
        self.relying_party.reload_credentials(&new.oidc);
        let certificate = match (&self.certificate, &new.listen.tls) {
            (Some(certificate), Some(files)) => certificate.reload(files),
            _ => Ok(()),
        };
        self.policies(new);
        let mut failed = self.upstreams(new);
        failed.extend(failure("session.jwt_secret", self.keys.reload(&new.session.jwt_secrets)));
        failed.extend(failure("store", self.store.reload(&new.store)));
        failed.extend(failure("listen.tls", certificate));
        let outcome = if failed.is_empty() { "reloaded" } else { "incomplete" };
        let fields = json!({"outcome": outcome, "needs_restart": waiting, "not_taken": failed});
        self.audit.event("config.load", "", fields);
        tracing::info!("the configuration was read again");
    }

    fn policies(&self, new: &Config) {
        let Some(live) = &self.policies else { return };
        let policies = match &new.managed {
            None => &[][..],
            Some(Managed { source: PolicySource::File, policies }) => policies,
            // That needs a new process; what holds stays.
            Some(Managed { source: PolicySource::Store, .. }) => return,
        };
        live.taken();
        if !live.holds(policies) {
            live.replace(PolicySet::of_file(Revision(live.revision().0 + 1), policies));
            self.reloaded(live, "taken");
        }
    }

    fn reloaded(&self, live: &LivePolicies, outcome: &str) {
        let fields =
            json!({"source": "file", "outcome": outcome, "revision": live.revision(), "policies": live.count()});
        self.audit.event("policy.reload", "", fields);
    }

    /// The credentials that were not taken over.
    fn upstreams(&self, new: &Config) -> Vec<String> {
        let mut failed = Vec::new();
        for upstream in &self.shared.upstreams {
            let Some(configured) = new.upstreams.iter().find(|configured| *configured.name == *upstream.name) else {
                continue;
            };
            let Provider::Anthropic { auth, .. } = &configured.provider;
            let taken = upstream.reload_credential(auth).then_some(()).ok_or("it is of another kind");
            failed.extend(failure(&format!("upstreams.{}.auth", upstream.name), taken));
        }
        failed
    }
}

/// The field, where its change could not be taken.
fn failure<E: Display>(field: &str, taken: Result<(), E>) -> Option<String> {
    let error = taken.err()?;
    tracing::error!(field, %error, "the change was not taken over");
    Some(field.to_owned())
}

/// A log line ends where it ends.
fn in_one_line(errors: &ConfigErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
