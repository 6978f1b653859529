//! Tokens whose signature was checked a moment ago, so that a busy client's bearer is parsed once and not at every request.
//!
//! Invariant: a hit is the same text, byte for byte, verified under the keys of this epoch. Expiry and revocation are not
//! remembered here: the caller checks them every time.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::access_token::Admitted;

/// Two generations of this size at most; the older one goes when the younger is full.
const GENERATION: usize = 4096;
/// A thread's part of it, however many there are.
const LEAST: usize = 128;

pub(super) struct VerifiedTokens {
    generations: RwLock<Generations>,
    generation: usize,
}

/// Only verified tokens get in, so nobody without a key chooses what is kept. The signature is 256 bits that look like
/// chance: a good key; the text beside it decides.
type Generation = HashMap<[u8; 32], Verified>;

#[derive(Default)]
struct Generations {
    epoch: u64,
    young: Generation,
    old: Generation,
}

struct Verified {
    signed: Box<str>,
    admitted: Arc<Admitted>,
}

impl VerifiedTokens {
    /// One of so many that together remember no more than one alone, but for [`LEAST`].
    pub(super) fn shared_by(threads: usize) -> Self {
        Self { generations: RwLock::default(), generation: (GENERATION / threads.max(1)).max(LEAST) }
    }

    pub(super) fn find(&self, signature: &[u8; 32], unverified_signed: &str, epoch: u64) -> Option<Arc<Admitted>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if generations.epoch != epoch {
            return None;
        }
        let verified = generations.young.get(signature).or_else(|| generations.old.get(signature))?;
        (*verified.signed == *unverified_signed).then(|| verified.admitted.clone())
    }

    pub(super) fn keep(&self, signature: [u8; 32], signed: &str, epoch: u64, admitted: Arc<Admitted>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.epoch > epoch {
            return;
        }
        if generations.epoch < epoch {
            *generations = Generations { epoch, ..Generations::default() };
        }
        if generations.young.len() >= self.generation {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(signature, Verified { signed: signed.into(), admitted });
    }
}
