//! The keys that sign sessions: made once, and rotated so that no pod ever meets a token of a key that it does not know.
//!
//! ```text
//!   none ─made─▶ [a] ─add last─▶ [a, b] ─move first─▶ [b, a] ─drop─▶ [b]
//! ```
//! Each step after the first is taken only when every live pod says that it knows exactly the set that stands. A key that is
//! no longer first is dropped when the longest session that it may have signed is over.

use std::fmt;

use aws_lc_rs::{hkdf, rand::SecureRandom};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// How long a key signs before the next one is made.
const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
const BYTES: usize = 48;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("no randomness")]
    NoRandomness,
    #[error("the Secret with the signing keys is damaged: {0}")]
    Damaged(&'static str),
}

/// One key: the first of a set signs.
#[derive(Clone)]
pub struct SigningKey {
    pub id: String,
    pub secret: SecretString,
    /// Since when it signs.
    pub led: Option<Timestamp>,
    /// Since when it does not any more.
    pub retired: Option<Timestamp>,
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        let Self { id, secret, led, retired } = self;
        *id == other.id
            && secret.expose_secret() == other.secret.expose_secret()
            && *led == other.led
            && *retired == other.retired
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, led, retired } = self;
        f.debug_struct("SigningKey").field("id", id).field("led", led).field("retired", retired).finish()
    }
}

/// The keys in their order. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySet(Vec<SigningKey>);

/// What of a key is no secret, in the order of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub led: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retired: Option<Timestamp>,
}

impl KeySet {
    pub fn made(now: Timestamp, random: &dyn SecureRandom) -> Result<Self, KeysError> {
        Ok(Self(vec![SigningKey { led: Some(now), ..fresh(random)? }]))
    }

    /// As the Secret holds it.
    pub fn read(entries: &[Entry], secret: impl Fn(&str) -> Option<String>) -> Result<Self, KeysError> {
        let keys = entries.iter().map(|Entry { id, led, retired }| {
            let secret = secret(id).ok_or(KeysError::Damaged("a key that its order names is missing"))?;
            match id_of(&secret).is_some_and(|of| of == *id) {
                true => Ok(SigningKey { id: id.clone(), secret: secret.into(), led: *led, retired: *retired }),
                false => Err(KeysError::Damaged("a key is not the one that its name says")),
            }
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        match keys.is_empty() {
            false => Ok(Self(keys)),
            true => Err(KeysError::Damaged("it holds no key")),
        }
    }

    pub fn keys(&self) -> &[SigningKey] {
        &self.0
    }

    pub fn entries(&self) -> Vec<Entry> {
        let entry = |SigningKey { id, secret: _, led, retired }: &SigningKey| Entry {
            id: id.clone(),
            led: *led,
            retired: *retired,
        };
        self.0.iter().map(entry).collect()
    }

    /// The set after the step that is due, or `None`. `known` holds what each live pod says it knows; without a pod nothing is
    /// known to be known, and nothing moves.
    pub fn next(
        &self,
        now: Timestamp,
        session: SignedDuration,
        known: &[Vec<String>],
        random: &dyn SecureRandom,
    ) -> Result<Option<Self>, KeysError> {
        let ids: Vec<_> = self.0.iter().map(|key| key.id.as_str()).collect();
        if known.is_empty() || !known.iter().all(|pod| pod.iter().map(String::as_str).eq(ids.iter().copied())) {
            return Ok(None);
        }
        let mut keys = self.0.clone();
        let over = |key: &SigningKey| key.retired.is_some_and(|at| now.duration_since(at) >= session);
        if keys.last().is_some_and(|last| last.led.is_none()) {
            let mut next = keys.split_off(keys.len() - 1);
            for key in &mut next {
                key.led = Some(now);
            }
            if let Some(first) = keys.first_mut() {
                first.retired = Some(now);
            }
            next.append(&mut keys);
            return Ok(Some(Self(next)));
        }
        if keys.iter().any(over) {
            keys.retain(|key| !over(key));
            return Ok(Some(Self(keys)));
        }
        let aged = self.0[0].led.is_none_or(|at| now.duration_since(at) >= SIGNS_FOR);
        if aged {
            keys.push(fresh(random)?);
            return Ok(Some(Self(keys)));
        }
        Ok(None)
    }
}

fn fresh(random: &dyn SecureRandom) -> Result<SigningKey, KeysError> {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes).map_err(|_| KeysError::NoRandomness)?;
    let secret = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let id = id_of(&secret).ok_or(KeysError::NoRandomness)?;
    Ok(SigningKey { id, secret: secret.into(), led: None, retired: None })
}

/// The id that pods derive from the same secret and report in their rows.
pub(super) fn id_of(secret: &str) -> Option<String> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret.as_bytes());
    let mut id = [0; 8];
    extracted.expand(&[b"kid/v1"], IdLength).ok()?.fill(&mut id).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(id))
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

    const SESSION: SignedDuration = SignedDuration::from_hours(90 * 24);

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    fn step(keys: &KeySet, now: Timestamp, pods: usize) -> Option<KeySet> {
        let known: Vec<String> = keys.keys().iter().map(|key| key.id.clone()).collect();
        keys.next(now, SESSION, &vec![known; pods], &SystemRandom::new()).unwrap()
    }

    fn ids(keys: &KeySet) -> Vec<&str> {
        keys.keys().iter().map(|key| key.id.as_str()).collect()
    }

    #[test]
    fn a_key_is_added_last_moves_first_and_its_predecessor_goes_when_its_sessions_are_over() {
        let one = KeySet::made(day(0), &SystemRandom::new()).unwrap();
        assert_eq!(step(&one, day(29), 2), None, "it may sign for a month");
        let two = step(&one, day(30), 2).unwrap();
        assert_eq!(ids(&two)[0], ids(&one)[0], "the new one only verifies");
        let moved = step(&two, day(30), 2).unwrap();
        assert_eq!(ids(&moved), [ids(&two)[1], ids(&two)[0]]);
        assert_eq!(step(&moved, day(59), 2), None);
        let third = step(&moved, day(60), 2).unwrap();
        assert_eq!(third.keys().len(), 3);
        let mut late = moved.clone();
        late.0[0].led = Some(day(119));
        let dropped = step(&late, day(120), 2).unwrap();
        assert_eq!(ids(&dropped), [ids(&moved)[0]]);
    }

    #[test]
    fn no_step_is_taken_before_every_live_pod_knows_the_set() {
        let one = KeySet::made(day(0), &SystemRandom::new()).unwrap();
        let two = step(&one, day(30), 1).unwrap();
        let (new, old): (Vec<_>, Vec<_>) = (two.entries(), one.entries());
        let known = |entries: &[Entry]| entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
        let random = SystemRandom::new();
        let mixed = [known(&new), known(&old)];
        assert_eq!(two.next(day(31), SESSION, &mixed, &random).unwrap(), None, "one pod has the old set");
        assert_eq!(two.next(day(31), SESSION, &[], &random).unwrap(), None, "no pod says anything");
        assert!(two.next(day(31), SESSION, &[known(&new), known(&new)], &random).unwrap().is_some());
    }

    #[test]
    fn the_secret_gives_back_what_was_put_into_it_and_is_refused_when_damaged() {
        let keys = step(&KeySet::made(day(0), &SystemRandom::new()).unwrap(), day(30), 1).unwrap();
        let secret =
            |id: &str| keys.keys().iter().find(|key| key.id == id).map(|key| key.secret.expose_secret().to_owned());
        assert_eq!(KeySet::read(&keys.entries(), secret).unwrap(), keys);
        assert!(matches!(KeySet::read(&keys.entries(), |_| None), Err(KeysError::Damaged(_))));
        assert!(matches!(KeySet::read(&keys.entries(), |_| Some("x".repeat(64))), Err(KeysError::Damaged(_))));
        assert!(matches!(KeySet::read(&[], secret), Err(KeysError::Damaged(_))));
    }

    /// The same secret and id as in the pod's own test of its key ring.
    #[test]
    fn ids_are_those_that_pods_derive() {
        let secret = "a secret of at least 32 bytes, for the ids";
        assert_eq!(id_of(secret).unwrap().len(), 11);
        assert_ne!(id_of(secret), id_of("a secret of at least 32 bytes, for the idt"));
    }
}
