//! Sessions from the outside: begin one, hand its tokens over, end it. Refreshing has a file of its own.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand::SecureRandom;
use chrono::{DateTime, Utc};
use gateway_config::PublicUrl;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    Admitted, KeyRing, Lifetimes, Revocations, SessionId, Verifier, access_token,
    chance::NoRandomness,
    journal::{Entry, Journal},
    keys::token_hash,
    outage::Outage,
    refresh_token::{self, Content},
    revocations::{Revocation, Revoked},
    rotation::{self, CatchUp},
    sealed::Purpose,
};
use crate::{
    clock::Clock,
    identity::{Person, RelyingParty, SignIn, Subject},
    store::{
        Store, StoreError,
        session::{Advance, NewSession},
    },
};

/// What sessions need from the rest of the pod.
pub struct SessionParts {
    pub keys: Arc<KeyRing>,
    pub revocations: Arc<Revocations>,
    pub store: Arc<Store>,
    pub relying_party: Arc<RelyingParty>,
    pub public_url: PublicUrl,
    pub lifetimes: Lifetimes,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
}

pub struct Sessions {
    pub(super) keys: Arc<KeyRing>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) store: Arc<Store>,
    pub(super) relying_party: Arc<RelyingParty>,
    pub(super) public_url: PublicUrl,
    pub(super) lifetimes: Lifetimes,
    pub(super) journal: Journal,
    pub(super) outage: Outage,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn SecureRandom + Send + Sync>,
    verifier: Arc<Verifier>,
    /// One at a time: entries are told in their order.
    telling: tokio::sync::Mutex<()>,
}

/// What a client gets.
#[derive(Debug)]
pub struct Tokens {
    pub access: SecretString,
    pub expires_in: Duration,
    pub refresh: Option<SecretString>,
    pub session: SessionId,
    pub person: Person,
}

/// A session that begins when the store has its row; its tokens wait, sealed, for the device.
pub struct Beginning {
    pub row: NewSession,
    pub sealed: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    session: SessionId,
    started_at: i64,
    person: Person,
    refresh: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    #[error("the session was revoked before its tokens were fetched")]
    Revoked,
    #[error("the tokens that waited cannot be opened")]
    Unreadable,
}

impl Sessions {
    pub fn new(parts: SessionParts) -> Arc<Self> {
        let SessionParts { keys, revocations, store, relying_party, public_url, lifetimes, journal, clock, random } =
            parts;
        let verifier = Verifier::new(keys.clone(), revocations.clone(), public_url.clone(), clock.clone());
        Arc::new(Self {
            keys,
            revocations,
            store,
            relying_party,
            public_url,
            lifetimes,
            journal,
            outage: Outage::default(),
            clock,
            random,
            verifier,
            telling: tokio::sync::Mutex::default(),
        })
    }

    /// The one that the data path shares.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.verifier.clone()
    }

    /// How long a session may last at most.
    pub fn longest(&self) -> Duration {
        self.lifetimes.session
    }

    /// `grant` names the grant whose device may fetch the tokens.
    pub fn begin(&self, sign_in: SignIn, started_at: DateTime<Utc>, grant: &[u8]) -> Result<Beginning, NoRandomness> {
        let SignIn { person, refresh_token } = sign_in;
        let person = person.into_person();
        let session = SessionId::random(&*self.random)?;
        let (subject, email) = (person.sub.clone(), person.email.clone());
        let refresh = refresh_token
            .map(|upstream| {
                self.seal_refresh(&Content { session, started_at, generation: 1, person: person.clone(), upstream })
            })
            .transpose()?;
        let token_hash = refresh.as_ref().map(|refresh| token_hash(refresh.expose_secret()));
        let refresh = refresh.map(|refresh| refresh.expose_secret().to_owned());
        let waiting = Waiting { session, started_at: started_at.timestamp_micros(), person, refresh };
        let plain = serde_json::to_vec(&waiting).map_err(|_| NoRandomness)?;
        let sealed = self.keys.seal(&*self.random, Purpose::SignIn, grant, &plain)?;
        Ok(Beginning { row: NewSession { id: session, subject, email, started_at, token_hash }, sealed })
    }

    /// The device fetches what [`begin`](Self::begin) sealed.
    pub fn hand_over(&self, sealed: &[u8], grant: &[u8]) -> Result<Tokens, HandOverError> {
        let plain = self.keys.open(Purpose::SignIn, grant, sealed).ok_or(HandOverError::Unreadable)?;
        let Waiting { session, started_at, person, refresh } =
            serde_json::from_slice(&plain).map_err(|_| HandOverError::Unreadable)?;
        let started_at = DateTime::from_timestamp_micros(started_at).ok_or(HandOverError::Unreadable)?;
        if self.revocations.covers(&session, &person.sub, started_at) {
            return Err(HandOverError::Revoked);
        }
        self.tokens(session, person, started_at, refresh.map(SecretString::from)).map_err(|_| HandOverError::Unreadable)
    }

    /// Signing is the last thing that happens to a token.
    pub(super) fn tokens(
        &self,
        session: SessionId,
        person: Person,
        started_at: DateTime<Utc>,
        refresh: Option<SecretString>,
    ) -> Result<Tokens, serde_json::Error> {
        let now = self.clock.now();
        let expires_at = (now + self.lifetimes.access).min(started_at + self.lifetimes.session);
        let expires_in = (expires_at - now).to_std().unwrap_or_default();
        let whom = Admitted::to_be(session, person.clone(), started_at, expires_at);
        let access = access_token::mint(&self.keys, &self.public_url, now, whom)?;
        Ok(Tokens { access: access.into(), expires_in, refresh, session, person })
    }

    pub(super) fn seal_refresh(&self, content: &Content) -> Result<SecretString, NoRandomness> {
        refresh_token::seal(&self.keys, &*self.random, &self.public_url, content)
    }

    /// Whose token this is, of either kind, past its time or not. `None`: nobody's.
    pub fn session_of(&self, unverified: &str) -> Option<(SessionId, Person)> {
        if let Ok(authentic) = self.verifier.authentic(unverified) {
            return Some((*authentic.session(), authentic.person().clone()));
        }
        let presented = refresh_token::open(&self.keys, &self.public_url, unverified)?;
        Some((presented.content.session, presented.content.person))
    }

    /// In force on this pod when it returns, on the others a moment later. A session that has ended ends at no cost.
    pub async fn end(&self, session: &SessionId) -> Result<(), StoreError> {
        match self.revocations.has_ended(session) {
            true => Ok(()),
            false => self.write_end(session).await,
        }
    }

    /// Ends every session that a person has begun by now; says how many there were. In force as [`end`](Self::end) is.
    pub async fn end_person(&self, subject: &Subject) -> Result<u64, StoreError> {
        let (revocation, ended) = self.store.end_sessions_of(subject).await?;
        self.revocations.add(revocation);
        Ok(ended)
    }

    /// Ends every session that has begun by now; says how many there were.
    pub async fn end_everyone(&self) -> Result<u64, StoreError> {
        let (revocation, ended) = self.store.end_all_sessions().await?;
        self.revocations.add(revocation);
        Ok(ended)
    }

    async fn write_end(&self, session: &SessionId) -> Result<(), StoreError> {
        if let Some(revocation) = self.store.end_session(session).await? {
            self.revocations.add(revocation);
        }
        Ok(())
    }

    /// As [`end`](Self::end), but with the store away too: this pod refuses at once, the others when the store is back.
    pub(super) async fn end_in_any_case(&self, session: &SessionId) {
        if let Err(error) = self.end(session).await {
            tracing::warn!(%error, %session, "a session ends here first: the store hears of it later");
            self.end_here(session);
            self.journal.write(Entry::Ended { session: *session });
        }
    }

    fn end_here(&self, session: &SessionId) {
        let revoked = Revoked::Session(*session);
        self.revocations.add(Revocation { sequence: 0, revoked, cut_off: self.clock.now() });
    }

    /// Tells the store what happened while it was away. An error leaves the rest for the next time.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        if self.journal.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.telling.lock().await;
        while let Some(entry) = self.journal.next() {
            match self.tell(&entry).await {
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => tracing::error!(%error, session = %entry.session(), "a session's step is lost"),
                Ok(()) => {}
            }
            self.journal.told();
        }
        Ok(())
    }

    async fn tell(&self, entry: &Entry) -> Result<(), StoreError> {
        match entry {
            // This pod knows it already, the store does not.
            Entry::Ended { session } => self.write_end(session).await,
            Entry::Advanced { advance, at } => self.tell_advance(advance, *at).await,
        }
    }

    async fn tell_advance(&self, advance: &Advance, made_at: DateTime<Utc>) -> Result<(), StoreError> {
        while let Some(standing) = self.store.standing_of(&advance.session).await? {
            match rotation::catch_up(&standing, advance) {
                CatchUp::Known => break,
                CatchUp::Conflict => {
                    tracing::warn!(session = %advance.session, "two tokens of one generation: the session ends");
                    return self.write_end(&advance.session).await;
                }
                CatchUp::Apply => {
                    if self.store.catch_up_session(advance, made_at, standing.generation).await? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
