//! What the rest of the pod may ask of the identity provider: send a browser there, redeem its code, renew a person.

use std::sync::Arc;

use gateway_config::Oidc;
use gateway_egress::Egress;
use secrecy::SecretString;
use url::Url;

use super::person::AdmittedPerson;
use crate::clock::Clock;

/// A browser about to leave for the identity provider: where to, and what must match when it comes back.
#[derive(Debug)]
pub struct Departure {
    pub to: Url,
    pub pending: PendingSignIn,
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
    #[expect(dead_code, reason = "the seam before its rooms")]
    config: Oidc,
    #[expect(dead_code, reason = "the seam before its rooms")]
    egress: Arc<Egress>,
    #[expect(dead_code, reason = "the seam before its rooms")]
    clock: Arc<dyn Clock>,
}

impl RelyingParty {
    /// Reads the provider's discovery document and keys; fails where a boot must fail.
    pub async fn discover(
        _config: &Oidc,
        _redirect_uri: &str,
        _egress: Arc<Egress>,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        Err(SignInError::Unavailable { reason: "the seam before its rooms".to_owned() })
    }

    /// The origin of the provider's authorization endpoint, for the pages' `form-action`.
    pub fn authorization_origin(&self) -> String {
        String::new()
    }

    /// A new state, nonce and PKCE pair, and the authorization URL that carries them.
    pub fn depart(&self) -> Departure {
        unreachable!("nothing is discovered yet")
    }

    /// Redeems the callback's code. `iss` is the callback's RFC 9207 parameter.
    pub async fn redeem(
        &self,
        _unverified_code: &str,
        _unverified_iss: Option<&str>,
        _pending: &PendingSignIn,
    ) -> Result<SignIn, SignInError> {
        unreachable!("nothing is discovered yet")
    }

    /// Asks the provider whether the person is still there, and reads the claims anew; 3.5 s at most.
    pub async fn renew(
        &self,
        _refresh_token: &SecretString,
        _known: &super::person::Person,
    ) -> Result<Renewal, RenewalError> {
        unreachable!("nothing is discovered yet")
    }

    /// A changed `oidc.client_secret` or certificate, without a restart.
    pub fn reload_credentials(&self, _config: &Oidc) {}
}
