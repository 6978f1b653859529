//! The company's identity provider and who may sign in.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yes;
use crate::{
    secret::{CaCertificate, SecretKeyRef},
    text,
};

/// The company's OpenID Connect provider and who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(has(self.tokenEndpointAuthMethod) && self.tokenEndpointAuthMethod == 'private_key_jwt') ? \
     has(self.clientAssertion) && !has(self.clientSecretRef) : has(self.clientSecretRef) && !has(self.clientAssertion)",
    "write one of clientSecretRef and clientAssertion: clientAssertion with tokenEndpointAuthMethod private_key_jwt, and \
     clientSecretRef otherwise",
))]
pub struct Oidc {
    /// The provider's issuer URL, exactly as its discovery document names it. It cannot change: people are known by issuer
    /// and subject.
    #[schemars(schema_with = "text::base_url")]
    #[x_kube(validation = (
        "self == oldSelf",
        "cannot change, people are known by issuer and subject: make a new ClaudeGateway for another provider",
    ))]
    pub issuer: String,
    /// Where the discovery document is, if not below the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::discovery_url")]
    pub discovery_url: Option<String>,
    /// CA certificates that take the place of the system's for requests to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<CaCertificate>,
    /// Requests to the provider go through `proxy`. Unless set they do only where the proxy is the way out for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_proxy: Option<bool>,
    /// The algorithm that id_tokens must be signed with.
    #[serde(default)]
    pub id_token_signed_response_alg: SigningAlgorithm,
    /// How far the provider's clock may be off.
    #[serde(default)]
    #[schemars(range(max = 3_600))]
    pub clock_skew_seconds: u32,
    /// From the registration at the provider.
    #[schemars(schema_with = "text::word")]
    pub client_id: String,
    /// From the registration at the provider; not with `private_key_jwt`, which takes a certificate instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyRef>,
    /// How the gateway proves itself at the token endpoint; unless set, what the provider advertises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// Key and certificate for `private_key_jwt`, and only for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_assertion: Option<ClientAssertion>,
    /// Values of `azp` that are accepted besides the client's own id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::words")]
    pub additional_authorized_parties: Vec<String>,
    /// Only people with an e-mail address in one of these domains sign in; case does not matter. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::email_domains")]
    pub allowed_email_domains: Vec<String>,
    /// Only members of one of these groups sign in; compared exactly, case included. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::words")]
    pub allowed_groups: Vec<String>,
    /// The claim that holds a person's groups: a key, or a JSON Pointer that starts with a slash.
    #[serde(default = "groups")]
    #[schemars(schema_with = "text::claim")]
    pub groups_claim: String,
    /// The claims that may hold the e-mail address, each a key or a JSON Pointer; the first present one counts.
    #[serde(default = "email")]
    #[schemars(schema_with = "text::claims")]
    pub email_claim: Vec<String>,
    /// Ask Google's Directory API for a person's groups, because Google's id_tokens hold none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_groups: Option<GoogleGroups>,
    /// Fetch from the userinfo endpoint what the id_token lacks; what it has stands.
    #[serde(default)]
    pub userinfo_fallback: bool,
    /// The scopes to ask for, all of them; openid is a must.
    #[serde(default = "scopes")]
    #[schemars(schema_with = "text::scopes")]
    pub scopes: Vec<String>,
    /// Send the scopes with a refresh too.
    #[serde(default)]
    pub scope_on_refresh: bool,
    /// Query parameters added to the authorization request; none that the gateway sets itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub extra_auth_params: Vec<QueryParameter>,
    /// Send a PKCE challenge; false only for a provider that refuses it.
    #[serde(default = "yes")]
    pub use_pkce: bool,
    /// Further origins that signing in may redirect through, for the pages' Content-Security-Policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::origins")]
    pub form_action_origins: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum SigningAlgorithm {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TokenEndpointAuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// Key and certificate that the gateway signs its assertions with (RFC 7523).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientAssertion {
    /// An unencrypted RSA key of 2048 bits or more, as PKCS#8 or PKCS#1 PEM.
    pub private_key_secret_ref: SecretKeyRef,
    /// The one certificate of that key, as PEM, registered at the provider.
    pub certificate_secret_ref: SecretKeyRef,
}

/// Google's Directory API. A group's e-mail address is its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleGroups {
    /// The JSON key of a service account with domain-wide delegation for admin.directory.group.readonly.
    pub service_account_secret_ref: SecretKeyRef,
    /// A Workspace administrator whom the service account acts for.
    #[schemars(schema_with = "text::email")]
    pub admin_email: String,
}

/// A query parameter of the authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryParameter {
    /// The parameter's name.
    #[schemars(schema_with = "text::query_parameter")]
    pub name: String,
    /// The parameter's value, before it is encoded.
    #[schemars(schema_with = "text::sentence")]
    pub value: String,
}

fn groups() -> String {
    "groups".into()
}

fn email() -> Vec<String> {
    vec!["email".into()]
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email", "offline_access"].map(String::from).into()
}
