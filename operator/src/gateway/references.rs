//! What a gateway refers to, and where its pods find it: pure, because watches ask it for every Secret that changes.

use std::collections::{BTreeMap, BTreeSet};

use crds::{
    CaCertificate, ClaudeGatewaySpec, ConfigMapKeyRef, CredentialsRef, SecretKeyRef,
    gateway::{
        exposure::{Exposure, ExposureKind, Tls},
        upstream::{AnthropicAuth, Provider},
    },
};

/// Where pods find what belongs to others: `<name>/<key>` below it.
pub const SECRETS: &str = "/run/claude-gateway/secrets";
pub const CONFIG_MAPS: &str = "/run/claude-gateway/configmaps";
/// Where pods find the tokens of their own identity, one for each upstream that asks for one.
pub const TOKENS: &str = "/run/claude-gateway/tokens";
/// Where pods that end TLS themselves find a certificate that was issued for them.
pub const TLS: &str = "/run/claude-gateway/tls";
pub const CERTIFICATE: &str = "tls.crt";
pub const KEY: &str = "tls.key";

/// The names, each with the keys that are read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Read by pods too.
    pub mounted: BTreeMap<String, BTreeSet<String>>,
    /// Read by the operator alone: the role that migrates.
    pub private: BTreeMap<String, BTreeSet<String>>,
    pub config_maps: BTreeMap<String, BTreeSet<String>>,
    /// The certificate that the public address shows.
    pub tls: Option<String>,
}

impl References {
    pub fn of(spec: &ClaudeGatewaySpec) -> Self {
        let mut found = Self::default();
        found.database(spec);
        found.oidc(spec);
        for upstream in &spec.upstreams {
            found.ca(upstream.ca_certificate.as_ref());
            let Provider::Anthropic(anthropic) = &upstream.provider;
            match &anthropic.auth {
                AnthropicAuth::ApiKeySecretRef(key) | AnthropicAuth::OauthTokenSecretRef(key) => found.mount(key),
                AnthropicAuth::Federation(_) => {}
            }
            upstream
                .headers
                .iter()
                .filter_map(|header| header.value_secret_ref.as_ref())
                .for_each(|key| found.mount(key));
        }
        if let Some(admin) = &spec.admin {
            admin.write_keys.iter().chain(&admin.read_keys).for_each(|key| found.mount(&key.key_secret_ref));
        }
        found.tls = match &spec.exposure.tls {
            Some(Tls::SecretRef(secret)) => Some(secret.name.clone()),
            Some(Tls::CertManager(_)) | None => None,
        };
        if let Some(name) = found.tls.clone().filter(|_| ends_tls(&spec.exposure)) {
            found.mounted.entry(name).or_default().extend([CERTIFICATE, KEY].map(str::to_owned));
        }
        found
    }

    fn database(&mut self, spec: &ClaudeGatewaySpec) {
        let database = &spec.database;
        if let Some(url) = &database.url_secret_ref {
            self.private.entry(url.name.clone()).or_default().insert(url.key.clone());
        }
        if let Some(CredentialsRef { name, username_key, password_key }) = &database.migration_secret_ref {
            self.private.entry(name.clone()).or_default().extend([username_key.clone(), password_key.clone()]);
        }
        if let Some(CredentialsRef { name, username_key, password_key }) = &database.pod_secret_ref {
            self.mounted.entry(name.clone()).or_default().extend([username_key.clone(), password_key.clone()]);
        }
        self.ca(database.ca_certificate.as_ref());
    }

    fn oidc(&mut self, spec: &ClaudeGatewaySpec) {
        let oidc = &spec.oidc;
        self.ca(oidc.ca_certificate.as_ref());
        oidc.client_secret_ref.iter().for_each(|key| self.mount(key));
        if let Some(assertion) = &oidc.client_assertion {
            self.mount(&assertion.private_key_secret_ref);
            self.mount(&assertion.certificate_secret_ref);
        }
        oidc.google_groups.iter().for_each(|google| self.mount(&google.service_account_secret_ref));
    }

    fn mount(&mut self, key: &SecretKeyRef) {
        self.mounted.entry(key.name.clone()).or_default().insert(key.key.clone());
    }

    fn ca(&mut self, certificate: Option<&CaCertificate>) {
        match certificate {
            Some(CaCertificate::SecretRef(key)) => self.mount(key),
            Some(CaCertificate::ConfigMapRef(ConfigMapKeyRef { name, key })) => {
                self.config_maps.entry(name.clone()).or_default().insert(key.clone());
            }
            None => {}
        }
    }

    /// Every Secret that the operator reads.
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.mounted.keys().chain(self.private.keys()).chain(&self.tls).map(String::as_str).collect()
    }

    pub fn names_secret(&self, name: &str) -> bool {
        self.secrets().contains(name)
    }

    pub fn names_config_map(&self, name: &str) -> bool {
        self.config_maps.contains_key(name)
    }
}

/// Nothing stands in front of the pods that could show the certificate.
pub fn ends_tls(exposure: &Exposure) -> bool {
    exposure.kind == ExposureKind::None && exposure.tls.is_some()
}

/// A file of the certificate that pods show; `None` where something in front of them does.
pub fn shown(exposure: &Exposure, file: &str) -> Option<String> {
    match exposure.tls.as_ref().filter(|_| ends_tls(exposure))? {
        Tls::SecretRef(secret) => Some(secret_path(&secret.name, file)),
        Tls::CertManager(_) => Some(format!("{TLS}/{file}")),
    }
}

/// As `gateway.yaml` refers to it.
pub fn secret(SecretKeyRef { name, key }: &SecretKeyRef) -> String {
    format!("${{file:{}}}", secret_path(name, key))
}

pub fn secret_path(name: &str, key: &str) -> String {
    format!("{SECRETS}/{name}/{key}")
}

pub fn ca(certificate: &CaCertificate) -> String {
    match certificate {
        CaCertificate::SecretRef(key) => secret(key),
        CaCertificate::ConfigMapRef(ConfigMapKeyRef { name, key }) => format!("${{file:{CONFIG_MAPS}/{name}/{key}}}"),
    }
}
