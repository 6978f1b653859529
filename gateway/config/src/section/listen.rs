//! `listen`: where the gateway serves, and the only source of its own origin.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use url::Url;

use crate::{
    address,
    complaint::Complaint,
    fields::Fields,
    pem,
    vocabulary::{Fallback, Key, Shape, Table},
};

pub(crate) static LISTEN: Table = Table {
    about: "Where the gateway serves.",
    keys: &[&[
        Key::optional("host", Shape::Text, "The address to bind.").or(Fallback::Text("0.0.0.0")),
        Key::optional("port", Shape::Whole(1, 65_535), "The port to bind.").or(Fallback::Whole(8080)),
        Key::optional(
            "public_url",
            Shape::Text,
            "The origin that developers and the identity provider see: https, or http on loopback. Required unless `host` is \
             a loopback address; no forwarded header ever stands in for it.",
        ),
        Key::optional("tls", Shape::Section(&TLS), "Certificate and key, where the gateway ends TLS itself."),
        Key::optional(
            "trusted_proxies",
            Shape::List(&Shape::Text),
            "Addresses and ranges of the load balancers in front, whose X-Forwarded-For is believed.",
        ),
        Key::optional(
            "metrics",
            Shape::Text,
            "`host:port` of a listener that serves Prometheus metrics and nothing else.",
        ),
    ]],
};

static TLS: Table = Table {
    about: "Both files are read again when they change.",
    keys: &[&[
        Key::required("cert", Shape::Text, "Path of the certificate chain in PEM form, the server's own first."),
        Key::required("key", Shape::Text, "Path of its private key in PEM form, not encrypted."),
    ]],
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub host: String,
    pub port: u16,
    pub public_url: PublicUrl,
    pub tls: Option<TlsFiles>,
    pub trusted_proxies: Vec<IpNet>,
    /// `listen.metrics` (ours): Prometheus and nothing else.
    pub metrics: Option<SocketAddr>,
}

/// An origin: `https`, or `http` on loopback; no path, query or credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The caller (validation, or a test) has checked that this is a bare origin.
    pub fn from_origin(url: Url) -> Self {
        Self(url)
    }

    /// The origin without a trailing slash, as it stands in `issuer` and `iss`.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// An absolute URL below the origin; `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    pub fn url(&self) -> &Url {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Listen {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let host = fields.parsed("host", address::bind_host);
        let port: Option<u16> = fields.whole("port");
        let tls = fields.section("tls");
        let tls = tls.as_ref().and_then(TlsFiles::read);
        let trusted_proxies = fields.parsed_texts("trusted_proxies", address::range);
        let metrics = fields.parsed("metrics", address::socket);
        if let (Some(metrics), Some(port)) = (metrics, port)
            && metrics.port() == port
        {
            fields.refuse("metrics", "is the port that the gateway itself serves", "choose another port");
        }
        let (host, port) = (host?, port?);
        let public_url = if fields.written("public_url") {
            fields.parsed("public_url", public_url)
        } else {
            default_public_url(fields, &host, port, tls.is_some())
        };
        Some(Self { host, port, public_url: public_url?, tls, trusted_proxies, metrics })
    }

    /// Only this machine can reach the gateway, and nothing says that somebody else is meant to.
    pub(crate) fn is_local(&self) -> bool {
        address::is_loopback_host(&self.host)
            && self.trusted_proxies.is_empty()
            && address::is_loopback(self.public_url.url())
    }
}

fn public_url(text: &str) -> Result<PublicUrl, Complaint> {
    let origin = address::origin(text)?;
    if origin.scheme() == "http" && !address::is_loopback(&origin) {
        return Err(Complaint::new(
            "is plain http on an address that is not loopback",
            "write the https origin that developers see",
        ));
    }
    Ok(PublicUrl::from_origin(origin))
}

fn default_public_url(fields: &Fields<'_>, host: &str, port: u16, tls: bool) -> Option<PublicUrl> {
    if !address::is_loopback_host(host) {
        fields.refuse(
            "public_url",
            "is missing, and listen.host is not a loopback address",
            "write the https origin that developers see",
        );
        return None;
    }
    let scheme = if tls { "https" } else { "http" };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Url::parse(&format!("{scheme}://{host}:{port}")).ok().map(PublicUrl::from_origin)
}

impl TlsFiles {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let cert = fields.file("cert", |bytes| pem::certificates(bytes).map(drop));
        let key = fields.file("key", pem::private_key);
        cert.and(key)?;
        Some(Self { cert: fields.text("cert")?.into(), key: fields.text("key")?.into() })
    }
}
