//! The session keys: the first signs and seals, all verify and open.
//!
//! Invariant: every key in use is derived from an entry of `session.jwt_secret`; a reload replaces them all at once, and a
//! token of a dropped entry stops being known with it.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::{digest, hkdf, hmac, rand::SecureRandom};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{
    chance::NoRandomness,
    sealed::{Purpose, SealingKey},
};

/// The keys of this moment. Cheap to share, replaced by [`KeyRing::reload`].
pub struct KeyRing {
    keys: ArcSwap<Keys>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    #[error("session.jwt_secret is empty")]
    NoSecret,
    #[error("the session keys could not be derived")]
    Derivation,
}

impl KeyRing {
    pub fn new(secrets: &[SecretString]) -> Result<Arc<Self>, KeyRingError> {
        Ok(Arc::new(Self { keys: ArcSwap::from_pointee(Keys::derive(secrets, 0)?) }))
    }

    /// The old keys stay where the new ones cannot be derived.
    pub fn reload(&self, secrets: &[SecretString]) -> Result<(), KeyRingError> {
        let next = Keys::derive(secrets, self.keys.load().epoch + 1)?;
        self.keys.store(Arc::new(next));
        Ok(())
    }

    /// The ids of all keys, the signing one first: what a pod tells the others it knows.
    pub fn ids(&self) -> Vec<String> {
        self.keys.load().ring.iter().map(|key| key.id.clone()).collect()
    }

    pub fn seal(
        &self,
        random: &dyn SecureRandom,
        purpose: Purpose,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        self.keys.load().first().sealing(purpose).seal(random, context, plain)
    }

    /// `None` where no key of ours sealed this text for this purpose and context.
    pub fn open(&self, purpose: Purpose, context: &[u8], unverified: &[u8]) -> Option<Vec<u8>> {
        self.keys.load().ring.iter().find_map(|key| key.sealing(purpose).open(context, unverified))
    }

    /// A keyed hash for storing a guessable code: without the keys a stolen row cannot be searched by trying every code.
    pub fn code_hash(&self, code: &str) -> CodeHash {
        self.keys.load().first().code_hash(code)
    }

    /// The hash under every key, because another pod may already sign with the next one.
    pub fn code_hashes(&self, code: &str) -> Vec<CodeHash> {
        self.keys.load().ring.iter().map(|key| key.code_hash(code)).collect()
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.keys.load()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids()).finish()
    }
}

/// HMAC-SHA256 of a code that a person types.
pub type CodeHash = [u8; 32];

/// SHA-256 of a token or code with at least 256 bits of chance in it.
pub fn token_hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

pub(super) struct Keys {
    first: Arc<SessionKey>,
    pub(super) ring: Vec<Arc<SessionKey>>,
    /// Counts reloads, so that what was verified under dropped keys is not believed.
    pub(super) epoch: u64,
}

impl Keys {
    fn derive(secrets: &[SecretString], epoch: u64) -> Result<Self, KeyRingError> {
        let ring: Vec<_> = secrets
            .iter()
            .map(|secret| SessionKey::derive(secret).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(|_| KeyRingError::Derivation)?;
        let first = ring.first().cloned().ok_or(KeyRingError::NoSecret)?;
        Ok(Self { first, ring, epoch })
    }

    pub(super) fn first(&self) -> &SessionKey {
        &self.first
    }
}

/// All that one entry of `session.jwt_secret` gives.
pub(super) struct SessionKey {
    id: String,
    /// The one JWS header that this key's tokens carry, encoded, byte for byte.
    pub(super) header: String,
    pub(super) signing: hmac::Key,
    codes: hmac::Key,
    refresh: SealingKey,
    successor: SealingKey,
    sign_in: SealingKey,
}

impl SessionKey {
    fn derive(secret: &SecretString) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let secret = secret.expose_secret().as_bytes();
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
        let mut id = [0; 8];
        extracted.expand(&[b"kid/v1"], IdLength)?.fill(&mut id)?;
        let id = BASE64_URL_SAFE_NO_PAD.encode(id);
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{id}"}}"#);
        Ok(Self {
            header: BASE64_URL_SAFE_NO_PAD.encode(header),
            id,
            signing: hmac::Key::new(hmac::HMAC_SHA256, secret),
            codes: hmac::Key::from(extracted.expand(&[b"code/v1"], hmac::HMAC_SHA256)?),
            refresh: SealingKey::derive(&extracted, Purpose::Refresh)?,
            successor: SealingKey::derive(&extracted, Purpose::Successor)?,
            sign_in: SealingKey::derive(&extracted, Purpose::SignIn)?,
        })
    }

    fn sealing(&self, purpose: Purpose) -> &SealingKey {
        match purpose {
            Purpose::Refresh => &self.refresh,
            Purpose::Successor => &self.successor,
            Purpose::SignIn => &self.sign_in,
        }
    }

    fn code_hash(&self, code: &str) -> CodeHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.codes, code.as_bytes()).as_ref());
        hash
    }
}

struct IdLength;

impl hkdf::KeyType for IdLength {
    fn len(&self) -> usize {
        8
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    fn secrets(names: &[&str]) -> Vec<SecretString> {
        names.iter().map(|name| format!("{name}-secret-of-at-least-32-bytes-long").into()).collect()
    }

    #[test]
    fn what_the_first_key_seals_every_later_ring_opens_while_it_holds_the_key() {
        let ring = KeyRing::new(&secrets(&["old"])).unwrap();
        let sealed = ring.seal(&SystemRandom::new(), Purpose::Refresh, b"here", b"text").unwrap();
        ring.reload(&secrets(&["new", "old"])).unwrap();
        assert_eq!(ring.open(Purpose::Refresh, b"here", &sealed).as_deref(), Some(&b"text"[..]));
        ring.reload(&secrets(&["new"])).unwrap();
        assert_eq!(ring.open(Purpose::Refresh, b"here", &sealed), None);
    }

    #[test]
    fn a_sealed_text_opens_for_its_purpose_and_its_context_only() {
        let ring = KeyRing::new(&secrets(&["a"])).unwrap();
        let mut sealed = ring.seal(&SystemRandom::new(), Purpose::Refresh, b"here", b"text").unwrap();
        assert_eq!(ring.open(Purpose::Successor, b"here", &sealed), None);
        assert_eq!(ring.open(Purpose::Refresh, b"there", &sealed), None);
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(ring.open(Purpose::Refresh, b"here", &sealed), None);
    }

    #[test]
    fn a_refused_reload_keeps_the_keys() {
        let ring = KeyRing::new(&secrets(&["a"])).unwrap();
        let before = ring.ids();
        assert!(ring.reload(&[]).is_err());
        assert_eq!(ring.ids(), before);
    }

    #[test]
    fn a_code_is_found_under_every_key_and_its_hash_is_keyed() {
        let old = KeyRing::new(&secrets(&["old"])).unwrap();
        let both = KeyRing::new(&secrets(&["new", "old"])).unwrap();
        assert!(both.code_hashes("BCDFGHJK").contains(&old.code_hash("BCDFGHJK")));
        assert_ne!(both.code_hash("BCDFGHJK"), old.code_hash("BCDFGHJK"));
        assert_ne!(old.code_hash("BCDFGHJK"), token_hash("BCDFGHJK"));
    }
}
