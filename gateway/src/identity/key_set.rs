//! The provider's signing keys: cached, refetched when they age or a token needs a key that is not there, kept while the
//! provider is away.
//!
//! The provider is asked at most once in [`PAUSE`], however many tokens need it. A set is asked for anew after [`FRESH`], and
//! trusted without a new answer until [`MAX_STALE`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use gateway_egress::Client;
use openidconnect::core::CoreJsonWebKey;
use serde_json::Value;
use url::Url;

use super::{provider, relying_party::SignInError};
use crate::clock::Clock;

const PAUSE: TimeDelta = TimeDelta::seconds(30);
const FRESH: TimeDelta = TimeDelta::minutes(10);
const MAX_STALE: TimeDelta = TimeDelta::hours(24);
/// A token without a key id is tried with each of them.
const MAX_KEYS: usize = 64;
const MIN_RSA_BYTES: usize = 256;
const MAX_RSA_BYTES: usize = 1024;

pub(super) type Keys = Arc<Vec<CoreJsonWebKey>>;

pub(super) struct KeySet {
    client: Client,
    url: Url,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while the provider is asked: whoever waits for it finds the answer.
    flight: tokio::sync::Mutex<()>,
}

struct State {
    keys: Keys,
    fetched_at: DateTime<Utc>,
    asked_at: DateTime<Utc>,
    failure: Option<String>,
}

/// What a token that no known key verifies may hope for.
pub(super) enum Newer {
    Keys(Keys),
    /// The set is as new as it may be.
    None,
    Unknown(String),
}

impl KeySet {
    pub(super) async fn fetch(client: Client, url: Url, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        let asked_at = clock.now();
        let keys = Arc::new(parse(&provider::get_json(&client, &url, "the key set").await?)?);
        let state = Mutex::new(State { keys, fetched_at: asked_at, asked_at, failure: None });
        Ok(Self { client, url, clock, state, flight: tokio::sync::Mutex::new(()) })
    }

    pub(super) async fn current(&self) -> Result<Keys, SignInError> {
        let (keys, age) = self.held();
        if age < FRESH {
            return Ok(keys);
        }
        match self.newer_than(&keys).await {
            Newer::Keys(keys) => Ok(keys),
            Newer::None => Ok(keys),
            Newer::Unknown(_) if self.held().1 < MAX_STALE => Ok(keys),
            Newer::Unknown(reason) => Err(SignInError::Unavailable { reason }),
        }
    }

    /// Asks the provider unless it was asked a moment ago.
    pub(super) async fn newer_than(&self, seen: &Keys) -> Newer {
        let _flight = self.flight.lock().await;
        let now = self.clock.now();
        {
            let mut state = self.lock();
            if !Arc::ptr_eq(&state.keys, seen) {
                return Newer::Keys(state.keys.clone());
            }
            if (now - state.asked_at).abs() < PAUSE {
                return state.failure.clone().map_or(Newer::None, Newer::Unknown);
            }
            // Before the question, so that one given up half-way counts too.
            state.asked_at = now;
            state.failure = Some("the provider was asked for its keys a moment ago, in vain".to_owned());
        }
        let fetched = match provider::get_json(&self.client, &self.url, "the key set").await {
            Ok(body) => parse(&body),
            Err(error) => Err(error),
        };
        let mut state = self.lock();
        match fetched {
            Ok(keys) => {
                *state = State { keys: Arc::new(keys), fetched_at: now, asked_at: now, failure: None };
                Newer::Keys(state.keys.clone())
            }
            Err(error) => {
                tracing::warn!(%error, "the identity provider's keys could not be renewed; the known ones stay for now");
                let reason = error.to_string();
                state.failure = Some(reason.clone());
                Newer::Unknown(reason)
            }
        }
    }

    /// A clock that was set back makes a set look new, never older than it is.
    fn held(&self) -> (Keys, TimeDelta) {
        let state = self.lock();
        (state.keys.clone(), self.clock.now() - state.fetched_at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The public signing keys that may verify anything: no symmetric ones, no private ones, no weak ones.
fn parse(body: &[u8]) -> Result<Vec<CoreJsonWebKey>, SignInError> {
    let untrustworthy = |reason: &str| SignInError::Untrustworthy { reason: reason.to_owned() };
    let document: Value =
        serde_json::from_slice(body).map_err(|_| untrustworthy("the key set cannot be read as JSON"))?;
    let keys = document["keys"].as_array().ok_or_else(|| untrustworthy("the key set holds no list of keys"))?;
    if keys.len() > MAX_KEYS {
        return Err(untrustworthy("the key set holds more keys than any provider has"));
    }
    let usable: Vec<_> =
        keys.iter().filter(|key| may_verify(key)).filter_map(|key| serde_json::from_value(key.clone()).ok()).collect();
    if usable.is_empty() {
        return Err(untrustworthy("the key set holds no key that could verify a token"));
    }
    Ok(usable)
}

fn may_verify(key: &Value) -> bool {
    let for_signatures = key["use"].as_str().is_none_or(|purpose| purpose == "sig");
    let published_whole = key.get("d").is_some();
    for_signatures
        && !published_whole
        && match key["kty"].as_str() {
            Some("RSA") => rsa_strength(key).is_some_and(|bytes| (MIN_RSA_BYTES..=MAX_RSA_BYTES).contains(&bytes)),
            Some("EC" | "OKP") => true,
            _ => false,
        }
}

/// Bytes of the modulus, leading zeros not counted.
fn rsa_strength(key: &Value) -> Option<usize> {
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str()?.trim_end_matches('=')).ok()?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    Some(modulus.len() - zeros)
}

#[cfg(test)]
mod tests {
    use openidconnect::{JsonWebKey, JsonWebKeyId};
    use serde_json::json;

    use super::*;

    fn rsa(kid: &str, bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": kid, "n": URL_SAFE_NO_PAD.encode(vec![0xa5; bytes]), "e": "AQAB"})
    }

    fn kids(keys: Value) -> Option<Vec<String>> {
        let keys = parse(json!({ "keys": keys }).to_string().as_bytes()).ok()?;
        Some(keys.iter().filter_map(JsonWebKey::key_id).map(|kid: &JsonWebKeyId| kid.to_string()).collect())
    }

    #[test]
    fn s2_weak_symmetric_and_private_keys_are_not_keys() {
        let mut encryption = rsa("enc", 256);
        encryption["use"] = json!("enc");
        let mut private = rsa("private", 256);
        private["d"] = json!("AQAB");
        let mut padded = rsa("padded", 0);
        padded["n"] = json!(URL_SAFE_NO_PAD.encode([vec![0; 128], vec![0xa5; 128]].concat()));
        let symmetric = json!({"kty": "oct", "kid": "oct", "k": "c2VjcmV0", "alg": "HS256"});
        for refused in [rsa("weak", 128), rsa("weak", 255), rsa("vast", 1025), encryption, private, padded, symmetric] {
            assert_eq!(kids(json!([refused.clone(), rsa("good", 256)])), Some(vec!["good".to_owned()]), "{refused}");
            assert_eq!(kids(json!([refused])), None, "a set of nothing else is no set");
        }
    }

    #[test]
    fn unknown_kinds_of_keys_are_passed_over() {
        let odd = json!([{"kty": "AKP", "kid": "pq"}, {}, 7, rsa("good", 512)]);
        assert_eq!(kids(odd), Some(vec!["good".to_owned()]));
    }

    #[test]
    fn s3_a_huge_key_set_is_refused() {
        let keys: Vec<_> = (0..=MAX_KEYS).map(|n| rsa(&n.to_string(), 256)).collect();
        assert_eq!(kids(json!(keys[..MAX_KEYS])).map(|kids| kids.len()), Some(MAX_KEYS));
        assert_eq!(kids(json!(keys)), None);
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for body in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "<html>"] {
            assert!(parse(body.as_bytes()).is_err(), "{body:?}");
        }
    }
}
