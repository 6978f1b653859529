//! What proves us to a provider: one kind each, changed in place when its source changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway_config::AnthropicAuth;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use super::federation::Federation;

/// Why there is nothing to send; the request goes to the next upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("no token has been minted yet, or the last one ran out")]
    NotMinted,
    #[error("the secret cannot stand in a header")]
    Unprintable,
}

pub enum Credential {
    Fixed(ArcSwap<Fixed>),
    Federated(Arc<Federation>),
}

/// A header that stays the same until the operator changes it.
pub struct Fixed {
    name: HeaderName,
    value: HeaderValue,
}

impl Credential {
    pub fn fixed(auth: &AnthropicAuth) -> Option<Result<Fixed, CredentialError>> {
        match auth {
            AnthropicAuth::ApiKey(key) => Some(Fixed::api_key(key)),
            AnthropicAuth::OauthToken(token) => Some(Fixed::bearer(token)),
            AnthropicAuth::WorkloadIdentity(_) => None,
        }
    }

    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), CredentialError> {
        match self {
            Self::Fixed(fixed) => {
                let fixed = fixed.load();
                headers.insert(fixed.name.clone(), fixed.value.clone());
            }
            Self::Federated(federation) => {
                let token = federation.current().ok_or(CredentialError::NotMinted)?;
                headers.insert(header::AUTHORIZATION, token);
            }
        }
        Ok(())
    }

    /// Whether there is something to send.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Federated(federation) => federation.current().is_some(),
        }
    }

    /// The provider answered 401: a minted token is minted anew, a fixed one stays until its file changes.
    pub fn refused(&self) {
        if let Self::Federated(federation) = self {
            federation.mint_now();
        }
    }
}

impl Fixed {
    fn api_key(key: &SecretString) -> Result<Self, CredentialError> {
        Ok(Self { name: HeaderName::from_static("x-api-key"), value: secret_header(key.expose_secret())? })
    }

    fn bearer(token: &SecretString) -> Result<Self, CredentialError> {
        let value = secret_header(&format!("Bearer {}", token.expose_secret()))?;
        Ok(Self { name: header::AUTHORIZATION, value })
    }
}

/// A header value that does not show in `Debug` and is never indexed by HPACK.
pub fn secret_header(text: &str) -> Result<HeaderValue, CredentialError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError::Unprintable)?;
    value.set_sensitive(true);
    Ok(value)
}
