//! The other ends: an HTTP origin, a forward proxy, and a resolver with a script.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use gateway_egress::{Answer, Resolver};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// Answers names by a script, one line a question; the last line stays.
#[derive(Debug)]
pub(crate) struct Names {
    script: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
    this_machine: bool,
}

impl Names {
    pub(crate) fn new(script: impl IntoIterator<Item = Vec<SocketAddr>>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            asked: AtomicUsize::new(0),
            this_machine: false,
        })
    }

    /// Answers `127.0.0.1` by itself, uncounted: the proxy's address.
    pub(crate) fn for_this_machine_too(self: Arc<Self>) -> Arc<Self> {
        let Self { script, asked, this_machine: _ } = Arc::into_inner(self).unwrap();
        Arc::new(Self { script, asked, this_machine: true })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move {
            if self.this_machine && host == "127.0.0.1" {
                return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
            }
            self.asked.fetch_add(1, Ordering::SeqCst);
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 {
                return Ok(script.remove(0));
            }
            script.first().cloned().ok_or_else(|| io::Error::other("the script is empty"))
        })
    }
}

/// Reads a request and answers it, on every connection.
pub(crate) struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec()).await
    }

    /// An empty answer keeps silent.
    pub(crate) async fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serve(None, answer).await
    }

    /// With TLS for `localhost`, and the CA (in PEM) that vouches for it.
    pub(crate) async fn with_tls() -> (Self, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let answer = |_: &str| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec();
        (Self::serve(Some(acceptor), answer).await, certificate.pem())
    }

    async fn serve(tls: Option<TlsAcceptor>, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counted, seen, answer) = (connections.clone(), requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, seen, answer) = (tls.clone(), seen.clone(), answer.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, seen, &*answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, seen, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, requests }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: Arc<Mutex<Vec<String>>>,
    answer: &(impl Fn(&str) -> Vec<u8> + Sync),
) {
    let request = read_request(&mut stream).await;
    let answer = answer(&request);
    seen.lock().unwrap().push(request);
    if answer.is_empty() {
        return std::future::pending().await;
    }
    let _ = stream.write_all(&answer).await;
    let _ = stream.flush().await;
    // Kept open until the other side has had enough.
    let _ = stream.read_u8().await;
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&read).into_owned();
        }
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().and_then(|length| length.parse().ok()).unwrap_or(0));
        if body.len() >= length {
            return text.into_owned();
        }
    }
}

/// Opens every tunnel to an echo, whatever the destination; or says what it is told to say.
pub(crate) struct ForwardProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    pub(crate) async fn start() -> Self {
        Self::saying("HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n").await
    }

    /// Hangs up when there is nothing to say.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, answer, seen.clone()));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(mut stream: TcpStream, answer: &'static str, seen: Arc<Mutex<Vec<String>>>) {
    let head = read_request(&mut stream).await;
    seen.lock().unwrap().push(head);
    if answer.is_empty() {
        return;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// An address where nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) fn another_ca() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}
