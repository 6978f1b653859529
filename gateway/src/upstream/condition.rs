//! How an upstream fares, for the operator: written into this pod's row.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use serde::Serialize;

use super::Upstream;

/// What is known of the credential by using it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// Nobody has asked for anything yet.
    Untried,
    Ok,
    /// The last answer was 401.
    Refused,
    /// There is none to send: it has not been minted, or has run out.
    Missing,
}

/// What the provider's answers say of the credential.
#[derive(Debug, Default)]
pub(super) struct Trial(AtomicU8);

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    pub name: String,
    pub credential: CredentialState,
    pub health: HealthState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed_models: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    Well,
    /// Closed for some models.
    Closed,
}

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;

impl Trial {
    pub(super) fn accepted(&self) {
        if self.0.load(Ordering::Relaxed) != ACCEPTED {
            self.0.store(ACCEPTED, Ordering::Relaxed);
        }
    }

    pub(super) fn refused(&self) {
        self.0.store(REFUSED, Ordering::Relaxed);
    }

    /// The credential is another one now.
    pub(super) fn anew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn state(&self) -> CredentialState {
        match self.0.load(Ordering::Relaxed) {
            ACCEPTED => CredentialState::Ok,
            REFUSED => CredentialState::Refused,
            _ => CredentialState::Untried,
        }
    }
}

impl Upstream {
    pub fn condition(&self, now: Instant) -> Condition {
        let closed_models = self.health.closed_models(now);
        let health = if closed_models.is_empty() { HealthState::Well } else { HealthState::Closed };
        let credential = if self.has_credential() { self.trial.state() } else { CredentialState::Missing };
        Condition { name: self.name.to_string(), credential, health, closed_models }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_says_what_the_credential_is_worth() {
        let trial = Trial::default();
        assert_eq!(trial.state(), CredentialState::Untried);
        trial.accepted();
        trial.refused();
        assert_eq!(trial.state(), CredentialState::Refused);
        trial.accepted();
        assert_eq!(trial.state(), CredentialState::Ok);
        trial.anew();
        assert_eq!(trial.state(), CredentialState::Untried);
    }
}
