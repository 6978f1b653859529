//! An ID token, from text to verified claims (OpenID Connect Core 1.0, sections 3.1.3.7 and 12.2).
//!
//! Signatures and the standard claims are verified by `openidconnect`, one key at a time; here is what it leaves to its
//! callers: which keys are tried, `azp`, `nbf` and `at_hash`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use gateway_config::SigningAlgorithm;
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, IssuerUrl, JsonWebKey, JsonWebKeySet, Nonce,
    core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKey, CoreJwsSigningAlgorithm},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::claims::Claims;

/// What a token must say, whoever brings it.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) additional_parties: &'a [String],
    pub(super) skew: TimeDelta,
    pub(super) now: DateTime<Utc>,
    /// `None` at a renewal: there was no request for a nonce to bind.
    pub(super) nonce: Option<&'a SecretString>,
    pub(super) access_token: &'a SecretString,
}

#[derive(Debug)]
pub(super) enum Refusal {
    /// Another key might do.
    Signature(String),
    Claims(String),
}

/// A token that could be read, and says what it says.
#[derive(Debug)]
pub(super) struct UnverifiedIdToken {
    token: CoreIdToken,
    key_id: Option<String>,
    claims: Claims,
}

impl UnverifiedIdToken {
    /// The algorithm is checked before anything else is read: the header must not choose how it is verified.
    pub(super) fn parse(text: &SecretString, configured: SigningAlgorithm) -> Result<Self, String> {
        let mut parts = text.expose_secret().split('.');
        let (Some(head), Some(body), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err("the ID token is no signed JWT".to_owned());
        };
        let head = object(head).ok_or("the ID token's header cannot be read")?;
        let claims = object(body).ok_or("the ID token's claims cannot be read")?;
        let algorithm = head.get("alg").and_then(Value::as_str).unwrap_or_default();
        if algorithm != spelled(configured) {
            let found: String = algorithm.chars().take(16).collect();
            return Err(format!("the ID token's algorithm is {found:?}, not the configured one"));
        }
        let key_id = head.get("kid").and_then(Value::as_str).map(str::to_owned);
        let token = text.expose_secret().parse().map_err(|_| unreadable(&claims))?;
        Ok(Self { token, key_id, claims })
    }

    /// The claims, if one of the keys vouches for them and they are what is expected.
    pub(super) fn verify(&self, keys: &[CoreJsonWebKey], expected: &Expected<'_>) -> Result<&Claims, Refusal> {
        let candidates = keys
            .iter()
            .filter(|key| self.key_id.is_none() || key.key_id().map(|kid| kid.as_str()) == self.key_id.as_deref());
        let mut refusal = Refusal::Signature("no key of the provider's is the one that signed".to_owned());
        for key in candidates {
            match self.verify_with(key, expected) {
                Ok(()) => return Ok(&self.claims),
                Err(Refusal::Signature(reason)) => refusal = Refusal::Signature(reason),
                Err(Refusal::Claims(reason)) => return Err(Refusal::Claims(reason)),
            }
        }
        Err(refusal)
    }

    fn verify_with(&self, key: &CoreJsonWebKey, expected: &Expected<'_>) -> Result<(), Refusal> {
        let algorithm = algorithm(expected.algorithm);
        let issuer = IssuerUrl::new(expected.issuer.to_owned()).map_err(|error| Refusal::Claims(error.to_string()))?;
        let latest = expected.now + expected.skew;
        let earliest = expected.now - expected.skew;
        let verifier = CoreIdTokenVerifier::new_public_client(
            ClientId::new(expected.client_id.to_owned()),
            issuer,
            JsonWebKeySet::new(vec![key.clone()]),
        )
        .set_allowed_algs([algorithm.clone()])
        .set_time_fn(move || earliest)
        .set_issue_time_verifier_fn(move |issued| match issued <= latest {
            true => Ok(()),
            false => Err("it was issued in the future".to_owned()),
        })
        // Several audiences are decided by the authorized party, below.
        .set_other_audience_verifier_fn(|_| true);
        let nonce = |claimed: Option<&Nonce>| match expected.nonce {
            None => Ok(()),
            Some(nonce) => openidconnect::NonceVerifier::verify(&Nonce::new(nonce.expose_secret().to_owned()), claimed),
        };
        let verified = self.token.claims(&verifier, nonce).map_err(refusal)?;
        self.check_party(verified.audiences().len(), expected)?;
        self.check_not_before(latest)?;
        match verified.access_token_hash() {
            Some(claimed) => check_access_token(claimed, key, &algorithm, expected.access_token),
            None => Ok(()),
        }
    }

    /// A token for several audiences is ours only if its authorized party says so.
    fn check_party(&self, audiences: usize, expected: &Expected<'_>) -> Result<(), Refusal> {
        match self.claims.get("azp") {
            None | Some(Value::Null) if audiences == 1 => Ok(()),
            Some(Value::String(party)) if party == expected.client_id => Ok(()),
            Some(Value::String(party)) if expected.additional_parties.contains(party) => Ok(()),
            None | Some(Value::Null) => {
                Err(Refusal::Claims("it is for several audiences and names no authorized party".to_owned()))
            }
            Some(_) => Err(Refusal::Claims("its authorized party is another client".to_owned())),
        }
    }

    fn check_not_before(&self, latest: DateTime<Utc>) -> Result<(), Refusal> {
        let not_before = match self.claims.get("nbf") {
            None | Some(Value::Null) => return Ok(()),
            Some(value) => value.as_f64(),
        };
        match not_before {
            Some(seconds) if seconds <= latest.timestamp_millis() as f64 / 1000.0 => Ok(()),
            _ => Err(Refusal::Claims("it is not valid yet".to_owned())),
        }
    }
}

fn check_access_token(
    claimed: &AccessTokenHash,
    key: &CoreJsonWebKey,
    algorithm: &CoreJwsSigningAlgorithm,
    access_token: &SecretString,
) -> Result<(), Refusal> {
    let access_token = AccessToken::new(access_token.expose_secret().to_owned());
    match AccessTokenHash::from_token(&access_token, algorithm, key) {
        Ok(hash) if hash == *claimed => Ok(()),
        _ => Err(Refusal::Claims("it belongs to another access token".to_owned())),
    }
}

fn refusal(error: ClaimsVerificationError) -> Refusal {
    match error {
        ClaimsVerificationError::SignatureVerification(source) => Refusal::Signature(source.to_string()),
        other => Refusal::Claims(other.to_string()),
    }
}

fn object(part: &str) -> Option<Claims> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The parser's own message may quote the token.
fn unreadable(claims: &Claims) -> String {
    match ["iss", "sub", "aud", "exp", "iat"].iter().find(|name| !claims.contains_key(**name)) {
        Some(missing) => format!("the ID token has no {missing}"),
        None => "a claim of the ID token is not of its type".to_owned(),
    }
}

fn algorithm(configured: SigningAlgorithm) -> CoreJwsSigningAlgorithm {
    match configured {
        SigningAlgorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        SigningAlgorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        SigningAlgorithm::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        SigningAlgorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
    }
}

fn spelled(configured: SigningAlgorithm) -> &'static str {
    match configured {
        SigningAlgorithm::Rs256 => "RS256",
        SigningAlgorithm::Es256 => "ES256",
        SigningAlgorithm::Ps256 => "PS256",
        SigningAlgorithm::EdDsa => "EdDSA",
    }
}
