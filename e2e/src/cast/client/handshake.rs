//! TLS as a client sees it: what was agreed on, and who answered.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::{client::Resumption, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Client;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// By ALPN.
    pub protocol: Option<String>,
    /// The server's own certificate, in DER form.
    pub certificate: Vec<u8>,
}

impl Client {
    /// A whole handshake that offers these protocols; nothing of an earlier one is resumed.
    pub async fn handshake(&self, protocols: &[&str]) -> Result<Handshake> {
        let stream = self.secured(protocols).await?;
        let session = stream.get_ref().1;
        let protocol = session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
        let certificate = session.peer_certificates().and_then(<[_]>::first).context("a certificate")?.to_vec();
        Ok(Handshake { protocol, certificate })
    }

    pub(super) async fn secured(&self, protocols: &[&str]) -> Result<TlsStream<TcpStream>> {
        let mut config = self.tls.as_deref().context("an authority to trust")?.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(self.base.host_str().unwrap_or_default().to_owned())?;
        let io = TcpStream::connect(self.address).await?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, io).await?)
    }
}
