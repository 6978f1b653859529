//! `oidc`: the company's identity provider and who may sign in.

mod client;
mod words;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::{address, complaint::Complaint, fields::Fields, pem};

pub(crate) use words::OIDC;

/// Set by the sign-in itself; an operator's value would break it, or weaken it.
const OWN_PARAMETERS: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "nonce",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

#[derive(Debug, Clone)]
pub struct Oidc {
    pub issuer: Url,
    /// As written: a discovery document's `issuer` has to equal it to the last slash, which `Url` does not keep.
    pub issuer_text: String,
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
    /// Effective: unless the file says, only where the proxy is the way out for everything.
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

#[derive(Debug, Clone, PartialEq, Eq)]
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

impl Oidc {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let issuer = fields.parsed("issuer", issuer);
        let client_id = fields.owned("client_id");
        let authentication = client::read(fields);
        let google_groups = fields.section("google_groups");
        let google_groups = google_groups.as_ref().and_then(GoogleGroups::read);
        let groups_claim = fields.parsed("groups_claim", claim);
        let email_claim = EmailClaim(fields.parsed_texts("email_claim", claim));
        let extra_auth_params = extra_auth_params(fields);
        let discovery_url = fields.parsed("discovery_url", discovery_url);
        let form_action_origins = fields.parsed_texts("form_action_origins", csp_origin);
        let ca_cert_pem = fields.parsed("ca_cert_pem", pem::trust_store);
        let issuer = issuer?;
        Some(Self {
            issuer_text: fields.owned("issuer")?,
            client_id: client_id?,
            authentication: authentication?,
            allowed_email_domains: allowed_email_domains(fields),
            allowed_groups: allowed(fields, "allowed_groups"),
            groups_claim: groups_claim?,
            google_groups,
            email_claim,
            scopes: scopes(fields),
            extra_auth_params,
            userinfo_fallback: fields.flag("userinfo_fallback")?,
            use_pkce: fields.flag("use_pkce")?,
            clock_skew: Duration::from_secs(fields.whole("clock_skew_seconds")?),
            signing_algorithm: SigningAlgorithm::read(fields.text("id_token_signed_response_alg")?),
            additional_authorized_parties: fields.owned_texts("additional_authorized_parties"),
            discovery_url,
            use_proxy: use_proxy(fields, &issuer),
            form_action_origins,
            ca_cert_pem,
            scope_on_refresh: fields.flag("scope_on_refresh")?,
            issuer,
        })
    }
}

impl GoogleGroups {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let admin_email = fields.parsed("admin_email", email);
        let account = fields.file("service_account_json_path", service_account);
        account?;
        Some(Self {
            service_account_json_path: fields.text("service_account_json_path")?.into(),
            admin_email: admin_email?,
        })
    }
}

impl SigningAlgorithm {
    fn read(text: &str) -> Self {
        match text {
            "ES256" => Self::Es256,
            "PS256" => Self::Ps256,
            "EdDSA" => Self::EdDsa,
            _ => Self::Rs256,
        }
    }
}

fn issuer(text: &str) -> Result<Url, Complaint> {
    let url = address::web(text)?;
    if url.query().is_some() {
        return Err(Complaint::new("has a query", "write the issuer as the provider's discovery document names it"));
    }
    Ok(url)
}

/// A flat key, or a JSON Pointer (RFC 6901) when it starts with a slash.
fn claim(text: &str) -> Result<String, Complaint> {
    let broken = text.starts_with('/') && text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    if broken {
        return Err(Complaint::new("is no JSON Pointer", "write `~0` for `~` and `~1` for `/` within a key"));
    }
    Ok(text.to_owned())
}

pub(crate) fn email(text: &str) -> Result<String, Complaint> {
    let text = text.trim();
    match text.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(Complaint::new("is no e-mail address", "write one such as admin@example.com")),
    }
}

fn service_account(bytes: &[u8]) -> Result<(), Complaint> {
    let account: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let has = |key: &str| account.as_ref().is_some_and(|account| account[key].is_string());
    if has("client_email") && has("private_key") {
        return Ok(());
    }
    Err(Complaint::new(
        "names a file that is no service account key",
        "write the path of the JSON key that Google issued, with client_email and private_key",
    ))
}

/// An empty list means everyone, here as in the reference; it is worth a word.
fn allowed(fields: &Fields<'_>, key: &str) -> Vec<String> {
    let list = fields.owned_texts(key);
    if fields.written(key) && list.is_empty() {
        fields.warn(key, "is empty, which lets everyone in");
    }
    list
}

fn allowed_email_domains(fields: &Fields<'_>) -> Vec<String> {
    allowed(fields, "allowed_email_domains");
    fields.parsed_texts("allowed_email_domains", email_domain)
}

/// Lower case; one `@` in front is taken off.
pub(crate) fn email_domain(text: &str) -> Result<String, Complaint> {
    let text = text.trim();
    let domain = text.strip_prefix('@').unwrap_or(text);
    if domain.is_empty() || domain.contains(['@', ',']) || domain.contains(char::is_whitespace) {
        return Err(Complaint::new("is no single e-mail domain", "write one such as example.com"));
    }
    Ok(domain.to_lowercase())
}

fn scopes(fields: &Fields<'_>) -> Vec<String> {
    // RFC 6749, appendix A.4: the characters of a scope token.
    let scopes = fields.parsed_texts("scopes", |text| {
        if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            return Ok(text.to_owned());
        }
        Err(Complaint::new("is no single scope", "write one scope an entry, without spaces and quotes"))
    });
    if !scopes.iter().any(|scope| scope == "openid") {
        fields.refuse("scopes", "does not hold openid", "add openid: without it there is no id_token");
    }
    scopes
}

fn extra_auth_params(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (path, name, value) in fields.map("extra_auth_params") {
        if OWN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            fields.refuse_at(path, Complaint::new("is set by the gateway itself", "remove it"));
        }
        parameters.insert(name.to_owned(), value.to_owned());
    }
    parameters
}

fn discovery_url(text: &str) -> Result<Url, Complaint> {
    let url = address::web(text)?;
    if !url.path().contains("/.well-known/") {
        return Err(Complaint::new(
            "has no `/.well-known/` in its path",
            "write the whole address of the discovery document",
        ));
    }
    Ok(url)
}

/// Stands in a Content-Security-Policy, so nothing in it may end a directive.
fn csp_origin(text: &str) -> Result<String, Complaint> {
    let origin = address::origin(text)?.origin().ascii_serialization();
    if origin.contains([';', ',', '\'', '"', ' ', '*']) {
        return Err(Complaint::new("is more than an origin", "write only the scheme, the host and the port"));
    }
    Ok(origin)
}

/// A proxy in the environment does not say whether it is meant for the identity provider, so the operator is asked.
fn use_proxy(fields: &Fields<'_>, issuer: &Url) -> bool {
    let process = fields.surroundings().process.as_ref();
    if let Some(written) = fields.flag("use_proxy") {
        return written;
    }
    let Some(process) = process else { return false };
    let proxied = process.https_proxy.is_some() || process.http_proxy.is_some();
    if proxied && !process.proxy_is_boundary && !is_exempt(issuer, &process.no_proxy) {
        fields.warn(
            "use_proxy",
            "is not set, and the environment names a proxy: requests to the identity provider go direct. Write true or false",
        );
    }
    process.proxy_is_boundary
}

fn is_exempt(url: &Url, no_proxy: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    no_proxy.split(',').map(str::trim).any(|entry| match entry.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => entry == "*" || entry.eq_ignore_ascii_case(host),
    })
}
