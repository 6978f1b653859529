//! A bare socket, for what no well-behaved client sends.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub struct Raw {
    io: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        Ok(Self { io, received: Vec::new() })
    }

    /// An error means that the other side has closed already.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.io.write_all(bytes.as_ref()).await?)
    }

    /// Says that no more will be sent.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.io.shutdown().await?)
    }

    /// Everything received until the other side closes; an error when it does not within `patience`.
    pub async fn until_closed(mut self, patience: Duration) -> Result<Vec<u8>> {
        let closed = timeout(patience, self.io.read_to_end(&mut self.received)).await;
        // A reset is a close too: what came before it counts.
        let _ = closed.with_context(|| format!("still open after {patience:?}: {}", self.text()))?;
        Ok(self.received)
    }

    /// The status of the next response head, and the head.
    pub async fn head(&mut self, patience: Duration) -> Result<(u16, String)> {
        let head = timeout(patience, self.read_head()).await.with_context(|| format!("no head in {patience:?}"))??;
        let status = head.split(' ').nth(1).context("a status line")?.parse()?;
        Ok((status, head))
    }

    /// The status of the next response and its body, whose length its head says.
    pub async fn reply(&mut self, patience: Duration) -> Result<(u16, Vec<u8>)> {
        let (status, _, body) = self.whole(patience).await?;
        Ok((status, body))
    }

    /// The same, and its head.
    pub async fn whole(&mut self, patience: Duration) -> Result<(u16, String, Vec<u8>)> {
        let (status, head) = self.head(patience).await?;
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).context("a length")?;
        let length: usize = length.trim().parse()?;
        while self.received.len() < length {
            let read = timeout(patience, self.io.read_buf(&mut self.received)).await.context("no body in time")??;
            anyhow::ensure!(read > 0, "closed after: {}", self.text());
        }
        Ok((status, head, self.received.drain(..length).collect()))
    }

    async fn read_head(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.received.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            let read = self.io.read_buf(&mut self.received).await?;
            anyhow::ensure!(read > 0, "closed after: {}", self.text());
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
