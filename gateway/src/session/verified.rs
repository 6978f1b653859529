//! Tokens whose signature was checked a moment ago, so that a busy client's bearer is parsed once and not at every request.
//!
//! Invariant: a hit is the same text, byte for byte, verified under the keys of this epoch. Expiry and revocation are not
//! remembered here: the caller checks them every time.

use std::sync::{Arc, PoisonError, RwLock};

use super::access_token::Admitted;
use crate::hashing::Map;

/// Two generations of this size at most; the older one goes when the younger is full.
const GENERATION: usize = 4096;
/// A thread's part of it, however many there are.
const LEAST: usize = 128;

pub(super) struct VerifiedTokens {
    generations: RwLock<Generations>,
    generation: usize,
}

/// By the token's text. Only verified ones get in, so nobody without a key chooses what is kept.
type Generation = Map<Box<str>, Arc<Admitted>>;

#[derive(Default)]
struct Generations {
    epoch: u64,
    young: Generation,
    old: Generation,
}

impl VerifiedTokens {
    /// One of so many that together remember no more than one alone, but for [`LEAST`].
    pub(super) fn shared_by(threads: usize) -> Self {
        Self { generations: RwLock::default(), generation: (GENERATION / threads.max(1)).max(LEAST) }
    }

    pub(super) fn find(&self, unverified: &str, epoch: u64) -> Option<Arc<Admitted>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if generations.epoch != epoch {
            return None;
        }
        generations.young.get(unverified).or_else(|| generations.old.get(unverified)).cloned()
    }

    pub(super) fn keep(&self, token: &str, epoch: u64, admitted: Arc<Admitted>) {
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
        generations.young.insert(token.into(), admitted);
    }
}
