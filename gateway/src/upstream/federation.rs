//! Workload identity federation with the Anthropic API: our platform's signed token, exchanged for a short-lived bearer.
//!
//! RFC 7523 JWT bearer grant at `<base_url>/v1/oauth/token` (Claude Platform documentation, "WIF reference"). A task mints
//! ahead of expiry; a request only reads what is there. The identity token's file is read at every exchange, so a rotated
//! projection is picked up.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use gateway_config::WorkloadIdentity;
use gateway_egress::{Client, ClientError};
use http::{HeaderValue, Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use url::Url;

use super::credential::secret_header;
use crate::clock::Clock;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const BETAS: HeaderValue = HeaderValue::from_static("oauth-2025-04-20,oidc-federation-2026-04-01");
/// The token endpoint's own bound on an assertion.
const LONGEST_ASSERTION: usize = 16 * 1024;
/// A token is minted anew when so much of its life is left.
const AHEAD: Duration = Duration::from_secs(120);
const RETRY: Duration = Duration::from_secs(5);
/// A provider that refuses every token must not be asked for one at every request.
const SHORTEST: Duration = Duration::from_secs(5);

/// Why no token was minted; said to the operator, never with the assertion or the token.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the identity token in {path} is empty or larger than 16 KiB")]
    BadAssertion { path: String },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the token endpoint answered {status} ({error})")]
    Refused { status: StatusCode, error: String },
    #[error("the token endpoint's answer has no usable token")]
    BadAnswer,
}

struct Minted {
    header: HeaderValue,
    expires_at: DateTime<Utc>,
}

/// One upstream's exchange and the token it last gave.
pub struct Federation {
    identity: Mutex<WorkloadIdentity>,
    token_endpoint: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    minted: ArcSwapOption<Minted>,
    wanted: Notify,
}

#[derive(Serialize)]
struct Exchange<'a> {
    grant_type: &'static str,
    assertion: &'a str,
    federation_rule_id: &'a str,
    organization_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u32,
    #[serde(default)]
    token_type: Option<String>,
}

impl Federation {
    pub fn new(identity: WorkloadIdentity, token_endpoint: Url, client: Client, clock: Arc<dyn Clock>) -> Arc<Self> {
        let identity = Mutex::new(identity);
        Arc::new(Self {
            identity,
            token_endpoint,
            client,
            clock,
            minted: ArcSwapOption::empty(),
            wanted: Notify::new(),
        })
    }

    /// The bearer header, while it is valid.
    pub fn current(&self) -> Option<HeaderValue> {
        let minted = self.minted.load();
        minted.as_ref().filter(|minted| self.clock.now() < minted.expires_at).map(|minted| minted.header.clone())
    }

    pub fn mint_now(&self) {
        self.wanted.notify_one();
    }

    pub fn reload(&self, identity: WorkloadIdentity) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
        self.mint_now();
    }

    /// Keeps a valid token at hand; never ends. `name` is the upstream's, for the log.
    pub async fn keep(self: Arc<Self>, name: String) {
        loop {
            let pause = match self.mint().await {
                Ok(life) => life.saturating_sub(AHEAD).max(life / 2).max(SHORTEST),
                Err(error) => {
                    tracing::error!(upstream = name, %error, "no Anthropic token by workload identity federation");
                    RETRY
                }
            };
            tokio::time::sleep(SHORTEST.min(pause)).await;
            let _ = tokio::time::timeout(pause.saturating_sub(SHORTEST), self.wanted.notified()).await;
        }
    }

    /// Exchanges once and returns the token's life.
    pub async fn mint(&self) -> Result<Duration, FederationError> {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let path = identity.identity_token_file.display().to_string();
        let assertion = tokio::fs::read_to_string(&identity.identity_token_file).await;
        let assertion = assertion.map_err(|source| FederationError::Unreadable { path: path.clone(), source })?;
        let assertion = assertion.trim();
        if assertion.is_empty() || assertion.len() > LONGEST_ASSERTION {
            return Err(FederationError::BadAssertion { path });
        }
        let answer = self.client.send(self.request(&identity, assertion)?).await?;
        if answer.status() != StatusCode::OK {
            return Err(FederationError::Refused { status: answer.status(), error: error_code(answer.body()) });
        }
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| FederationError::BadAnswer)?;
        if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) || answer.expires_in == 0 {
            return Err(FederationError::BadAnswer);
        }
        let life = Duration::from_secs(answer.expires_in.into());
        let header =
            secret_header(&format!("Bearer {}", answer.access_token)).map_err(|_| FederationError::BadAnswer)?;
        self.minted.store(Some(Arc::new(Minted { header, expires_at: self.clock.now() + life })));
        Ok(life)
    }

    fn request(&self, identity: &WorkloadIdentity, assertion: &str) -> Result<Request<Bytes>, FederationError> {
        let body = serde_json::to_vec(&Exchange {
            grant_type: GRANT,
            assertion,
            federation_rule_id: &identity.federation_rule_id,
            organization_id: &identity.organization_id,
            workspace_id: identity.workspace_id.as_deref(),
            service_account_id: identity.service_account_id.as_deref(),
        });
        Request::post(self.token_endpoint.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("anthropic-beta", BETAS)
            .body(body.map_err(|_| FederationError::BadAnswer)?.into())
            .map_err(|_| FederationError::BadAnswer)
    }
}

/// The `error` member of RFC 6749 section 5.2, or of Anthropic's envelope; nothing else of the body is repeated.
fn error_code(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = value["error"].as_str().or_else(|| value["error"]["type"].as_str());
    code.unwrap_or("no error code").chars().take(80).collect()
}
