//! Device grants: one sign-in, from the device's first request through a person's browser to the poll that takes the tokens.
//!
//! Invariant: only the browser that entered the code continues, only that browser's return is redeemed, once, and only one
//! poll gets the tokens. What must survive between two requests is in the store, hashed or sealed; any pod serves any step.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand::SecureRandom;
use gateway_config::{PublicUrl, RateLimit, RateLimits};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    full::FullWindows,
    grant::{self, PollAnswer},
    guessing,
    network::network,
    user_code::{self, UserCode},
};
use crate::{
    identity::{Departure, PendingSignIn, Person, RelyingParty, SignInError},
    session::{
        KeyRing, Lifetimes, SessionId, Sessions,
        chance::{self, NoRandomness},
        keys::token_hash,
        sealed::Purpose,
    },
    store::{
        Store, StoreError,
        device_grant::{AttemptEnd, Entry, NewGrant, Redeeming, Request},
    },
};

/// More often than a person mistypes.
const ENTRIES: i32 = 5;
/// A device's timer is not ours: a poll this much early is in time.
const POLL_LEEWAY: Duration = Duration::from_millis(500);

pub(super) struct DeviceGrants {
    pub(super) store: Arc<Store>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) relying_party: Arc<RelyingParty>,
    pub(super) public_url: PublicUrl,
    pub(super) rate_limits: RateLimits,
    pub(super) full_windows: FullWindows,
    pub(super) lifetimes: Lifetimes,
    pub(super) random: Arc<dyn SecureRandom + Send + Sync>,
}

pub(super) struct Started {
    pub(super) device_code: SecretString,
    pub(super) user_code: UserCode,
    pub(super) expires_in: Duration,
    pub(super) interval: Duration,
}

/// A code that is somebody's, and the browser that now holds it.
pub(super) struct Entered {
    pub(super) code: UserCode,
    pub(super) request: Request,
    pub(super) binding: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum GrantError {
    #[error("too many tries from this network")]
    TooMany { retry_after: Duration },
    /// Wrong, expired or used; `elsewhere`: codes count only from the device's own network just now.
    #[error("no such code")]
    NoSuchCode { elsewhere: bool },
    /// The browser holds no grant, or not this one, or it has ended.
    #[error("this browser has nothing to continue")]
    NothingToContinue,
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What the browser brings back from the identity provider.
pub(super) struct Return<'a> {
    pub(super) state: &'a str,
    pub(super) answer: Result<&'a str, ProviderError>,
    /// RFC 9207
    pub(super) issuer: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProviderError {
    /// The person, or the provider for them, said no.
    AccessDenied,
    Other,
}

#[derive(Serialize, Deserialize)]
struct KeptDeparture {
    state: String,
    nonce: String,
    pkce_verifier: Option<String>,
}

impl DeviceGrants {
    pub(super) async fn start(&self, from: IpAddr, by: &str) -> Result<Started, GrantError> {
        let network = network(from);
        self.count("device_authorization", &network, self.rate_limits.device_authorization).await?;
        let device_code = chance::secret(&*self.random)?;
        let device_code_hash = token_hash(device_code.expose_secret());
        loop {
            let user_code = UserCode::random(&*self.random)?;
            let grant = NewGrant {
                device_code_hash: &device_code_hash,
                user_code_hash: &self.keys.code_hash(user_code.letters()),
                lifetime: self.lifetimes.grant,
                requested_from: &from.to_canonical().to_string(),
                requested_by: by,
                requested_network: &network,
            };
            if self.store.add_grant(&grant).await? {
                let (expires_in, interval) = (self.lifetimes.grant, self.lifetimes.poll_interval);
                return Ok(Started { device_code, user_code, expires_in, interval });
            }
        }
    }

    /// One statement at most, none for what cannot be a code of ours.
    pub(super) async fn poll(&self, unverified_device_code: &str) -> Result<(PollAnswer, [u8; 32]), StoreError> {
        let hash = token_hash(unverified_device_code);
        if unverified_device_code.len() != 43 {
            return Ok((PollAnswer::Expired, hash));
        }
        let interval = self.lifetimes.poll_interval.saturating_sub(POLL_LEEWAY);
        Ok((grant::answer(self.store.poll_grant(&hash, interval).await?), hash))
    }

    pub(super) async fn enter(&self, unverified_code: &str, from: IpAddr) -> Result<Entered, GrantError> {
        let binding = chance::secret(&*self.random)?;
        let binding_hash = token_hash(binding.expose_secret());
        let (code, request) = self
            .try_code(unverified_code, from, async |entry: &Entry<'_>| {
                self.store.enter_code(entry, &binding_hash).await
            })
            .await?;
        Ok(Entered { code, request, binding })
    }

    pub(super) async fn deny(&self, unverified_code: &str, from: IpAddr) -> Result<(), GrantError> {
        let denied = async |entry: &Entry<'_>| Ok(self.store.deny_code(entry).await?.then_some(()));
        self.try_code(unverified_code, from, denied).await?;
        Ok(())
    }

    /// Every try of a code is counted before it is looked up, so that pods that try at once share one count.
    async fn try_code<T>(
        &self,
        unverified_code: &str,
        from: IpAddr,
        act: impl AsyncFnOnce(&Entry<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<(UserCode, T), GrantError> {
        let network = network(from);
        self.count("device_verify", &network, self.rate_limits.device_verify).await?;
        let code = user_code::parse(unverified_code).ok_or(GrantError::NoSuchCode { elsewhere: false })?;
        let live = self.store.live_codes().await?;
        let hour = self.store.count_in_window("guesses", "", live, guessing::HOUR).await?;
        let elsewhere = !guessing::open_to_anyone(hour.count);
        let entry = Entry {
            user_code_hashes: &self.keys.code_hashes(code.letters()),
            only_from: elsewhere.then_some(&network),
            at_most: ENTRIES,
        };
        match act(&entry).await? {
            Some(found) => {
                // Not a guess. Where it cannot be given back, the bound is met a little sooner.
                let _ = self.store.count_in_window("guesses", "", -live, guessing::HOUR).await;
                Ok((code, found))
            }
            None => {
                if elsewhere {
                    tracing::warn!(%network, "somebody is guessing user codes: for the rest of the hour a code counts only from the network of its device");
                }
                Err(GrantError::NoSuchCode { elsewhere })
            }
        }
    }

    /// Where the browser goes from the page that showed the request.
    pub(super) async fn depart(&self, binding: &SecretString, unverified_code: &str) -> Result<Url, GrantError> {
        let code = user_code::parse(unverified_code).ok_or(GrantError::NothingToContinue)?;
        let Departure { to, pending: PendingSignIn { state, nonce, pkce_verifier } } = self.relying_party.depart();
        let kept = KeptDeparture {
            state: state.expose_secret().to_owned(),
            nonce: nonce.expose_secret().to_owned(),
            pkce_verifier: pkce_verifier.map(|verifier| verifier.expose_secret().to_owned()),
        };
        let kept = serde_json::to_vec(&kept).map_err(|_| NoRandomness)?;
        let state_hash = token_hash(state.expose_secret());
        let sealed = self.keys.seal(&*self.random, Purpose::SignIn, &self.context(&state_hash), &kept)?;
        let binding_hash = token_hash(binding.expose_secret());
        let code_hashes = self.keys.code_hashes(code.letters());
        match self.store.depart(&binding_hash, &code_hashes, &state_hash, &sealed).await? {
            true => Ok(to),
            false => Err(GrantError::NothingToContinue),
        }
    }

    /// The browser is back. On success the device's next poll gets the tokens.
    pub(super) async fn come_back(
        &self,
        unverified: Return<'_>,
        binding: &SecretString,
    ) -> Result<(SessionId, Person), GrantError> {
        let state_hash = token_hash(unverified.state);
        let binding_hash = token_hash(binding.expose_secret());
        let redeeming = self.store.redeem(&state_hash, &binding_hash).await?.ok_or(GrantError::NothingToContinue)?;
        match self.admit(unverified, &state_hash, redeeming).await {
            Ok(admitted) => Ok(admitted),
            Err(error) => {
                let end = match &error {
                    GrantError::SignIn(SignInError::NotAdmitted { .. }) => AttemptEnd::Denied,
                    GrantError::SignIn(SignInError::Refused { code }) if code == ACCESS_DENIED => AttemptEnd::Denied,
                    _ => AttemptEnd::MayTryAgain,
                };
                // Where the store is away, the grant runs out by itself.
                let _ = self.store.end_attempt(&state_hash, end).await;
                Err(error)
            }
        }
    }

    async fn admit(
        &self,
        unverified: Return<'_>,
        state_hash: &[u8; 32],
        Redeeming { device_code_hash, departure, now }: Redeeming,
    ) -> Result<(SessionId, Person), GrantError> {
        let code = unverified.answer.map_err(|error| {
            let code = if error == ProviderError::AccessDenied { ACCESS_DENIED } else { "error" };
            SignInError::Refused { code: code.to_owned() }
        })?;
        let pending = self.pending(&departure, state_hash).ok_or(GrantError::NothingToContinue)?;
        let sign_in = self.relying_party.redeem(code, unverified.issuer, &pending).await?;
        let person = sign_in.person.person().clone();
        let beginning = self.sessions.begin(sign_in, now, &self.context(&device_code_hash))?;
        let session = beginning.row.id;
        match self.store.approve(&device_code_hash, state_hash, &beginning.sealed, &beginning.row).await? {
            true => Ok((session, person)),
            false => Err(GrantError::NothingToContinue),
        }
    }

    fn pending(&self, departure: &[u8], state_hash: &[u8; 32]) -> Option<PendingSignIn> {
        let kept = self.keys.open(Purpose::SignIn, &self.context(state_hash), departure)?;
        let KeptDeparture { state, nonce, pkce_verifier } = serde_json::from_slice(&kept).ok()?;
        let pkce_verifier = pkce_verifier.map(SecretString::from);
        Some(PendingSignIn { state: state.into(), nonce: nonce.into(), pkce_verifier })
    }

    /// What is sealed for one step of one grant opens nowhere else.
    pub(super) fn context(&self, hash: &[u8; 32]) -> Vec<u8> {
        [self.public_url.as_str().as_bytes(), b"\0", hash].concat()
    }

    async fn count(&self, scope: &'static str, network: &str, limit: RateLimit) -> Result<(), GrantError> {
        if let Some(retry_after) = self.full_windows.remaining(scope, network, Instant::now()) {
            return Err(GrantError::TooMany { retry_after });
        }
        let window = self.store.count_in_window(scope, network, 1, limit.window).await?;
        if window.count <= i64::from(limit.max) {
            return Ok(());
        }
        self.full_windows.add(scope, network.to_owned(), Instant::now(), window.remaining);
        Err(GrantError::TooMany { retry_after: window.remaining })
    }
}

const ACCESS_DENIED: &str = "access_denied";
