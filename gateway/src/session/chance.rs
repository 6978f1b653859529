//! Random bytes, from the source that the caller was given.

use aws_lc_rs::rand::SecureRandom;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;

#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the machine has no randomness to give")]
pub struct NoRandomness;

pub fn bytes<const N: usize>(random: &dyn SecureRandom) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// 256 bits as base64url: device codes, browser bindings.
pub fn secret(random: &dyn SecureRandom) -> Result<SecretString, NoRandomness> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes::<32>(random)?).into())
}
