//! `oidc`: the company's identity provider and who may sign in.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

#[derive(Debug, Clone)]
pub struct Oidc {
    pub issuer: Url,
    pub client_id: String,
    pub authentication: ClientAuthentication,
    /// Lower case, without `@`; empty means any.
    pub allowed_email_domains: Vec<String>,
    /// Exact and case-sensitive; empty means any.
    pub allowed_groups: Vec<String>,
    /// A flat key, or a JSON Pointer when it starts with `/`.
    pub groups_claim: String,
    pub google_groups: Option<GoogleGroups>,
    pub email_claim: EmailClaim,
    pub scopes: Vec<String>,
    pub extra_auth_params: BTreeMap<String, String>,
    pub userinfo_fallback: bool,
    pub use_pkce: bool,
    pub clock_skew: Duration,
    pub signing_algorithm: SigningAlgorithm,
    pub additional_authorized_parties: Vec<String>,
    pub discovery_url: Option<Url>,
    pub use_proxy: bool,
    /// Bare origins for `form-action` in the pages' CSP.
    pub form_action_origins: Vec<String>,
    pub ca_cert_pem: Option<String>,
    pub scope_on_refresh: bool,
}

/// How the gateway proves itself at the IdP's token endpoint.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    /// By what the provider advertises; basic where it says nothing (OpenID Connect Discovery 1.0, section 3).
    Negotiated(SecretString),
    Basic(SecretString),
    Post(SecretString),
    PrivateKeyJwt(ClientCertificate),
}

/// RFC 7523 client authentication, named to the IdP by the certificate's thumbprints.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    pub private_key_pem: SecretString,
    pub certificate_pem: String,
}

#[derive(Debug, Clone)]
pub struct GoogleGroups {
    pub service_account_json_path: PathBuf,
    pub admin_email: String,
}

/// Fallbacks in order; each a flat key or a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailClaim(pub Vec<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
    Ps256,
    EdDsa,
}
