//! A gate between one client and the API server: it sees each call, and can spoil it before it is made or after.
//!
//! Invariant: what is not spoiled passes unchanged, watches too. The way in is plain HTTP, since both ends are on this machine.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, client::conn::http1 as client, server::conn::http1 as server, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsConnector;

use crate::cast::certificate::client_config;

/// One call on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    pub method: Method,
    pub path: String,
    pub query: String,
}

impl Passing {
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }

    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|part| part == "watch=true" || part == "watch=1")
    }
}

/// What becomes of a call that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This status is the answer, and the API server hears nothing.
    Status(u16),
    /// No answer comes, and the API server hears nothing.
    Silence,
    /// The connection breaks, and the API server hears nothing.
    Cut,
    /// The API server does it, and the connection breaks before the answer.
    LostAnswer,
    /// The API server does it, and no answer comes.
    HeldAnswer,
}

type Judge = Box<dyn FnMut(&Passing) -> Option<Trouble> + Send>;

/// Runs until it is dropped, and takes its connections with it.
pub struct Gate {
    address: SocketAddr,
    judge: Arc<Mutex<Judge>>,
    serving: JoinHandle<()>,
}

impl Gate {
    pub(super) async fn start(server: SocketAddr, authority_pem: &str) -> Result<Self> {
        let way = Arc::new(Way { server, tls: client_config(authority_pem)? });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, judge) = (listener.local_addr()?, Arc::new(Mutex::new(Box::new(|_: &_| None) as Judge)));
        let asked = judge.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (way, judge) = (way.clone(), asked.clone());
                // Whoever breaks off is noticed by the other end.
                connections.spawn(async move { serve(stream, &way, &judge).await.is_ok() });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, judge, serving })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on each call is judged by this, in the order in which they come.
    pub fn judge(&self, judge: impl FnMut(&Passing) -> Option<Trouble> + Send + 'static) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    pub fn open(&self) {
        self.judge(|_| None);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Way {
    server: SocketAddr,
    tls: Arc<ClientConfig>,
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// One connection in, one out.
async fn serve(stream: TcpStream, way: &Way, judge: &Mutex<Judge>) -> Result<()> {
    let out = TcpStream::connect(way.server).await?;
    let name = ServerName::from(way.server.ip());
    let out = TlsConnector::from(way.tls.clone()).connect(name, out).await.context("the API server")?;
    let (sender, connection) = client::handshake(TokioIo::new(out)).await?;
    let sender = tokio::sync::Mutex::new(sender);
    let service = service_fn(|request: Request<Incoming>| async {
        let trouble = judge.lock().unwrap_or_else(PoisonError::into_inner)(&passing(&request));
        match trouble {
            Some(Trouble::Status(code)) => return Ok(refusal(code)),
            Some(Trouble::Silence) => std::future::pending().await,
            Some(Trouble::Cut) => return Err(io::Error::other("cut")),
            None | Some(Trouble::LostAnswer | Trouble::HeldAnswer) => {}
        }
        let mut sender = sender.lock().await;
        sender.ready().await.map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        match trouble {
            Some(Trouble::LostAnswer) => Err(io::Error::other("cut")),
            Some(Trouble::HeldAnswer) => std::future::pending().await,
            _ => Ok(answer.map(Either::Left)),
        }
    });
    let served = server::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => served?,
        ended = connection => ended?,
    }
    Ok(())
}

fn passing(request: &Request<Incoming>) -> Passing {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    Passing { method: request.method().clone(), path, query }
}

/// As the API server says it.
fn refusal(code: u16) -> Answer {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": reason, "code": code,
        "message": "the gate is closed",
    });
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Either::Right(Full::new(Bytes::from(status.to_string()))))
        .expect("a refusal is well formed")
}
