//! A provider, a relying party configured for it, and a clock with hands.

use std::sync::Arc;

use chrono::TimeDelta;
use e2e::cast::openid::{Behaviour, OpenIdProvider};
use gateway::{
    clock::Clock,
    identity::{PendingSignIn, Person, RelyingParty, Renewal, RenewalError, SignIn, SignInError},
};
use gateway_config::Oidc;
use secrecy::ExposeSecret;
use url::Url;

use crate::{hands::Hands, registration};

pub(crate) const REDIRECT_URI: &str = "https://gateway.test/oauth/callback";

pub(crate) struct Stage {
    pub(crate) provider: OpenIdProvider,
    pub(crate) config: Oidc,
    hands: Arc<Hands>,
}

impl Stage {
    pub(crate) async fn set(behaviour: Behaviour) -> Self {
        let provider = OpenIdProvider::start(behaviour).await;
        let config = registration::with(&provider);
        Self { provider, config, hands: Arc::default() }
    }

    /// With the usual people and no faults.
    pub(crate) async fn usual() -> Self {
        Self::set(Behaviour::default()).await
    }

    pub(crate) fn configured(mut self, change: impl FnOnce(&mut Oidc)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.hands.clone()
    }

    /// Both clocks, ours and the provider's.
    pub(crate) fn time_passes(&self, by: TimeDelta) {
        self.hands.turn(&self.provider, by);
    }

    pub(crate) async fn try_discover(&self) -> Result<RelyingParty, SignInError> {
        RelyingParty::discover(&self.config, REDIRECT_URI, registration::egress(), self.clock()).await
    }

    pub(crate) async fn party(&self) -> RelyingParty {
        self.try_discover().await.unwrap()
    }

    /// The browser's part, up to the callback.
    pub(crate) fn approve(&self, party: &RelyingParty, sub: &str) -> (Callback, PendingSignIn) {
        let departure = party.depart();
        let callback = Callback(self.provider.approve(&departure.to, sub));
        assert_eq!(callback.parameter("state").as_deref(), Some(departure.pending.state.expose_secret()));
        (callback, departure.pending)
    }

    pub(crate) async fn sign_in(&self, party: &RelyingParty, sub: &str) -> Result<SignIn, SignInError> {
        let (callback, pending) = self.approve(party, sub);
        callback.redeem(party, &pending).await
    }

    /// Discovery and sign-in in one.
    pub(crate) async fn person(&self, sub: &str) -> Result<Person, SignInError> {
        let party = self.party().await;
        Ok(self.sign_in(&party, sub).await?.person.into_person())
    }

    pub(crate) fn fetches(&self, path: &str) -> usize {
        self.provider.requests_to(path).len()
    }
}

pub(crate) struct Callback(Url);

impl Callback {
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) async fn redeem(&self, party: &RelyingParty, pending: &PendingSignIn) -> Result<SignIn, SignInError> {
        let code = self.parameter("code").unwrap();
        party.redeem(&code, self.parameter("iss").as_deref(), pending).await
    }
}

/// Signed in once, and what a session would keep.
pub(crate) async fn session(stage: &Stage, party: &RelyingParty, sub: &str) -> (secrecy::SecretString, Person) {
    let signed_in = stage.sign_in(party, sub).await.unwrap();
    (signed_in.refresh_token.unwrap(), signed_in.person.into_person())
}

pub(crate) fn groups(groups: &[&str]) -> Vec<String> {
    groups.iter().map(|group| (*group).to_owned()).collect()
}

pub(crate) fn untrustworthy<T>(result: Result<T, SignInError>, because: &str) {
    match result {
        Err(SignInError::Untrustworthy { reason }) => assert!(reason.contains(because), "{reason:?}, not {because:?}"),
        Err(other) => panic!("refused for another reason: {other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

pub(crate) fn unavailable(result: Result<Renewal, RenewalError>) -> String {
    match result {
        Err(RenewalError::Unavailable { reason }) => reason,
        Err(other) => panic!("another error: {other:?}"),
        Ok(renewal) => panic!("it was renewed: {renewal:?}"),
    }
}
