//! One kept-alive HTTP/1.1 connection that checks every byte of what it is sent. Hand-made, because it must cost little.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::contestant::Contestant;

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

pub(crate) struct Wire {
    io: Box<dyn Io>,
    buffer: BytesMut,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Wire {
    pub(crate) async fn to(contestant: &Contestant) -> Result<Self> {
        let io = TcpStream::connect(contestant.address).await?;
        io.set_nodelay(true)?;
        let io: Box<dyn Io> = match &contestant.tls {
            None => Box::new(io),
            Some(tls) => Box::new(secure(tls, io).await?),
        };
        Ok(Self { io, buffer: BytesMut::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its reply, which must be `expected`; when its first byte came.
    pub(crate) async fn exchange(&mut self, request: &[u8], expected: &[u8]) -> Result<Instant> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        self.fill().await?;
        let first_byte = Instant::now();
        match self.head().await? {
            Framing::Length(length) => {
                ensure!(length == expected.len(), "{length} bytes instead of {}", expected.len());
                self.matching(expected).await?;
            }
            Framing::Chunked => self.chunks(expected).await?,
        }
        ensure!(self.buffer.is_empty(), "more bytes than the reply has");
        Ok(first_byte)
    }

    async fn fill(&mut self) -> Result<()> {
        ensure!(self.io.read_buf(&mut self.buffer).await? > 0, "the connection closed");
        Ok(())
    }

    async fn head(&mut self) -> Result<Framing> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.fill().await?,
            }
        };
        let head = self.buffer.split_to(end);
        let head = std::str::from_utf8(&head)?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{}", head.lines().next().unwrap_or_default());
        for line in head.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                return Ok(Framing::Length(value.trim().parse()?));
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Ok(Framing::Chunked);
            }
        }
        bail!("a body without an end")
    }

    /// The next bytes are exactly these.
    async fn matching(&mut self, mut expected: &[u8]) -> Result<()> {
        while !expected.is_empty() {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let common = self.buffer.len().min(expected.len());
            ensure!(self.buffer[..common] == expected[..common], "a byte is not what the provider sent");
            self.buffer.advance(common);
            expected = &expected[common..];
        }
        Ok(())
    }

    async fn chunks(&mut self, mut expected: &[u8]) -> Result<()> {
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                ensure!(expected.is_empty(), "{} bytes are missing", expected.len());
                return self.matching(b"\r\n").await;
            }
            ensure!(size <= expected.len(), "more bytes than the provider sent");
            let (chunk, rest) = expected.split_at(size);
            self.matching(chunk).await?;
            self.matching(b"\r\n").await?;
            expected = rest;
        }
    }

    async fn chunk_size(&mut self) -> Result<usize> {
        let end = loop {
            match self.buffer.windows(2).position(|window| window == b"\r\n") {
                Some(end) => break end,
                None => self.fill().await?,
            }
        };
        let size =
            usize::from_str_radix(std::str::from_utf8(&self.buffer[..end])?.trim(), 16).context("a chunk size")?;
        self.buffer.advance(end + 2);
        Ok(size)
    }
}

async fn secure(tls: &Arc<ClientConfig>, io: TcpStream) -> Result<impl Io + use<>> {
    Ok(TlsConnector::from(tls.clone()).connect(ServerName::try_from("localhost")?, io).await?)
}
