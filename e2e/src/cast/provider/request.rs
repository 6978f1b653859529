//! What the provider received, and what is wrong with it.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_HEAD: usize = 1024 * 1024;

/// One request as it came over the wire; header names in lower case.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// How the gateway must present itself.
#[derive(Debug, Clone)]
pub enum Credential {
    ApiKey(String),
    Bearer(String),
}

impl Received {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Why the real provider, or a careful operator, would not accept this request.
    pub(super) fn faults(&self, credential: &Credential) -> Vec<String> {
        let mut faults = Vec::new();
        let (wanted, foreign) = match credential {
            Credential::ApiKey(key) => (("x-api-key", key.clone()), "authorization"),
            Credential::Bearer(token) => (("authorization", format!("Bearer {token}")), "x-api-key"),
        };
        if self.header(wanted.0) != Some(&wanted.1) {
            faults.push(format!("{} is not the operator's", wanted.0));
        }
        for unwanted in [foreign, "cookie", "proxy-authorization", "transfer-encoding", "upgrade", "te"] {
            if self.header(unwanted).is_some() {
                faults.push(format!("{unwanted} must not come here"));
            }
        }
        if self.header("anthropic-version").is_none() {
            faults.push("anthropic-version is missing".to_owned());
        }
        for (name, _) in &self.headers {
            if self.headers.iter().filter(|(other, _)| other == name).count() > 1 && !name.starts_with("anthropic-") {
                faults.push(format!("{name} came twice"));
            }
        }
        if self.method == "POST" {
            if self.header("content-length").is_none() {
                faults.push("content-length is missing".to_owned());
            }
            if !self.json().is_ok_and(|body| body.is_object()) {
                faults.push("the body is no JSON object".to_owned());
            }
        }
        faults
    }
}

/// Reads one request; `None` when the connection ended before it began. `buffer` keeps what came early.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    buffer: &mut BytesMut,
) -> Result<Option<Received>> {
    let Some(head_length) = read_head(io, buffer).await? else { return Ok(None) };
    let head = buffer.split_to(head_length);
    let mut received = parse(std::str::from_utf8(&head)?)?;
    if received.header("expect").is_some() {
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let length: usize = match received.header("content-length") {
        Some(length) => length.parse()?,
        None => 0,
    };
    buffer.reserve(length.saturating_sub(buffer.len()));
    while buffer.len() < length {
        ensure!(io.read_buf(buffer).await? > 0, "the body ended early");
    }
    received.body = buffer.split_to(length).freeze();
    Ok(Some(received))
}

async fn read_head<S: AsyncRead + Unpin>(io: &mut S, buffer: &mut BytesMut) -> Result<Option<usize>> {
    let mut seen = 0;
    loop {
        if let Some(end) = buffer[seen..].windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(Some(seen + end + 4));
        }
        ensure!(buffer.len() < MAX_HEAD, "the head has no end");
        seen = buffer.len().saturating_sub(3);
        buffer.reserve(8192);
        if io.read_buf(buffer).await? == 0 {
            if buffer.is_empty() {
                return Ok(None);
            }
            bail!("the head ended early");
        }
    }
}

fn parse(head: &str) -> Result<Received> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().context("a method")?, words.next().context("a target")?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').context("a header")?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Received {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Bytes::new(),
    })
}
