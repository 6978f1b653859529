//! Who administers: the holder of a static key, or a person in an administrators' group.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use gateway_config::{Admin, AdminKey};
use secrecy::ExposeSecret;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::{AdminError, routes::AdminState};
use crate::{
    door::{ClientAddress, RequestId},
    session::Verifier,
};

/// The keys and groups of the `admin` section; a changed file replaces them.
pub struct AdminKeys {
    known: ArcSwap<Known>,
}

struct Known {
    keys: Vec<KnownKey>,
    groups: Vec<String>,
}

struct KnownKey {
    id: String,
    hash: [u8; 32],
    may_write: bool,
}

/// The proof that somebody may read what administrators read.
#[derive(Debug, Clone)]
pub(super) struct Administrator {
    /// As the audit names them: `admin-key:<id>` or `oidc:<sub>`.
    pub(super) actor: String,
    may_write: bool,
}

/// The proof that they may change it.
#[derive(Debug, Clone)]
pub(super) struct Writer(pub(super) Administrator);

impl AdminKeys {
    pub fn new(admin: &Admin) -> Arc<Self> {
        Arc::new(Self { known: ArcSwap::from_pointee(Known::of(admin)) })
    }

    pub fn reload(&self, admin: &Admin) {
        self.known.store(Arc::new(Known::of(admin)));
    }

    /// The section is gone: nobody administers any more, though the routes stay until the next start.
    pub fn forget(&self) {
        self.known.store(Arc::new(Known { keys: Vec::new(), groups: Vec::new() }));
    }

    /// Every key is compared, so that the time says nothing of which one came close.
    fn holder(&self, unverified_key: &[u8]) -> Option<Administrator> {
        let presented = hash(unverified_key);
        let known = self.known.load();
        let mut holder = None;
        for KnownKey { id, hash, may_write } in &known.keys {
            if bool::from(hash.ct_eq(&presented)) {
                holder = Some(Administrator { actor: format!("admin-key:{id}"), may_write: *may_write });
            }
        }
        holder
    }

    fn member(&self, verifier: &Verifier, headers: &HeaderMap) -> Option<Administrator> {
        let admitted = verifier.admit_sender(headers).ok()?;
        let person = admitted.person();
        let administers = person.groups.iter().any(|group| self.known.load().groups.contains(group));
        administers.then(|| Administrator { actor: format!("oidc:{}", person.sub.0), may_write: true })
    }
}

impl Known {
    fn of(admin: &Admin) -> Self {
        let known = |key: &AdminKey, may_write| KnownKey {
            id: key.id.clone(),
            hash: hash(key.key.expose_secret().as_bytes()),
            may_write,
        };
        let writing = admin.write_keys.iter().map(|key| known(key, true));
        let reading = admin.read_keys.iter().map(|key| known(key, false));
        Self { keys: writing.chain(reading).collect(), groups: admin.admin_groups.clone() }
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key).as_ref());
    hash
}

impl<S> FromRequestParts<S> for Administrator
where
    S: Send + Sync,
    AdminState: FromRef<S>,
{
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        let state = AdminState::from_ref(state);
        let administrator = match parts.headers.get("x-api-key") {
            Some(key) => state.keys.holder(key.as_bytes()),
            None => state.keys.member(&state.verifier, &parts.headers),
        };
        administrator.ok_or_else(|| {
            deny(&state, parts, "no_credential", None);
            AdminError::Unauthenticated
        })
    }
}

impl<S> FromRequestParts<S> for Writer
where
    S: Send + Sync,
    AdminState: FromRef<S>,
{
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        let administrator = Administrator::from_request_parts(parts, state).await?;
        if !administrator.may_write {
            deny(&AdminState::from_ref(state), parts, "read_only", Some(&administrator.actor));
            return Err(AdminError::ReadOnly);
        }
        Ok(Self(administrator))
    }
}

fn deny(state: &AdminState, parts: &Parts, reason: &'static str, actor: Option<&str>) {
    let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    let client = parts.extensions.get::<ClientAddress>().map(|client| client.0.to_string());
    let fields = json!({"reason": reason, "actor": actor, "client": client, "path": parts.uri.path()});
    state.shared.metrics.refuse("admin_denied");
    match actor {
        Some(_) => state.audit.event("admin.denied", request_id, fields),
        None => state.audit.event_of_stranger("admin.denied", request_id, fields),
    }
}
