//! HTTP/2, for many requests on one connection: over TLS, or in the clear with prior knowledge.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header;
use http_body_util::Full;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{Client, PATIENCE, Request, Response};

/// One connection. A response that is dropped before its end resets its stream.
#[derive(Clone)]
pub struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    pub async fn connect(client: &Client) -> Result<Self> {
        if client.base.scheme() == "http" {
            return Self::over(TcpStream::connect(client.address).await?).await;
        }
        let io = client.secured(&["h2"]).await?;
        ensure!(io.get_ref().1.alpn_protocol() == Some(b"h2"), "HTTP/2 was not agreed on");
        Self::over(io).await
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: S) -> Result<Self> {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }
}

impl Request {
    /// On a connection that others share.
    pub async fn send_on(self, connection: &Http2) -> Result<Response> {
        timeout(PATIENCE, self.stream(connection.clone())).await.context("no response head in 60 s")?
    }

    async fn stream(self, Http2(mut sender): Http2) -> Result<Response> {
        sender.ready().await?;
        let uri = self.client.base.join(&self.target)?;
        let mut request = hyper::Request::builder().method(self.method).uri(uri.as_str());
        if let Some(bearer) = &self.client.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let (head, body) = sender.send_request(request.body(Full::new(self.body))?).await?.into_parts();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }
}
