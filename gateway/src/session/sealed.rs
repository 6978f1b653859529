//! Text that only a holder of the session keys can read or make: AES-256-GCM under a key derived for one purpose.
//!
//! Invariant: a purpose's key opens nothing that another purpose sealed, and nothing sealed for another context.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf,
    rand::SecureRandom,
};

use super::chance::{self, NoRandomness};

/// What a sealed text is for; each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The refresh token that a client holds.
    Refresh,
    /// A refresh token kept in its session's row for the grace.
    Successor,
    /// What a grant keeps between the browser's departure and the device's last poll.
    SignIn,
}

impl Purpose {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Refresh => b"refresh/v1",
            Self::Successor => b"successor/v1",
            Self::SignIn => b"sign-in/v1",
        }
    }
}

pub(super) struct SealingKey(LessSafeKey);

impl SealingKey {
    pub(super) fn derive(secret: &hkdf::Prk, purpose: Purpose) -> Result<Self, Unspecified> {
        let info = [purpose.info()];
        let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM)?);
        Ok(Self(LessSafeKey::new(key)))
    }

    /// The nonce, then the ciphertext and its tag. Random nonces are safe for 2^32 texts under one key.
    pub(super) fn seal(
        &self,
        random: &dyn SecureRandom,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        let nonce = chance::bytes::<NONCE_LEN>(random)?;
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| NoRandomness)?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    pub(super) fn open(&self, context: &[u8], unverified: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = unverified.split_first_chunk::<NONCE_LEN>()?;
        let mut text = ciphertext.to_vec();
        let length =
            self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}
