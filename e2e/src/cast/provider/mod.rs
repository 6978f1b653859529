//! A model provider that speaks the Messages format and does what a script says.
//!
//! Invariant: it answers only what it was told to, keeps what it was asked, and says what was wrong with it. It runs on
//! threads of its own, so neither the test's runtime nor a busy test slows it.

mod connection;
mod message;
mod persona;
mod reply;
mod request;
mod shape;
mod stage;
#[cfg(test)]
mod tests;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub use message::{Message, Usage, error, frame};
pub use persona::{PLAIN_TEXT, Persona};
pub use reply::Reply;
pub use request::{Credential, Received};
pub use shape::Shape;

use super::certificate::Authority;
use stage::Stage;

/// What the gateway must send as `x-api-key`, unless the builder says otherwise.
pub const API_KEY: &str = "sk-ant-the-operators-own";

/// A running provider; gone when dropped.
pub struct Provider {
    address: SocketAddr,
    authority: Option<Authority>,
    stage: Arc<Stage>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// How a provider is to run.
#[derive(Debug, Clone)]
pub struct Builder {
    threads: usize,
    tls: bool,
    inspect: bool,
    credential: Credential,
    persona: Persona,
    address: SocketAddr,
    names: Vec<String>,
}

impl Provider {
    /// Plain HTTP, a script that is empty, one line of text for everything else.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    pub fn builder() -> Builder {
        Builder {
            threads: 1,
            tls: false,
            inspect: true,
            credential: Credential::ApiKey(API_KEY.to_owned()),
            persona: Persona::Plain,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
        }
    }

    /// The `base_url` for an upstream.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client of the TLS provider must trust.
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(Authority::pem)
    }

    /// The next request to the Messages endpoints gets this; then the next of the script; then the persona speaks.
    pub fn then(&self, reply: Reply) -> &Self {
        self.stage.acts().replies.push_back(reply);
        self
    }

    pub fn then_stream(&self, message: &Message) -> &Self {
        self.then(Reply::stream(message))
    }

    pub fn then_message(&self, message: &Message) -> &Self {
        self.then(Reply::message(message))
    }

    pub fn then_error(&self, status: u16, kind: &str, message: &str) -> &Self {
        self.then(Reply::error(status, kind, message))
    }

    pub fn then_503(&self) -> &Self {
        self.then_error(503, "api_error", "the provider is having a bad day")
    }

    pub fn then_529(&self) -> &Self {
        self.then_error(529, "overloaded_error", "Overloaded")
    }

    pub fn then_429(&self, retry_after: Duration) -> &Self {
        let refusal = Reply::error(429, "rate_limit_error", "too many requests of the operator's account");
        self.then(refusal.header("retry-after", &retry_after.as_secs().to_string()))
    }

    /// No answer, not even a head.
    pub fn then_hang(&self) -> &Self {
        self.then(Reply::hang())
    }

    /// The connection closes before a head.
    pub fn then_close(&self) -> &Self {
        self.then(Reply::raw(""))
    }

    /// A stream that breaks off after so many events.
    pub fn then_cut_mid_stream(&self, message: &Message, after: usize) -> &Self {
        self.then(Reply::stream(message).cut_after(after))
    }

    /// A stream that falls silent after so many events.
    pub fn then_stall_mid_stream(&self, message: &Message, after: usize) -> &Self {
        self.then(Reply::stream(message).stall_after(after))
    }

    /// Bytes that are no HTTP.
    pub fn then_garbage(&self) -> &Self {
        self.then(Reply::raw(&b"\x16\x03\x01 what is this\r\n\0\xff\xfe\r\n\r\n"[..]))
    }

    /// An event stream whose content is none.
    pub fn then_garbage_stream(&self) -> &Self {
        let garbage = [&b"event: \xff\xfe\ndata: {\"type\":\n\n"[..], b"data\0\r\r\n\n", b": comment only"];
        self.then(Reply::frames(garbage.map(bytes::Bytes::from_static).to_vec()))
    }

    /// What a path answers from now on, outside the script and unchecked (a token endpoint, say).
    pub fn answer_always(&self, path: &str, reply: Reply) -> &Self {
        self.stage.acts().fixed.insert(path.to_owned(), reply);
        self
    }

    /// Everything received so far.
    pub fn requests(&self) -> Vec<Received> {
        self.stage.acts().received.clone()
    }

    /// Everything received since the last call.
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut self.stage.acts().received)
    }

    /// What was wrong with the requests, in the order they came. A test ends by asserting that there is none.
    pub fn faults(&self) -> Vec<String> {
        self.stage.acts().faults.clone()
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> usize {
        self.stage.connections.load(Ordering::Relaxed)
    }

    /// Waits until so many requests have come in since the start.
    pub async fn wait_for_requests(&self, count: usize) -> Result<()> {
        reached(&self.stage.answered, count).await.context("the provider was not asked")
    }

    /// Waits until so many replies were given up by the client before their end.
    pub async fn wait_for_abandoned(&self, count: usize) -> Result<()> {
        reached(&self.stage.abandoned, count).await.context("no reply was given up")
    }
}

impl Builder {
    /// Serve on so many threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// HTTPS, by a certificate of [`Provider::ca_pem`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// HTTPS, by a certificate for this name too.
    pub fn tls_for(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self.tls()
    }

    /// Keep nothing and check nothing.
    pub fn unwatched(mut self) -> Self {
        self.inspect = false;
        self
    }

    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    pub fn persona(mut self, persona: Persona) -> Self {
        self.persona = persona;
        self
    }

    /// Listen there instead of on a free port.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    pub fn start(self) -> Result<Provider> {
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let authority = self.tls.then(Authority::new).transpose()?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let tls = authority.as_ref().map(|authority| authority.leaf(&names)?.server_config()).transpose()?;
        let stage = Arc::new(Stage::new(self.inspect, self.credential, self.persona));
        let (stop, stopped) = watch::channel(false);
        let threads = (0..self.threads)
            .map(|_| {
                let (listener, stage) = (listener.try_clone()?, stage.clone());
                let (tls, stopped) = (tls.clone(), stopped.clone());
                Ok(std::thread::Builder::new().name("provider".to_owned()).spawn(move || {
                    // An error here is a test's own fault and shows as a refused connection there.
                    let _ = serve(listener, tls, &stage, stopped);
                })?)
            })
            .collect::<Result<_>>()?;
        Ok(Provider { address, authority, stage, stop, threads })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    stage: &Arc<Stage>,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let tls = tls.map(TlsAcceptor::from);
        loop {
            let (io, _) = tokio::select! {
                accepted = listener.accept() => accepted?,
                _ = stopped.changed() => return Ok(()),
            };
            io.set_nodelay(true)?;
            stage.connection_opened();
            let (stage, tls) = (stage.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    Some(tls) => connection::serve(tls.accept(io).await?, stage).await,
                    None => connection::serve(io, stage).await,
                }
            });
        }
    })
}

async fn reached(count: &watch::Sender<usize>, wanted: usize) -> Result<()> {
    let mut count = count.subscribe();
    let seen = tokio::time::timeout(Duration::from_secs(30), count.wait_for(|count| *count >= wanted)).await;
    seen.with_context(|| format!("waited 30 s for {wanted}"))??;
    Ok(())
}
