//! The refresh: claim, ask the provider, advance. Nothing is held while the provider is asked.
//!
//! Invariant: one token is renewed once, on whichever pods it is presented; everybody else who presents it within the grace
//! gets the same successor. Only the provider's own word that the person is gone, an admission rule, an ended session or a
//! copied token is the client's [`RefreshError::Refused`]; everything else is [`RefreshError::Unavailable`], after which the
//! client still has its token.

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Sessions, Tokens, chance,
    journal::Entry,
    keys::token_hash,
    refresh_token::{self, Content, Presented},
    rotation::{Verdict, judge},
    sealed::Purpose,
};
use crate::{
    identity::{Renewal, RenewalError},
    store::{
        StoreError,
        session::{Advance, Claim, Standing},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("refused: {}", .0.word())]
    Refused(Refusal),
    #[error("cannot be renewed now: {0}")]
    Unavailable(String),
}

/// Why a refresh token is worth nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Garbage,
    TooOld,
    Revoked,
    Copied,
    PersonGone,
    NotAdmitted,
}

impl Refusal {
    /// One word for audit lines and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Garbage => "not_a_token",
            Self::TooOld => "session_too_old",
            Self::Revoked => "session_ended",
            Self::Copied => "token_reused",
            Self::PersonGone => "person_gone",
            Self::NotAdmitted => "not_admitted",
        }
    }
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Where the claim is held until the provider has answered.
#[derive(Clone, Copy)]
enum Held {
    ByTheStore(Claim),
    /// The store is away: this pod alone knows of it.
    Here,
}

impl Sessions {
    pub async fn refresh(&self, unverified: &str) -> Result<Tokens, RefreshError> {
        let presented = refresh_token::open(&self.keys, &self.public_url, unverified)
            .ok_or(RefreshError::Refused(Refusal::Garbage))?;
        let patience = Instant::now() + self.lifetimes.wait;
        loop {
            self.still_stands(&presented)?;
            let (held, standing) = self.claim(&presented).await?;
            match judge(standing, &presented) {
                Verdict::Ours => return self.renew(presented, held).await,
                Verdict::Successor(sealed) => return self.same_again(&presented, &sealed),
                Verdict::Over => return Err(RefreshError::Refused(Refusal::Revoked)),
                Verdict::Copied => {
                    self.end_in_any_case(&presented.content.session).await;
                    return Err(RefreshError::Refused(Refusal::Copied));
                }
                Verdict::Wait if Instant::now() >= patience => {
                    return Err(RefreshError::Unavailable("another refresh of this session is under way".to_owned()));
                }
                Verdict::Wait => sleep(self.lifetimes.look).await,
            }
        }
    }

    /// What needs no store to know.
    fn still_stands(&self, presented: &Presented) -> Result<(), RefreshError> {
        let Content { session, started_at, person, .. } = &presented.content;
        if self.clock.now() >= *started_at + self.lifetimes.session {
            return Err(RefreshError::Refused(Refusal::TooOld));
        }
        if self.revocations.covers(session, &person.sub, *started_at) {
            return Err(RefreshError::Refused(Refusal::Revoked));
        }
        Ok(())
    }

    async fn claim(&self, presented: &Presented) -> Result<(Held, Option<Standing>), RefreshError> {
        if let Some(standing) = self.outage.held(&presented.content.session) {
            return Ok((Held::Here, Some(standing)));
        }
        let claim: Claim =
            chance::bytes(&*self.random).map_err(|error| RefreshError::Unavailable(error.to_string()))?;
        let content = &presented.content;
        let times = (self.lifetimes.claim, self.lifetimes.grace);
        // What this pod renewed during an outage comes first, or the store would renew the same token again.
        let claimed = match self.catch_up().await {
            Ok(()) => {
                let token = (content.generation, &presented.hash);
                self.store.claim_session(&content.session, token, &claim, times).await
            }
            Err(error) => Err(error),
        };
        match claimed {
            Ok(standing) => Ok((Held::ByTheStore(claim), standing)),
            // One call that failed is no outage: another pod may well hold the claim that this one could not see.
            Err(error) if error.is_unavailable() && !self.store.health().is_reachable() => {
                Ok((Held::Here, Some(self.outage.claim(presented, times.0, times.1))))
            }
            Err(error) => {
                if !error.is_unavailable() {
                    tracing::error!(%error, "a refresh could not be claimed");
                }
                Err(error.into())
            }
        }
    }

    async fn renew(&self, presented: Presented, held: Held) -> Result<Tokens, RefreshError> {
        let Content { session, person, upstream, .. } = &presented.content;
        let asked = timeout(self.lifetimes.renewal, self.relying_party.renew(upstream, person)).await;
        let refusal = match asked {
            Ok(Ok(renewal)) => return self.advance(presented, renewal, held).await,
            Ok(Err(RenewalError::PersonGone)) => Refusal::PersonGone,
            Ok(Err(RenewalError::NotAdmitted { .. })) => Refusal::NotAdmitted,
            Ok(Err(RenewalError::Unavailable { reason })) => return self.give_back(&presented, held, reason).await,
            Err(_) => return self.give_back(&presented, held, "no answer in time".to_owned()).await,
        };
        self.end_in_any_case(session).await;
        Err(RefreshError::Refused(refusal))
    }

    /// The provider could not say: nobody is signed out for that.
    async fn give_back(&self, presented: &Presented, held: Held, reason: String) -> Result<Tokens, RefreshError> {
        let session = &presented.content.session;
        match held {
            Held::Here => self.outage.release(session),
            // A claim that cannot be given back runs out.
            Held::ByTheStore(claim) => {
                let _ = self.store.release_session(session, &claim).await;
            }
        }
        tracing::error!(%reason, "the identity provider did not renew anybody: check it and oidc.client_secret; clients keep their tokens and try again");
        Err(RefreshError::Unavailable("the identity provider could not say".to_owned()))
    }

    async fn advance(&self, presented: Presented, renewal: Renewal, held: Held) -> Result<Tokens, RefreshError> {
        let Presented { content, hash: previous_hash } = presented;
        let next = Content {
            generation: content.generation + 1,
            person: renewal.person.into_person(),
            upstream: renewal.refresh_token.unwrap_or(content.upstream),
            ..content
        };
        let email = next.person.email.clone();
        let (refresh, advance) = self.successor(&next, previous_hash)?;
        let advanced = match held {
            Held::ByTheStore(claim) => self.store.advance_session(&advance, &claim, email.as_deref()).await,
            Held::Here => Err(StoreError::Unavailable("it was away when this began".to_owned())),
        };
        match advanced {
            Ok(true) => {}
            // Ended meanwhile, or the claim ran out and another pod goes on: the client's token gets that one's successor.
            Ok(false) => {
                self.still_stands(&Presented { content: next, hash: previous_hash })?;
                return Err(RefreshError::Unavailable("the claim ran out".to_owned()));
            }
            Err(error) if error.is_unavailable() => {
                // In this order: whoever sees the claim gone finds the step in the journal.
                self.journal.write(Entry::Advanced { advance: advance.clone(), at: self.clock.now() });
                self.outage.advance(&advance);
            }
            Err(error) => return Err(error.into()),
        }
        self.tokens(next.session, next.person, next.started_at, Some(refresh))
            .map_err(|error| RefreshError::Unavailable(error.to_string()))
    }

    /// The next token, and the step that leads to it, the token sealed once more for the grace.
    fn successor(&self, next: &Content, previous_hash: [u8; 32]) -> Result<(SecretString, Advance), RefreshError> {
        let no_chance = |error: chance::NoRandomness| RefreshError::Unavailable(error.to_string());
        let refresh = self.seal_refresh(next).map_err(no_chance)?;
        let context = refresh_token::context(&self.public_url, &next.session);
        let text = refresh.expose_secret();
        let successor =
            self.keys.seal(&*self.random, Purpose::Successor, &context, text.as_bytes()).map_err(no_chance)?;
        let advance = Advance {
            session: next.session,
            generation: next.generation,
            previous_hash,
            token_hash: token_hash(text),
            successor,
        };
        Ok((refresh, advance))
    }

    fn same_again(&self, presented: &Presented, sealed: &[u8]) -> Result<Tokens, RefreshError> {
        let unreadable = || RefreshError::Unavailable("the successor cannot be opened".to_owned());
        let context = refresh_token::context(&self.public_url, &presented.content.session);
        let text = self.keys.open(Purpose::Successor, &context, sealed).ok_or_else(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| unreadable())?;
        let Content { session, started_at, person, .. } =
            refresh_token::open(&self.keys, &self.public_url, &text).ok_or_else(unreadable)?.content;
        self.tokens(session, person, started_at, Some(text.into())).map_err(|_| unreadable())
    }
}
