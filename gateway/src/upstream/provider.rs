//! One configured upstream: its address, what is sent to it, and a connection when one is needed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use gateway_config::{AnthropicAuth, Provider, Upstream as Configured};
use gateway_egress::{Client, Egress, EgressError, Limits, Route, TlsError, client_tls, server_name};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    condition::Trial,
    credential::{Credential, CredentialError, secret_header},
    federation::Federation,
    health::Health,
    http1::{Connection, Wire},
    splice::Spliced,
};
use crate::{
    clock::Clock,
    identity::Person,
    telemetry::{Metrics, metrics::Attempts},
};

/// Far below the time to first byte that a client waits for, so that the next upstream gets its turn.
const CONNECT: Duration = Duration::from_secs(10);
/// An OAuth bearer is accepted by the Anthropic API only with this beta.
const OAUTH_BETA: &str = "oauth-2025-04-20";

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("upstream {name}: {source}")]
    Tls { name: String, source: TlsError },
    #[error("upstream {name}: {reason}")]
    Unusable { name: String, reason: String },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("no TLS: {0}")]
    Tls(std::io::Error),
    #[error("no connection within {} s", CONNECT.as_secs())]
    Deadline,
}

pub struct Upstream {
    pub name: Arc<str>,
    pub priority: u32,
    pub weight: u32,
    pub health: Health,
    pub attempts: Attempts,
    base: Url,
    host: HeaderValue,
    path: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    credential: Credential,
    pub(super) trial: Trial,
    headers: HeaderMap,
    oauth: bool,
    identity_forwarded: bool,
    places: Option<Places>,
}

/// `max_concurrent`: how many requests may be there at once.
struct Places {
    most: u32,
    taken: Arc<AtomicU32>,
}

/// One of an upstream's places, given back when dropped.
pub struct Place(Option<Arc<AtomicU32>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(taken) = &self.0 {
            taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Upstream {
    /// Also returns the task that keeps a minted credential fresh, where there is one.
    pub fn new(
        configured: &Configured,
        egress: &Arc<Egress>,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Result<Self, UpstreamError> {
        let name = configured.name.clone();
        let unusable = |reason: String| UpstreamError::Unusable { name: name.clone(), reason };
        let Provider::Anthropic { auth, forward_user_identity } = &configured.provider;
        let base = configured.base_url.clone();
        let tls = client_tls(configured.ca_cert_pem.as_deref(), &[b"http/1.1"])
            .map_err(|source| UpstreamError::Tls { name: name.clone(), source })?;
        let credential = match (auth, Credential::fixed(auth)) {
            (AnthropicAuth::WorkloadIdentity(identity), _) => {
                let endpoint = base.as_str().trim_end_matches('/').to_owned() + "/v1/oauth/token";
                let endpoint = endpoint.parse().map_err(|error| unusable(format!("base_url: {error}")))?;
                let client = Client::new(egress.clone(), tls.clone(), Route::ByEnvironment, Limits::default());
                Credential::Federated(Federation::new(identity.clone(), endpoint, client, clock))
            }
            (_, Some(fixed)) => Credential::Fixed(ArcSwap::from_pointee(fixed.map_err(|e| unusable(e.to_string()))?)),
            (_, None) => return Err(unusable("no credential".to_owned())),
        };
        let server = server_name(&base).map_err(|_| unusable("base_url names no host".to_owned()))?;
        Ok(Self {
            priority: configured.priority,
            weight: configured.weight.max(1),
            health: Health::default(),
            attempts: metrics.attempts_at(&name),
            host: authority(&base).ok_or_else(|| unusable("base_url names no host".to_owned()))?,
            path: base.path().trim_end_matches('/').to_owned(),
            tls: (base.scheme() == "https").then_some((tls, server)),
            credential,
            trial: Trial::default(),
            headers: static_headers(configured).map_err(|e| unusable(format!("headers: {e}")))?,
            oauth: !matches!(auth, AnthropicAuth::ApiKey(_)),
            identity_forwarded: *forward_user_identity,
            places: configured.max_concurrent.map(|most| Places { most, taken: Arc::default() }),
            base,
            name: name.into(),
        })
    }

    /// What keeps a minted credential fresh, for boot to spawn.
    pub fn federation(&self) -> Option<Arc<Federation>> {
        match &self.credential {
            Credential::Federated(federation) => Some(federation.clone()),
            Credential::Fixed(_) => None,
        }
    }

    /// A changed credential of the same kind, without a restart. True when it was taken over.
    pub fn reload_credential(&self, auth: &AnthropicAuth) -> bool {
        self.trial.anew();
        match (&self.credential, auth) {
            (Credential::Federated(federation), AnthropicAuth::WorkloadIdentity(identity)) => {
                federation.reload(identity.clone());
                true
            }
            (Credential::Fixed(current), AnthropicAuth::ApiKey(_) | AnthropicAuth::OauthToken(_)) => {
                let same_kind = self.oauth == matches!(auth, AnthropicAuth::OauthToken(_));
                match Credential::fixed(auth) {
                    Some(Ok(fixed)) if same_kind => {
                        current.store(Arc::new(fixed));
                        true
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// Whether a 429 speaks of this person rather than of the upstream (`forward_user_identity`).
    pub fn limits_persons(&self, person: &Person) -> bool {
        self.identity_forwarded && person.email.is_some()
    }

    pub fn credential_refused(&self) {
        self.trial.refused();
        self.credential.refused();
    }

    pub fn credential_accepted(&self) {
        self.trial.accepted();
    }

    pub(super) fn has_credential(&self) -> bool {
        self.credential.is_there()
    }

    /// `None` when `max_concurrent` requests are there already.
    pub fn place(&self) -> Option<Place> {
        let Some(Places { most, taken }) = &self.places else { return Some(Place(None)) };
        let free = taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < *most).then_some(now + 1));
        free.is_ok().then(|| Place(Some(taken.clone())))
    }

    /// The request as the Messages API wants it: `path_and_query` below the base, the allow-listed headers, our credential.
    pub fn request(
        &self,
        path_and_query: &PathAndQuery,
        from_client: &HeaderMap,
        person: &Person,
        body: Spliced,
    ) -> Result<Request<Spliced>, CredentialError> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.below_base(path_and_query)?;
        let headers = request.headers_mut();
        headers.reserve(16);
        headers.insert(header::HOST, self.host.clone());
        for (name, value) in from_client {
            if passes(name) {
                headers.append(name, value.clone());
            }
        }
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::ACCEPT_ENCODING, IDENTITY);
        if self.oauth {
            add_beta(headers);
        }
        if self.identity_forwarded {
            forward_identity(headers, person);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        self.credential.apply(headers)?;
        Ok(request)
    }

    fn below_base(&self, path_and_query: &PathAndQuery) -> Result<Uri, CredentialError> {
        match self.path.as_str() {
            // As the client's request has it: nothing is copied.
            "" => Ok(path_and_query.clone().into()),
            path => format!("{path}{path_and_query}").parse().map_err(|_| CredentialError::Unprintable),
        }
    }

    pub async fn connect(&self, egress: &Egress) -> Result<Connection, ConnectError> {
        tokio::time::timeout(CONNECT, self.wire(egress)).await.map_err(|_| ConnectError::Deadline)?
    }

    async fn wire(&self, egress: &Egress) -> Result<Connection, ConnectError> {
        let tcp = egress.connect(&self.base, Route::ByEnvironment).await?;
        let wire = match &self.tls {
            None => Wire::Plain(tcp),
            Some((config, server)) => {
                let tls = TlsConnector::from(config.clone()).connect(server.clone(), tcp).await;
                Wire::Tls(Box::new(tls.map_err(ConnectError::Tls)?))
            }
        };
        Ok(Connection::over(wire))
    }
}

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("claude-gateway/", env!("CARGO_PKG_VERSION")));
/// The tap reads replies; a provider must not compress them.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The client's headers that reach an Anthropic-format upstream. Everything else, its credentials above all, stays here.
fn passes(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE || *name == header::ACCEPT || name.as_str().starts_with("anthropic-")
}

fn add_beta(headers: &mut HeaderMap) {
    let present = headers.get_all("anthropic-beta").iter();
    if !present
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|b| b.trim_ascii() == OAUTH_BETA.as_bytes())
    {
        headers.append("anthropic-beta", HeaderValue::from_static(OAUTH_BETA));
    }
}

/// For a proxy that the operator runs and that counts per person.
fn forward_identity(headers: &mut HeaderMap, person: &Person) {
    let email = person.email.as_deref();
    let facts = [
        ("x-litellm-end-user-id", email),
        ("x-claude-gateway-user-id", Some(person.sub.0.as_str())),
        ("x-claude-gateway-user-email", email),
    ];
    for (name, value) in facts {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn static_headers(configured: &Configured) -> Result<HeaderMap, CredentialError> {
    let mut headers = HeaderMap::with_capacity(configured.headers.len());
    for header in &configured.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| CredentialError::Unprintable)?;
        headers.append(name, secret_header(header.value.expose_secret())?);
    }
    Ok(headers)
}

/// `Host`: the port only where it is not the scheme's own (RFC 9112 section 3.2).
fn authority(base: &Url) -> Option<HeaderValue> {
    let host = base.host_str()?;
    let text = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&text).ok()
}
