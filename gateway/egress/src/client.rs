//! A small HTTP/1.1 client for control-plane calls: one connection a call, a deadline over the whole of it, a bounded body.
//!
//! A redirect is an answer like any other: following it would let the answerer choose the next destination.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Body, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{Egress, EgressError, Route, tls};

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("claude-gateway/", env!("CARGO_PKG_VERSION")));

/// What one call may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first look-up to the body's last byte.
    pub timeout: Duration,
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), max_body: 1024 * 1024 }
    }
}

/// Names the host at most: never a path, a query or a body, which may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the request cannot be sent: {reason}")]
    BadRequest { reason: &'static str },
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("no TLS with {host}: {source}")]
    Tls { host: String, source: std::io::Error },
    #[error("{host} broke off the exchange: {source}")]
    Http { host: String, source: hyper::Error },
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("{host} did not answer within {} ms", after.as_millis())]
    Deadline { host: String, after: Duration },
}

#[derive(Debug, Clone)]
pub struct Client {
    egress: Arc<Egress>,
    tls: Arc<ClientConfig>,
    route: Route,
    limits: Limits,
}

impl Client {
    pub fn new(egress: Arc<Egress>, tls: Arc<ClientConfig>, route: Route, limits: Limits) -> Self {
        Self { egress, tls, route, limits }
    }

    /// Sends a request whose URI is absolute. Any status is an answer, redirects included.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let url = absolute(request.uri())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = for_the_wire(request, &url)?;
        let after = self.limits.timeout;
        match tokio::time::timeout(after, self.exchange(&url, &host, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Deadline { host, after }),
        }
    }

    async fn exchange(
        &self,
        url: &Url,
        host: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let stream = self.egress.connect(url, self.route).await?;
        if url.scheme() != "https" {
            return self.speak(stream, host, request).await;
        }
        let tls = |source| ClientError::Tls { host: host.to_owned(), source };
        let name = tls::server_name(url).map_err(|error| tls(std::io::Error::other(error)))?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(tls)?;
        self.speak(stream, host, request).await
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        host: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let broken = |source| ClientError::Http { host: host.to_owned(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
            let limit = self.limits.max_body;
            if body.size_hint().lower() > limit as u64 {
                return Err(ClientError::TooLarge { host: host.to_owned(), limit });
            }
            let body = Limited::new(body, limit).collect().await.map_err(|error| self.cut(host, error))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            answer = &mut exchange => answer,
            // A server that closes after its answer ends the connection before the body was taken.
            _ = &mut connection => exchange.await,
        }
    }

    fn cut(&self, host: &str, error: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
        let host = host.to_owned();
        match error.downcast::<hyper::Error>() {
            Ok(source) => ClientError::Http { host, source: *source },
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>(), "a limited body fails in these two ways only");
                ClientError::TooLarge { host, limit: self.limits.max_body }
            }
        }
    }
}

fn absolute(uri: &Uri) -> Result<Url, ClientError> {
    Url::parse(&uri.to_string()).map_err(|_| ClientError::BadRequest { reason: "its URL is not absolute" })
}

/// Origin form, with the host as the URL parser canonicalised it: the one that is resolved and checked.
fn for_the_wire(request: Request<Bytes>, url: &Url) -> Result<Request<Full<Bytes>>, ClientError> {
    let (mut head, body) = request.into_parts();
    let bad = |reason| ClientError::BadRequest { reason };
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(bad("its URL names no host")),
    };
    let authority = HeaderValue::try_from(authority).map_err(|_| bad("its host is not a header value"))?;
    head.headers.insert(header::HOST, authority);
    head.headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    head.uri = Uri::try_from(target).map_err(|_| bad("its path cannot be sent"))?;
    Ok(Request::from_parts(head, Full::new(body)))
}
