//! A browser came back: its code becomes tokens, tokens become verified claims, claims become an admitted person.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};

use super::{
    admission,
    claims::{Claims, Facts},
    id_token::{Expected, Refusal, UnverifiedIdToken},
    key_set::Newer,
    person::Subject,
    relying_party::{PendingSignIn, RelyingParty, SignIn, SignInError},
    token_endpoint::{self, Form, TokenReply},
    userinfo,
};

const MAX_REASON: usize = 400;

impl RelyingParty {
    /// Redeems the callback's code. `iss` is the callback's RFC 9207 parameter.
    pub async fn redeem(
        &self,
        unverified_code: &str,
        unverified_iss: Option<&str>,
        pending: &PendingSignIn,
    ) -> Result<SignIn, SignInError> {
        self.check_callback_issuer(unverified_iss)?;
        let mut form: Form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", unverified_code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
        ];
        if let Some(verifier) = &pending.pkce_verifier {
            form.push(("code_verifier", verifier.expose_secret().to_owned()));
        }
        let reply = self.tokens(form).await?;
        let Some(id_token) = &reply.id_token else {
            return Err(untrustworthy("the token endpoint gave no ID token".to_owned()));
        };
        let (sub, claims) = self.verified(id_token, &reply, Some(&pending.nonce)).await?;
        let facts = self.completed(Facts::read(&claims, &self.config), &reply, &sub).await?;
        let facts = self.with_directory_groups(facts).await?;
        let person =
            admission::admit(&self.config, sub, facts).map_err(|reason| SignInError::NotAdmitted { reason })?;
        Ok(SignIn { person, refresh_token: reply.refresh_token })
    }

    /// RFC 9207, section 2.4: a code of another provider must not be sent to this one.
    fn check_callback_issuer(&self, unverified_iss: Option<&str>) -> Result<(), SignInError> {
        match unverified_iss {
            Some(issuer) if issuer == self.metadata.issuer => Ok(()),
            Some(_) => Err(untrustworthy("the callback is another provider's".to_owned())),
            None if self.metadata.names_itself_in_callback => {
                Err(untrustworthy("the callback does not name its provider, which says it does".to_owned()))
            }
            None => Ok(()),
        }
    }

    pub(super) async fn tokens(&self, mut form: Form) -> Result<TokenReply, SignInError> {
        let endpoint = &self.metadata.token_endpoint;
        let authorization = self.authenticator.load().sign(&mut form, endpoint, self.clock.now(), &self.random);
        token_endpoint::ask(&self.client, endpoint, authorization, &form).await
    }

    /// The claims that a key of the provider's vouches for, and whose they are. A token that no known key verifies may have
    /// been signed by a new one.
    pub(super) async fn verified(
        &self,
        id_token: &SecretString,
        reply: &TokenReply,
        nonce: Option<&SecretString>,
    ) -> Result<(Subject, Claims), SignInError> {
        let token = UnverifiedIdToken::parse(id_token, self.config.signing_algorithm).map_err(untrustworthy)?;
        let expected = Expected {
            issuer: &self.metadata.issuer,
            client_id: &self.config.client_id,
            algorithm: self.config.signing_algorithm,
            additional_parties: &self.config.additional_authorized_parties,
            skew: TimeDelta::from_std(self.config.clock_skew).unwrap_or_default(),
            now: self.clock.now(),
            nonce,
            access_token: &reply.access_token,
        };
        let keys = self.keys.current().await?;
        let claims = match token.verify(&keys, &expected) {
            Ok(claims) => claims,
            Err(Refusal::Claims(reason)) => return Err(untrustworthy(reason)),
            Err(Refusal::Signature(reason)) => match self.keys.newer_than(&keys).await {
                Newer::Keys(newer) => token.verify(&newer, &expected).map_err(|refusal| match refusal {
                    Refusal::Claims(reason) | Refusal::Signature(reason) => untrustworthy(reason),
                })?,
                Newer::None => return Err(untrustworthy(reason)),
                Newer::Unknown(failure) => return Err(SignInError::Unavailable { reason: failure }),
            },
        };
        match claims.get("sub").and_then(serde_json::Value::as_str) {
            Some(sub) if !sub.is_empty() => Ok((Subject(sub.to_owned()), claims.clone())),
            _ => Err(untrustworthy("the ID token is about nobody".to_owned())),
        }
    }

    /// `userinfo_fallback`: asked only for gaps.
    pub(super) async fn completed(
        &self,
        facts: Facts,
        reply: &TokenReply,
        sub: &Subject,
    ) -> Result<Facts, SignInError> {
        match &self.metadata.userinfo_endpoint {
            Some(url) if self.config.userinfo_fallback && facts.have_gaps() => {
                let claims = userinfo::ask(&self.client, url, &reply.access_token, sub).await?;
                Ok(facts.filled_by(Facts::read(&claims, &self.config)))
            }
            _ => Ok(facts),
        }
    }

    /// With `google_groups` the directory alone says who is in which group, and it knows people by their address.
    pub(super) async fn with_directory_groups(&self, facts: Facts) -> Result<Facts, SignInError> {
        let Some(directory) = &self.directory else { return Ok(facts) };
        let groups = match facts.email.as_deref() {
            // Nobody's groups are looked up by an address that is not proven to be theirs; admission refuses it.
            Some(email) if !facts.email_refuted() => directory.groups_of(email).await?,
            _ => Vec::new(),
        };
        Ok(Facts { groups: Some(groups), ..facts })
    }
}

/// Reasons quote what the provider sent: no line of the log may be forged with it, or filled.
pub(super) fn untrustworthy(reason: String) -> SignInError {
    let reason = reason.chars().filter(|character| !character.is_control()).take(MAX_REASON).collect();
    SignInError::Untrustworthy { reason }
}
