//! Asks the identity provider who it is, as pods do when they start: through the one door out, and believing nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gateway_egress::{Client, Egress, Limits, Route, client_tls};
use http::{Request, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    condition::{Finding, Reason},
    validate::{Identity, ValidatedGateway},
};

/// A good answer holds for this long, a bad one shorter: what is mended is seen soon.
const GOOD: Duration = Duration::from_secs(60);
const BAD: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// Identity providers, asked once a minute for each gateway.
pub struct Issuers {
    egress: Arc<Egress>,
    asked: Mutex<HashMap<Identity, Answer>>,
}

struct Answer {
    question: Question,
    finding: Finding,
    at: Instant,
}

/// Who is asked, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    issuer: String,
    url: String,
    ca: Option<String>,
}

impl Question {
    pub fn new(issuer: &str, discovery_url: Option<&str>, ca_pem: Option<&str>) -> Self {
        let below = || format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Self {
            issuer: issuer.to_owned(),
            url: discovery_url.map_or_else(below, str::to_owned),
            ca: ca_pem.map(str::to_owned),
        }
    }

    /// Where to find what a gateway's `oidc` says, given the authority that it refers to.
    pub fn of(gateway: &ValidatedGateway) -> Self {
        let oidc = &gateway.spec.oidc;
        Self::new(&oidc.issuer, oidc.discovery_url.as_deref(), gateway.issuer_ca.as_deref())
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl Issuers {
    pub fn new(egress: Arc<Egress>) -> Self {
        Self { egress, asked: Mutex::default() }
    }

    pub async fn probe(&self, gateway: &ValidatedGateway, now: Instant) -> Finding {
        let question = Question::of(gateway);
        if let Some(known) = self.known(&gateway.identity, &question, now) {
            return known;
        }
        let (finding, _) = self.ask(&question).await;
        let answer = Answer { question, finding: finding.clone(), at: now };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(gateway.identity.clone(), answer);
        finding
    }

    pub fn forget(&self, uid: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).retain(|gateway, _| gateway.uid != uid);
    }

    fn known(&self, gateway: &Identity, question: &Question, now: Instant) -> Option<Finding> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = asked.get(gateway).filter(|answer| answer.question == *question)?;
        let holds = if answer.finding.is_good() { GOOD } else { BAD };
        (now.saturating_duration_since(answer.at) < holds).then(|| answer.finding.clone())
    }

    /// With what the answer says the time is.
    pub async fn ask(&self, question: &Question) -> (Finding, Option<Timestamp>) {
        match self.fetch(question).await {
            Ok(answer) => (judged(question, &answer), date(&answer)),
            Err(finding) => (finding, None),
        }
    }

    async fn fetch(&self, question: &Question) -> Result<Response<Bytes>, Finding> {
        let tls = match client_tls(question.ca.as_deref(), &[b"http/1.1"]) {
            Ok(tls) => tls,
            Err(error) => {
                return Err(Finding::bad(Reason::ConfigurationInvalid, format!("oidc.caCertificate: {error}.")));
            }
        };
        let limits = Limits { timeout: PATIENCE, ..Limits::default() };
        let client = Client::new(self.egress.clone(), tls, Route::ByEnvironment, limits);
        let Ok(request) = Request::get(&question.url).body(Bytes::new()) else {
            return Err(Finding::bad(
                Reason::ConfigurationInvalid,
                "oidc: the discovery document has no such URL. Correct it.",
            ));
        };
        client.send(request).await.map_err(|error| unavailable(question, &error.to_string()))
    }
}

fn unavailable(question: &Question, why: &str) -> Finding {
    let message = format!(
        "The identity provider does not answer as one ({why}). See that {} is reached from the operator; it is tried again.",
        question.url
    );
    Finding::bad(Reason::IdentityProviderUnavailable, message)
}

fn date(answer: &Response<Bytes>) -> Option<Timestamp> {
    let date = answer.headers().get(http::header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
}

fn judged(question: &Question, answer: &Response<Bytes>) -> Finding {
    if !answer.status().is_success() {
        return unavailable(question, &format!("status {}", answer.status().as_u16()));
    }
    let Ok(document) = serde_json::from_slice::<Discovery>(answer.body()) else {
        return unavailable(question, "no discovery document");
    };
    match document.issuer == question.issuer {
        true => Finding::good(Reason::IdentityProviderReady, "The identity provider answers."),
        // What it says of itself is not repeated: it may be anything.
        false => Finding::bad(
            Reason::IdentityProviderMismatch,
            "The discovery document names another issuer than oidc.issuer. Write the issuer exactly as the document has \
                 it, in a new ClaudeGateway.",
        ),
    }
}
