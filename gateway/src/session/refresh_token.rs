//! Refresh tokens: opaque to the client, sealed by us, with the identity provider's own token inside.
//!
//! Invariant: a [`Presented`] exists only for a text that a key of ours sealed for this public URL and the session that it
//! names.

use aws_lc_rs::rand::SecureRandom;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use gateway_config::PublicUrl;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{KeyRing, SessionId, chance::NoRandomness, keys::token_hash, sealed::Purpose};
use crate::identity::Person;

const VERSION: u8 = 1;
/// An identity provider's token of several kilobytes and a person in several hundred groups still fit.
const MAX_LENGTH: usize = 64 * 1024;

/// What a refresh token knows.
#[derive(Debug, Clone)]
pub struct Content {
    pub session: SessionId,
    pub started_at: DateTime<Utc>,
    /// Counts refreshes, from 1.
    pub generation: i64,
    /// As the provider last described them.
    pub person: Person,
    /// The provider's refresh token.
    pub upstream: SecretString,
}

/// An authentic refresh token. Whether it still holds is for the session's row to say.
#[derive(Debug, Clone)]
pub struct Presented {
    pub content: Content,
    pub hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Plain {
    started_at: i64,
    generation: i64,
    person: Person,
    upstream: String,
}

pub(super) fn seal(
    keys: &KeyRing,
    random: &dyn SecureRandom,
    public_url: &PublicUrl,
    content: &Content,
) -> Result<SecretString, NoRandomness> {
    let Content { session, started_at, generation, person, upstream } = content;
    let plain = Plain {
        started_at: started_at.timestamp_micros(),
        generation: *generation,
        person: person.clone(),
        upstream: upstream.expose_secret().to_owned(),
    };
    // Plain strings and numbers: nothing that JSON cannot hold.
    let plain = serde_json::to_vec(&plain).map_err(|_| NoRandomness)?;
    let sealed = keys.seal(random, Purpose::Refresh, &context(public_url, session), &plain)?;
    let mut text = vec![VERSION];
    text.extend_from_slice(session.as_bytes());
    text.extend_from_slice(&sealed);
    Ok(BASE64_URL_SAFE_NO_PAD.encode(text).into())
}

/// `None` for anything that is no refresh token of this gateway.
pub(super) fn open(keys: &KeyRing, public_url: &PublicUrl, unverified: &str) -> Option<Presented> {
    if unverified.len() > MAX_LENGTH {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(unverified).ok()?;
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    let (session, sealed) = rest.split_first_chunk::<16>()?;
    let session = SessionId::from_bytes(*session);
    let plain = keys.open(Purpose::Refresh, &context(public_url, &session), sealed)?;
    let Plain { started_at, generation, person, upstream } = serde_json::from_slice(&plain).ok()?;
    let started_at = DateTime::from_timestamp_micros(started_at)?;
    let content = Content { session, started_at, generation, person, upstream: upstream.into() };
    Some(Presented { content, hash: token_hash(unverified) })
}

/// A token opens only at the gateway, and for the session, that it was made for.
pub(super) fn context(public_url: &PublicUrl, session: &SessionId) -> Vec<u8> {
    [public_url.as_str().as_bytes(), b"\0", session.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::identity::Subject;

    fn url(text: &str) -> PublicUrl {
        PublicUrl::from_origin(text.parse().unwrap())
    }

    fn content() -> Content {
        Content {
            session: SessionId::from_bytes([3; 16]),
            started_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(),
            generation: 4,
            person: Person { sub: Subject("u-1".into()), email: None, name: None, groups: vec!["eng".into()] },
            upstream: "the provider's own token".into(),
        }
    }

    fn sealed() -> (std::sync::Arc<KeyRing>, String) {
        let keys = KeyRing::new(&["a secret of this gateway, long enough to seal".into()]).unwrap();
        let token = seal(&keys, &SystemRandom::new(), &url("https://gateway.example"), &content()).unwrap();
        (keys, token.expose_secret().to_owned())
    }

    #[test]
    fn what_was_sealed_is_what_is_presented() {
        let (keys, token) = sealed();
        let presented = open(&keys, &url("https://gateway.example"), &token).unwrap();
        assert_eq!(presented.hash, token_hash(&token));
        assert_eq!(presented.content.session, content().session);
        assert_eq!(presented.content.started_at, content().started_at);
        assert_eq!(presented.content.generation, 4);
        assert_eq!(presented.content.person, content().person);
        assert_eq!(presented.content.upstream.expose_secret(), "the provider's own token");
    }

    /// Catalogue S13: who holds the token holds nothing of the provider's.
    #[test]
    fn nothing_of_the_provider_is_readable_in_the_token() {
        let (_, token) = sealed();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for secret in [&b"provider"[..], b"u-1", b"eng"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }

    #[test]
    fn a_token_opens_at_its_own_gateway_only() {
        let (keys, token) = sealed();
        assert!(open(&keys, &url("https://other.example"), &token).is_none());
        let others = KeyRing::new(&["a secret of another gateway, long enough too".into()]).unwrap();
        assert!(open(&others, &url("https://gateway.example"), &token).is_none());
    }

    #[test]
    fn no_changed_or_shortened_token_opens() {
        let (keys, token) = sealed();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert!(open(&keys, &url("https://gateway.example"), &changed).is_none(), "the change at {at} passed");
            let shortened = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert!(open(&keys, &url("https://gateway.example"), &shortened).is_none());
        }
        assert!(open(&keys, &url("https://gateway.example"), &"A".repeat(MAX_LENGTH + 1)).is_none());
    }
}
