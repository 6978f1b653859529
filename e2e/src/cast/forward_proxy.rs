//! An operator's forward proxy: opens tunnels (HTTP `CONNECT`) to those whom it knows, and remembers who was asked for.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Runs until it is dropped.
pub struct ForwardProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl ForwardProxy {
    /// A target (`host:port`) is found at its address; all others are refused.
    pub async fn start(known: impl IntoIterator<Item = (&str, SocketAddr)>) -> Result<Self> {
        let known: Arc<HashMap<_, _>> =
            Arc::new(known.into_iter().map(|(target, address)| (target.to_owned(), address)).collect());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, targets) = (listener.local_addr()?, Arc::<Mutex<Vec<String>>>::default());
        let asked = targets.clone();
        let serving = tokio::spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (known, asked) = (known.clone(), asked.clone());
                // An error ends the tunnel, and whoever used it notices.
                tunnels.spawn(async move { tunnel(client, &known, &asked).await.is_ok() });
            }
        });
        Ok(Self { address, targets, serving })
    }

    /// For `HTTP_PROXY` and `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everybody who was asked for, in order.
    pub fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn tunnel(client: TcpStream, known: &HashMap<String, SocketAddr>, asked: &Mutex<Vec<String>>) -> Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(client.read_line(&mut head).await? > 0, "the head ended early");
    }
    let mut words = head.split(' ');
    ensure!(words.next() == Some("CONNECT"), "only tunnels are opened here");
    let target = words.next().context("a target")?.to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let Some(address) = known.get(&target) else {
        return Ok(client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await?);
    };
    let mut destination = TcpStream::connect(address).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut destination).await?;
    Ok(())
}
