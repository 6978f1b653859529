//! What the sign-in surface is made of, and how each endpoint gets the part that it needs.

use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use axum::extract::FromRef;
use gateway_config::{PublicUrl, RateLimits};

use super::{full::FullWindows, grants::DeviceGrants, pages::Pages};
use crate::{
    clock::Clock,
    identity::RelyingParty,
    session::{KeyRing, Lifetimes, Sessions},
    store::Store,
    telemetry::Audit,
};

pub struct OauthParts {
    pub sessions: Arc<Sessions>,
    pub store: Arc<Store>,
    pub keys: Arc<KeyRing>,
    pub relying_party: Arc<RelyingParty>,
    pub public_url: PublicUrl,
    pub rate_limits: RateLimits,
    pub lifetimes: Lifetimes,
    /// `oidc.form_action_origins`
    pub form_action_origins: Vec<String>,
    /// Shown beside the code; cut at 500 characters.
    pub login_notice: Option<String>,
    pub audit: Audit,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
}

#[derive(Clone)]
pub(super) struct OauthState {
    grants: Arc<DeviceGrants>,
    sessions: Arc<Sessions>,
    pages: Arc<Pages>,
    audit: Audit,
    public_url: PublicUrl,
    login_notice: LoginNotice,
}

#[derive(Clone)]
pub(super) struct LoginNotice(pub(super) Option<String>);

const LONGEST_NOTICE: usize = 500;

impl OauthState {
    pub(super) fn new(parts: OauthParts) -> Self {
        let OauthParts {
            sessions,
            store,
            keys,
            relying_party,
            public_url,
            rate_limits,
            lifetimes,
            form_action_origins,
            login_notice,
            audit,
            clock,
            random,
        } = parts;
        let mut origins = vec![relying_party.authorization_origin()];
        origins.extend(form_action_origins);
        let pages = Pages::new(&public_url, &origins, clock, random.clone());
        let grants = DeviceGrants {
            store,
            keys,
            sessions: sessions.clone(),
            relying_party,
            public_url: public_url.clone(),
            rate_limits,
            full_windows: FullWindows::default(),
            lifetimes,
            random,
        };
        let login_notice = login_notice.map(|notice| notice.chars().take(LONGEST_NOTICE).collect());
        Self {
            grants: Arc::new(grants),
            sessions,
            pages: Arc::new(pages),
            audit,
            public_url,
            login_notice: LoginNotice(login_notice),
        }
    }
}

impl FromRef<OauthState> for Arc<DeviceGrants> {
    fn from_ref(state: &OauthState) -> Self {
        state.grants.clone()
    }
}

impl FromRef<OauthState> for Arc<Sessions> {
    fn from_ref(state: &OauthState) -> Self {
        state.sessions.clone()
    }
}

impl FromRef<OauthState> for Arc<Pages> {
    fn from_ref(state: &OauthState) -> Self {
        state.pages.clone()
    }
}

impl FromRef<OauthState> for Audit {
    fn from_ref(state: &OauthState) -> Self {
        state.audit.clone()
    }
}

impl FromRef<OauthState> for PublicUrl {
    fn from_ref(state: &OauthState) -> Self {
        state.public_url.clone()
    }
}

impl FromRef<OauthState> for LoginNotice {
    fn from_ref(state: &OauthState) -> Self {
        state.login_notice.clone()
    }
}
