//! A tunnel through the operator's forward proxy (HTTP `CONNECT`).
//!
//! The proxy's own address comes from the environment and is not guarded. Plain `http://` destinations are tunnelled too, so
//! that the proxy connects to what was checked and to nothing else.

use std::{io, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use crate::{
    dial,
    resolver::{self, Resolver},
};

const PATIENCE: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct ForwardProxy {
    host: String,
    port: u16,
    credentials: Option<SecretString>,
}

impl ForwardProxy {
    pub(crate) fn parse(url: &Url) -> Result<Self, &'static str> {
        if url.scheme() != "http" {
            return Err("only http:// proxies are spoken to; the tunnel inside carries its own TLS");
        }
        // The system resolver reads an address without its brackets.
        let host = url.host_str().ok_or("the proxy's URL names no host")?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or("the proxy's URL names no port")?;
        Ok(Self { host, port, credentials: credentials(url) })
    }

    /// A connection on which the next byte is the destination's; the error is for the operator.
    pub(crate) async fn tunnel(&self, resolver: &dyn Resolver, authority: &str) -> Result<TcpStream, String> {
        let opened = timeout(PATIENCE, async {
            let addresses = resolver::within_limits(resolver, &self.host, self.port).await?;
            let mut stream = dial::proxy(addresses).await?;
            stream.write_all(self.request(authority).expose_secret().as_bytes()).await?;
            let head = read_head(&mut stream).await?;
            Ok::<_, io::Error>((stream, head))
        });
        let (stream, head) = match opened.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("it did not answer in time".to_owned()),
        };
        match status(&head) {
            Some(200..=299) => Ok(stream),
            Some(status) => Err(format!("it answered {status}")),
            None => Err("its answer is not HTTP/1".to_owned()),
        }
    }

    fn request(&self, authority: &str) -> SecretString {
        let credentials = self.credentials.as_ref().map_or_else(String::new, |credentials| {
            format!("Proxy-Authorization: Basic {}\r\n", credentials.expose_secret())
        });
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n").into()
    }
}

fn credentials(url: &Url) -> Option<SecretString> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(STANDARD.encode(pair).into())
}

/// The answer's head and nothing behind it: HTTP and TLS clients speak first, so more would not be the destination's.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection without an answer"));
        }
        match head.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) if end + 4 == head.len() => return Ok(head),
            // A refusal may carry a body.
            Some(_) if !matches!(status(&head), Some(200..=299)) => return Ok(head),
            Some(_) => return Err(io::Error::other("it spoke before its turn")),
            None if head.len() > MAX_HEAD => return Err(io::Error::other("its answer's head is too long")),
            None => {}
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}
