//! What the rest of the pod may ask of the identity provider: send a browser there, redeem its code, renew a person.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_config::Oidc;
use gateway_egress::{Client, Egress, Limits, Route, client_tls};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    client_authentication::ClientAuthenticator, google_groups::GroupDirectory, key_set::KeySet, person::AdmittedPerson,
    provider::Metadata,
};
use crate::clock::Clock;

/// A browser about to leave for the identity provider: where to, and what must match when it comes back.
pub struct Departure {
    pub to: Url,
    pub pending: PendingSignIn,
}

// The URL holds the state and the nonce.
impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure").field("to", &self.to.origin().ascii_serialization()).finish_non_exhaustive()
    }
}

/// Kept with the grant until the callback (all of it secret but to the one browser).
#[derive(Debug, Clone)]
pub struct PendingSignIn {
    pub state: SecretString,
    pub nonce: SecretString,
    pub pkce_verifier: Option<SecretString>,
}

#[derive(Debug)]
pub struct SignIn {
    pub person: AdmittedPerson,
    /// `None` where the provider gave none: then ours gives none either.
    pub refresh_token: Option<SecretString>,
}

#[derive(Debug)]
pub struct Renewal {
    pub person: AdmittedPerson,
    /// The provider's next refresh token, when it rotates.
    pub refresh_token: Option<SecretString>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The person is who they say, and may not come in; the page says so, the device gets `access_denied`.
    #[error("not admitted: {reason}")]
    NotAdmitted { reason: &'static str },
    /// The provider's answer is not one that a client may accept (wrong issuer, audience, nonce, signature, …).
    #[error("the identity provider's answer was refused: {reason}")]
    Untrustworthy { reason: String },
    /// The provider refused the code or us (`invalid_client`: our own secret expired).
    #[error("the identity provider refused: {code}")]
    Refused { code: String },
    #[error("the identity provider did not answer: {reason}")]
    Unavailable { reason: String },
}

/// Why a refresh was not renewed. Only the first two may end a session.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The provider's `invalid_grant`, and nothing else.
    #[error("the identity provider says the person's grant is gone")]
    PersonGone,
    #[error("no longer admitted: {reason}")]
    NotAdmitted { reason: &'static str },
    /// Any other refusal, an answer that cannot be trusted, silence: the operator's or the provider's fault.
    #[error("the identity provider could not renew: {reason}")]
    Unavailable { reason: String },
}

/// The discovered provider and our registration with it.
pub struct RelyingParty {
    pub(super) config: Oidc,
    pub(super) redirect_uri: String,
    pub(super) metadata: Metadata,
    pub(super) keys: KeySet,
    pub(super) client: Client,
    pub(super) authenticator: ArcSwap<ClientAuthenticator>,
    pub(super) directory: Option<GroupDirectory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: SystemRandom,
}

impl RelyingParty {
    /// Reads the provider's discovery document and keys; fails where a boot must fail.
    pub async fn discover(
        config: &Oidc,
        redirect_uri: &str,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        let route = if config.use_proxy { Route::ByEnvironment } else { Route::Direct };
        let client = outward(egress.clone(), config.ca_cert_pem.as_deref(), route)?;
        let metadata = Metadata::fetch(&client, config).await?;
        let authenticator = authenticator(config, &metadata)?;
        let directory = match &config.google_groups {
            None => None,
            Some(google) => {
                let client = outward(egress, None, Route::ByEnvironment)?;
                Some(GroupDirectory::open(google, client, clock.clone()).await?)
            }
        };
        let keys = KeySet::fetch(client.clone(), metadata.jwks_uri.clone(), clock.clone()).await?;
        Ok(Self {
            config: config.clone(),
            redirect_uri: redirect_uri.to_owned(),
            metadata,
            keys,
            client,
            authenticator: ArcSwap::from_pointee(authenticator),
            directory,
            clock,
            random: SystemRandom::new(),
        })
    }

    /// The origin of the provider's authorization endpoint, for the pages' `form-action`.
    pub fn authorization_origin(&self) -> String {
        self.metadata.authorization_endpoint.origin().ascii_serialization()
    }

    /// A new state, nonce and PKCE pair, and the authorization URL that carries them.
    pub fn depart(&self) -> Departure {
        let pending = PendingSignIn {
            state: random_text(&self.random),
            nonce: random_text(&self.random),
            pkce_verifier: self.config.use_pkce.then(|| random_text(&self.random)),
        };
        let mut to = self.metadata.authorization_endpoint.clone();
        let mut query = to.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.config.scopes.join(" "))
            .append_pair("state", pending.state.expose_secret())
            .append_pair("nonce", pending.nonce.expose_secret());
        if let Some(verifier) = &pending.pkce_verifier {
            let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
            let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
            query
                .append_pair("code_challenge", challenge.as_str())
                .append_pair("code_challenge_method", challenge.method().as_str());
        }
        query.extend_pairs(&self.config.extra_auth_params);
        drop(query);
        Departure { to, pending }
    }

    /// A changed `oidc.client_secret` or certificate, without a restart. One that cannot be used leaves the old one in place.
    pub fn reload_credentials(&self, config: &Oidc) {
        match authenticator(config, &self.metadata) {
            Ok(authenticator) => self.authenticator.store(Arc::new(authenticator)),
            Err(error) => tracing::error!(%error, "the new client credentials cannot be used; the old ones stay"),
        }
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("issuer", &self.metadata.issuer).finish_non_exhaustive()
    }
}

fn outward(egress: Arc<Egress>, ca_pem: Option<&str>, route: Route) -> Result<Client, SignInError> {
    let tls = client_tls(ca_pem, &[]).map_err(|error| SignInError::Unavailable { reason: error.to_string() })?;
    Ok(Client::new(egress, tls, route, Limits::default()))
}

fn authenticator(config: &Oidc, metadata: &Metadata) -> Result<ClientAuthenticator, SignInError> {
    ClientAuthenticator::new(&config.client_id, &config.authentication, metadata.auth_methods.as_deref())
        .map_err(|reason| SignInError::Untrustworthy { reason: format!("client authentication: {reason}") })
}

/// 256 bits, in characters that need no escaping anywhere.
pub(super) fn random_text(random: &dyn SecureRandom) -> SecretString {
    let mut bytes = [0; 32];
    random.fill(&mut bytes).expect("a machine without randomness cannot sign anybody in");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

#[cfg(test)]
pub(super) fn test_config() -> Oidc {
    use gateway_config::{ClientAuthentication, EmailClaim, SigningAlgorithm};
    Oidc {
        issuer: Url::parse("https://idp.test").unwrap(),
        issuer_text: "https://idp.test".to_owned(),
        client_id: "gateway".to_owned(),
        authentication: ClientAuthentication::Negotiated("secret".into()),
        allowed_email_domains: Vec::new(),
        allowed_groups: Vec::new(),
        groups_claim: "groups".to_owned(),
        google_groups: None,
        email_claim: EmailClaim(vec!["email".to_owned()]),
        scopes: vec!["openid".to_owned()],
        extra_auth_params: Default::default(),
        userinfo_fallback: false,
        use_pkce: true,
        clock_skew: std::time::Duration::ZERO,
        signing_algorithm: SigningAlgorithm::Rs256,
        additional_authorized_parties: Vec::new(),
        discovery_url: None,
        use_proxy: false,
        form_action_origins: Vec::new(),
        ca_cert_pem: None,
        scope_on_refresh: false,
    }
}
