//! A session asks whether its person is still there, and reads the claims anew.
//!
//! Only the provider's `invalid_grant`, or the operator's own rules on claims that were verified, may end a session. What a
//! renewed answer leaves out: an e-mail address or a name stays as it was known; groups do not, because most providers say
//! "in no group" by saying nothing.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::{
    admission,
    claims::Facts,
    person::Person,
    relying_party::{RelyingParty, Renewal, RenewalError, SignInError},
    sign_in::untrustworthy,
    token_endpoint::{Form, TokenReply},
    userinfo,
};

/// Clients wait about five seconds for a refresh; the store needs its share.
const BUDGET: Duration = Duration::from_millis(3500);

impl RelyingParty {
    /// Asks the provider whether the person is still there, and reads the claims anew; 3.5 s at most.
    pub async fn renew(&self, refresh_token: &SecretString, known: &Person) -> Result<Renewal, RenewalError> {
        let deadline = Instant::now() + BUDGET;
        let reply = match timeout_at(deadline, self.tokens(self.renewal_form(refresh_token))).await {
            Ok(answer) => answer.map_err(refused)?,
            Err(_) => return Err(unavailable(silence())),
        };
        let facts = match timeout_at(deadline, self.renewed_facts(&reply, known)).await.unwrap_or(Err(silence())) {
            Ok(facts) => facts,
            Err(SignInError::Unavailable { reason }) if used_up(refresh_token, &reply) => {
                tracing::warn!(reason, "a person was renewed with the claims known before");
                remembered(known)
            }
            Err(error) => return Err(unavailable(error)),
        };
        let person = admission::admit(&self.config, known.sub.clone(), facts)
            .map_err(|reason| RenewalError::NotAdmitted { reason })?;
        Ok(Renewal { person, refresh_token: reply.refresh_token })
    }

    fn renewal_form(&self, refresh_token: &SecretString) -> Form {
        let mut form: Form = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.expose_secret().to_owned()),
        ];
        if self.config.scope_on_refresh {
            form.push(("scope", self.config.scopes.join(" ")));
        }
        form
    }

    /// From the new ID token; without one, from userinfo; with neither, the token endpoint's 200 vouches for what is known.
    async fn renewed_facts(&self, reply: &TokenReply, known: &Person) -> Result<Facts, SignInError> {
        let facts = match (&reply.id_token, &self.metadata.userinfo_endpoint) {
            (Some(id_token), _) => {
                let (sub, claims) = self.verified(id_token, reply, None).await?;
                if sub != known.sub {
                    return Err(untrustworthy("the renewed ID token is about another subject".to_owned()));
                }
                self.completed(Facts::read(&claims, &self.config), reply, &sub).await?
            }
            (None, Some(url)) => {
                let claims = userinfo::ask(&self.client, url, &reply.access_token, &known.sub).await?;
                Facts::read(&claims, &self.config)
            }
            (None, None) => remembered(known),
        };
        let facts = facts.filled_by(Facts { groups: None, ..remembered(known) });
        self.with_directory_groups(facts).await
    }
}

fn remembered(known: &Person) -> Facts {
    Facts {
        email: known.email.clone(),
        email_verified: None,
        name: known.name.clone(),
        groups: Some(known.groups.clone()),
    }
}

/// The provider has vouched for the person and taken the old token back: an error now would lose the new one, and so sign the
/// person out for a hiccup of userinfo, of the key set or of the group directory.
fn used_up(refresh_token: &SecretString, reply: &TokenReply) -> bool {
    reply.refresh_token.as_ref().is_some_and(|next| next.expose_secret() != refresh_token.expose_secret())
}

fn silence() -> SignInError {
    SignInError::Unavailable { reason: format!("not within {} ms", BUDGET.as_millis()) }
}

/// The token endpoint's own refusal, and no other endpoint's, can mean that the person is gone.
fn refused(error: SignInError) -> RenewalError {
    match error {
        SignInError::Refused { code } if code == "invalid_grant" => RenewalError::PersonGone,
        error => unavailable(error),
    }
}

fn unavailable(error: SignInError) -> RenewalError {
    RenewalError::Unavailable { reason: error.to_string() }
}
