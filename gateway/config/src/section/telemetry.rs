//! `telemetry`: where clients' telemetry is relayed to, and where the gateway sends its own.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use super::upstream::StaticHeader;
use crate::{
    address,
    complaint::Complaint,
    fields::Fields,
    header,
    vocabulary::{Fallback, Key, Shape, Table},
};

const LONGEST_ATTRIBUTE: usize = 255;

pub(crate) static TELEMETRY: Table = Table {
    about: "Where clients' telemetry goes, and the gateway's own.",
    keys: &[&[
        Key::optional(
            "forward_to",
            Shape::List(&Shape::Section(&DESTINATION)),
            "Collectors that clients' exports go to.",
        ),
        Key::optional("resource_attributes", Shape::Map(&Shape::Text), "Labels put on everything that clients export."),
        Key::optional("export", Shape::Section(&EXPORT), "The gateway's own metrics and audit events."),
    ]],
};

static DESTINATION: Table = Table {
    about: "One OTLP collector, over HTTP.",
    keys: &[&[
        Key::required(
            "url",
            Shape::Text,
            "Its base URL: https, or http on loopback where the environment allows loopback.",
        ),
        Key::optional("headers", Shape::Map(&Shape::Secret), "Headers added to every export."),
        Key::optional("metrics", Shape::Flag, "Counters: tokens, requests, latency.").or(Fallback::Flag(true)),
        Key::optional("logs", Shape::Flag, "Events, which can hold commands and paths.").or(Fallback::Flag(false)),
        Key::optional("traces", Shape::Flag, "Spans, which can hold commands and paths.").or(Fallback::Flag(false)),
        Key::optional("auth", Shape::Section(&DESTINATION_AUTH), "A credential that the gateway renews itself."),
    ]],
};

static DESTINATION_AUTH: Table = Table {
    about: "A credential that the gateway renews itself.",
    keys: &[&[
        Key::optional("google", Shape::Flag, "Google's application default credentials.").or(Fallback::Flag(false))
    ]],
};

static EXPORT: Table = Table {
    about: "The gateway's own telemetry.",
    keys: &[&[
        Key::required("endpoint", Shape::Text, "The collector's URL."),
        Key::optional("protocol", Shape::Choice(&["grpc", "http"]), "How to speak to it.").or(Fallback::Text("http")),
        Key::optional("headers", Shape::Map(&Shape::Secret), "Headers added to every export."),
        Key::optional("interval_seconds", Shape::Whole(1, 3_600), "Time between exports.").or(Fallback::Whole(60)),
        Key::optional("metrics", Shape::Flag, "Export usage metrics.").or(Fallback::Flag(true)),
        Key::optional("audit", Shape::Flag, "Export audit events.").or(Fallback::Flag(false)),
    ]],
};

#[derive(Debug, Clone)]
pub struct Telemetry {
    pub forward_to: Vec<Destination>,
    pub resource_attributes: BTreeMap<String, String>,
    pub export: Option<Export>,
}

#[derive(Debug, Clone)]
pub struct Destination {
    pub url: Url,
    pub headers: Vec<StaticHeader>,
    pub metrics: bool,
    pub logs: bool,
    pub traces: bool,
    pub google_auth: bool,
}

#[derive(Debug, Clone)]
pub struct Export {
    pub endpoint: Url,
    pub protocol: ExportProtocol,
    pub headers: Vec<StaticHeader>,
    pub interval: Duration,
    pub metrics: bool,
    pub audit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportProtocol {
    Grpc,
    Http,
}

impl Telemetry {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let forward_to = fields.sections("forward_to").iter().filter_map(Destination::read).collect();
        let mut resource_attributes = BTreeMap::new();
        for (path, name, value) in fields.map("resource_attributes") {
            let verdict = attribute_name(name).and_then(|()| attribute_value(value));
            if fields.heard(path, verdict).is_some() {
                resource_attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        let export = fields.section("export");
        Some(Self { forward_to, resource_attributes, export: export.as_ref().and_then(Export::read) })
    }
}

impl Destination {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let url = fields.parsed("url", |text| collector(text, fields));
        let headers = header::read(fields, "headers", is_reserved);
        let google_auth = fields.section("auth").and_then(|auth| auth.flag("google")).unwrap_or(false);
        Some(Self {
            url: url?,
            headers,
            metrics: fields.flag("metrics")?,
            logs: fields.flag("logs")?,
            traces: fields.flag("traces")?,
            google_auth,
        })
    }
}

impl Export {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let endpoint = fields.parsed("endpoint", |text| collector(text, fields));
        let headers = header::read(fields, "headers", is_reserved);
        let protocol = match fields.text("protocol")? {
            "grpc" => ExportProtocol::Grpc,
            _ => ExportProtocol::Http,
        };
        Some(Self {
            endpoint: endpoint?,
            protocol,
            headers,
            interval: Duration::from_secs(fields.whole("interval_seconds")?),
            metrics: fields.flag("metrics")?,
            audit: fields.flag("audit")?,
        })
    }
}

/// The name `localhost` passes here, and the door out refuses it unless loopback is allowed, as in the reference; an
/// address of loopback is refused at once.
fn collector(text: &str, fields: &Fields<'_>) -> Result<Url, Complaint> {
    let url = address::base(text)?;
    if url.scheme() == "https" || url.host_str() == Some("localhost") {
        return Ok(url);
    }
    if !address::is_loopback(&url) {
        return Err(Complaint::new("is plain http", "write an https URL"));
    }
    match &fields.surroundings().process {
        Some(process) if !process.allow_loopback => Err(Complaint::new(
            "is plain http to a loopback address",
            "set CLAUDE_GATEWAY_ALLOW_LOOPBACK=1 in the gateway's environment, or write an https URL",
        )),
        _ => Ok(url),
    }
}

fn is_reserved(name: &str) -> bool {
    matches!(name, "connection" | "content-length" | "content-type" | "content-encoding" | "host" | "transfer-encoding")
}

fn attribute_name(name: &str) -> Result<(), Complaint> {
    const TAKEN: &[&str] = &["service.name", "service.version", "claude.deployment_mode", "wsl.version"];
    const TAKEN_PREFIXES: &[&str] = &["user.", "enduser.", "identity.", "host.", "os."];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Complaint::new("is no attribute name", "write letters, digits, dots, dashes and underscores"));
    }
    let lower = name.to_ascii_lowercase();
    if TAKEN.contains(&lower.as_str()) || TAKEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(Complaint::new("is a reserved attribute", "choose another name"));
    }
    Ok(())
}

/// As it stands in `OTEL_RESOURCE_ATTRIBUTES`, percent-encoded.
fn attribute_value(value: &str) -> Result<(), Complaint> {
    if !value.bytes().all(|byte| byte.is_ascii_graphic() && !br#",;=\"%"#.contains(&byte)) {
        return Err(Complaint::new(
            r#"has a space, a character that is not ASCII, or one of , ; = \ " %"#,
            "write letters, digits and other signs",
        ));
    }
    let encoded: usize = value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) { 1 } else { 3 })
        .sum();
    if encoded > LONGEST_ATTRIBUTE {
        return Err(Complaint::new(
            format!("is longer than {LONGEST_ATTRIBUTE} characters, percent-encoded"),
            "shorten it",
        ));
    }
    Ok(())
}
