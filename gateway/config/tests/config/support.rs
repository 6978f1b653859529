//! A gateway.yaml that is right, to be made wrong line by line, with its environment and files.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use gateway_config::{Config, Environment, Files, Loaded};

pub(crate) const CLIENT_KEY: &str = include_str!("fixtures/client.key");
pub(crate) const CLIENT_CERTIFICATE: &str = include_str!("fixtures/client.crt");
const CLIENT_KEY_PKCS1: &str = include_str!("fixtures/client.pkcs1.key");
const OTHER_CERTIFICATE: &str = include_str!("fixtures/other.crt");

/// The least that starts a gateway.
pub(crate) const LEAST: &str = r#"
listen:
  public_url: https://gateway.example.com
oidc:
  issuer: https://idp.example.com
  client_id: gateway
  client_secret: ${CLIENT_SECRET}
session:
  jwt_secret: ${JWT_SECRET}
store:
  postgres_url: postgres://gateway@db.example.com/gateway
upstreams:
  - provider: anthropic
    auth: { api_key: "${API_KEY}" }
"#;

/// Files in memory.
#[derive(Default)]
pub(crate) struct Mounted(BTreeMap<PathBuf, Vec<u8>>);

impl Mounted {
    pub(crate) fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.into(), text.as_bytes().to_vec());
        self
    }
}

impl Files for Mounted {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(crate) fn mounted() -> Mounted {
    Mounted::default()
        .with("/tls/tls.crt", CLIENT_CERTIFICATE)
        .with("/tls/tls.key", CLIENT_KEY)
        .with("/tls/other.key", include_str!("fixtures/other.key"))
        .with("/tls/encrypted.key", include_str!("fixtures/encrypted.key"))
        .with("/tls/short.key", include_str!("fixtures/short.key"))
        .with("/tls/ec.key", include_str!("fixtures/ec.key"))
        .with("/tls/chain.crt", &format!("{CLIENT_CERTIFICATE}{OTHER_CERTIFICATE}"))
        .with("/tls/other.crt", OTHER_CERTIFICATE)
        .with("/run/jwt", "a-secret-of-32-bytes-or-more-in-a-file\n")
        .with("/run/google.json", r#"{"client_email": "a@b", "private_key": "k"}"#)
        .with("/run/text", "no key at all")
}

pub(crate) fn environment() -> Environment {
    [
        ("CLIENT_SECRET", "canary-client-secret"),
        ("JWT_SECRET", "canary-jwt-secret-of-32-bytes-or-more"),
        ("API_KEY", "canary-api-key"),
        ("PORT", "9000"),
        ("EMPTY", ""),
        ("CLIENT_KEY", CLIENT_KEY),
        ("CLIENT_KEY_PKCS1", CLIENT_KEY_PKCS1),
        ("CERTIFICATE", CLIENT_CERTIFICATE),
    ]
    .into_iter()
    .collect()
}

pub(crate) fn load(text: &str) -> Loaded {
    Config::parse(text, &environment(), &mounted()).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

/// The complaints about a file, one a line.
pub(crate) fn complaints(text: &str) -> String {
    match Config::parse(text, &environment(), &mounted()) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// The least file with one section replaced; `section` is its name, `body` what stands below it.
pub(crate) fn with(section: &str, body: &str) -> String {
    let mut text = String::new();
    let mut skipping = false;
    for line in LEAST.lines().filter(|line| !line.is_empty()) {
        if !line.starts_with(' ') {
            skipping = line.strip_suffix(':') == Some(section);
        }
        if !skipping {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(section);
    text.push(':');
    if body.starts_with('\n') {
        text.push_str(body);
    } else {
        text.push_str(&format!(" {body}"));
    }
    text.push('\n');
    text
}
