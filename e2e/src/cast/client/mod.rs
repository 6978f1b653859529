//! A small HTTP client: HTTP/1.1 unless asked otherwise, one connection a request, nothing followed, nothing retried, nothing hidden.

mod handshake;
mod http2;
mod raw;
mod sse;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Url, form_urlencoded};

pub use handshake::Handshake;
pub use http2::Http2;
pub use raw::Raw;
pub use sse::{Event, Events, text_of};

use super::certificate::client_config;

/// No answer of a test takes longer; a hang is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    base: Url,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    bearer: Option<String>,
}

/// A request in the making.
#[must_use]
pub struct Request {
    client: Client,
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// A response whose body is still to come.
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
}

impl Client {
    /// For a base URL whose host is an address or `localhost`.
    pub fn new(base: &str) -> Result<Self> {
        let base = Url::parse(base)?;
        let port = base.port_or_known_default().context("a port")?;
        let address = match base.host_str().context("a host")? {
            "localhost" => SocketAddr::from(([127, 0, 0, 1], port)),
            host => SocketAddr::new(host.trim_matches(['[', ']']).parse().context("a loopback address")?, port),
        };
        Ok(Self { base, address, tls: None, bearer: None })
    }

    /// For any base URL, whose host is at this address.
    pub fn at(base: &str, address: SocketAddr) -> Result<Self> {
        Ok(Self { base: Url::parse(base)?, address, tls: None, bearer: None })
    }

    /// Connects there, whatever the URL's host says.
    pub fn connecting_to(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Trusts this authority and no other; for `https`.
    pub fn trusting(mut self, ca_pem: &str) -> Result<Self> {
        self.tls = Some(client_config(ca_pem)?);
        Ok(self)
    }

    /// Sends this bearer with every request.
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, target: &str) -> Request {
        self.request(Method::GET, target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request(Method::POST, target)
    }

    pub fn request(&self, method: Method, target: &str) -> Request {
        Request { client: self.clone(), method, target: target.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }
}

impl Request {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(mut self, token: &str) -> Self {
        self.client.bearer = Some(token.to_owned());
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    pub async fn send(self) -> Result<Response> {
        timeout(PATIENCE, self.exchange()).await.context("no response head in 60 s")?
    }

    async fn exchange(self) -> Result<Response> {
        let io = TcpStream::connect(self.client.address).await?;
        io.set_nodelay(true)?;
        match (self.client.base.scheme(), self.client.tls.clone()) {
            ("http", _) => self.over(io).await,
            ("https", Some(tls)) => {
                let name = ServerName::try_from(self.client.base.host_str().unwrap_or_default().to_owned())?;
                let io = TlsConnector::from(tls).connect(name, io).await?;
                self.over(io).await
            }
            (scheme, _) => bail!("{scheme} without an authority to trust"),
        }
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, io: S) -> Result<Response> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        let host = &self.client.base[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = hyper::Request::builder().method(self.method).uri(&self.target);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header(header::HOST, host);
        }
        if let Some(bearer) = &self.client.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(self.body))?).await?;
        let (head, body) = response.into_parts();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Response {
    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The whole body; an error if it was cut.
    pub async fn bytes(self) -> Result<Bytes> {
        Ok(timeout(PATIENCE, self.body.collect()).await.context("no end of the body in 60 s")??.to_bytes())
    }

    pub async fn text(self) -> Result<String> {
        Ok(String::from_utf8(self.bytes().await?.into())?)
    }

    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let text = self.text().await?;
        serde_json::from_str(&text).with_context(|| format!("not the JSON expected: {text}"))
    }

    /// The body as an event stream, read as it arrives.
    pub fn events(self) -> Events {
        Events::new(self.body)
    }
}
