//! The provider's discovery document: read once, believed only if it is for the configured issuer.

use bytes::Bytes;
use gateway_config::Oidc;
use gateway_egress::{Client, ClientError};
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::relying_party::SignInError;

#[derive(Debug, Deserialize)]
struct UnverifiedMetadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What the provider says about itself, after the checks of [`Metadata::fetch`].
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    /// As the provider and the operator spell it: tokens must say exactly this.
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) jwks_uri: Url,
    pub(super) auth_methods: Option<Vec<String>>,
    /// RFC 9207: the callback must name the issuer.
    pub(super) names_itself_in_callback: bool,
}

impl Metadata {
    /// From `discovery_url`, or from below the issuer. Wherever it comes from, it must be for the configured issuer.
    pub(super) async fn fetch(client: &Client, config: &Oidc) -> Result<Self, SignInError> {
        let url = config.discovery_url.clone().unwrap_or_else(|| below(&config.issuer));
        let body = get_json(client, &url, "discovery").await?;
        let unverified: UnverifiedMetadata = serde_json::from_slice(&body)
            .map_err(|error| untrustworthy(format!("the discovery document cannot be read: {error}")))?;
        Self::checked(unverified, config)
    }

    fn checked(unverified: UnverifiedMetadata, config: &Oidc) -> Result<Self, SignInError> {
        let issuer = unverified.issuer;
        // To the letter (OpenID Connect Discovery 1.0, section 4.3), hence not the parsed URL.
        if issuer != config.issuer_text {
            let reason = format!("the discovery document is for the issuer {issuer:?}, not {:?}", config.issuer_text);
            return Err(untrustworthy(reason));
        }
        let endpoints = [&unverified.authorization_endpoint, &unverified.token_endpoint, &unverified.jwks_uri];
        for endpoint in endpoints.into_iter().chain(&unverified.userinfo_endpoint) {
            let fits = match endpoint.scheme() {
                "https" => true,
                "http" => config.issuer.scheme() == "http",
                _ => false,
            };
            if !fits || endpoint.host().is_none() {
                return Err(untrustworthy(format!("the endpoint {endpoint} is not as well guarded as the issuer")));
            }
        }
        Ok(Self {
            issuer,
            authorization_endpoint: unverified.authorization_endpoint,
            token_endpoint: unverified.token_endpoint,
            userinfo_endpoint: unverified.userinfo_endpoint,
            jwks_uri: unverified.jwks_uri,
            auth_methods: unverified.token_endpoint_auth_methods_supported,
            names_itself_in_callback: unverified.authorization_response_iss_parameter_supported,
        })
    }
}

/// OpenID Connect Discovery 1.0, section 4.1.
fn below(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    url
}

fn untrustworthy(reason: String) -> SignInError {
    SignInError::Untrustworthy { reason }
}

/// A document of the provider's; anything but 200 is no document, redirects above all.
pub(super) async fn get_json(client: &Client, url: &Url, what: &str) -> Result<Bytes, SignInError> {
    let answer = send(client, get(url)?).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status if status.is_redirection() => {
            Err(untrustworthy(format!("{what} answered {status}, and redirects are not followed")))
        }
        status => Err(SignInError::Unavailable { reason: format!("{what} answered {status}") }),
    }
}

pub(super) fn get(url: &Url) -> Result<Request<Bytes>, SignInError> {
    Request::get(url.as_str())
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(Bytes::new())
        .map_err(|_| untrustworthy("an endpoint's URL cannot be asked".to_owned()))
}

/// Silence is the network's or the provider's; an answer over the limit is nothing that a client may take.
pub(super) async fn send(client: &Client, request: Request<Bytes>) -> Result<Response<Bytes>, SignInError> {
    client.send(request).await.map_err(|error| match error {
        ClientError::TooLarge { .. } => untrustworthy(error.to_string()),
        _ => SignInError::Unavailable { reason: error.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::relying_party::test_config;

    fn configured(issuer: &str) -> Oidc {
        Oidc { issuer: Url::parse(issuer).unwrap(), issuer_text: issuer.to_owned(), ..test_config() }
    }

    fn document(issuer: &str, endpoints: &str) -> UnverifiedMetadata {
        let url = |path: &str| Url::parse(&format!("{endpoints}{path}")).unwrap();
        UnverifiedMetadata {
            issuer: issuer.to_owned(),
            authorization_endpoint: url("/auth"),
            token_endpoint: url("/token"),
            userinfo_endpoint: None,
            jwks_uri: url("/jwks"),
            token_endpoint_auth_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
        }
    }

    #[test]
    fn discovery_lies_below_the_issuer() {
        for (issuer, url) in [
            ("https://idp.test", "https://idp.test/.well-known/openid-configuration"),
            ("https://idp.test/realms/a", "https://idp.test/realms/a/.well-known/openid-configuration"),
            ("https://idp.test/tenant/", "https://idp.test/tenant/.well-known/openid-configuration"),
        ] {
            assert_eq!(below(&Url::parse(issuer).unwrap()).as_str(), url);
        }
    }

    #[test]
    fn only_the_configured_issuer_is_believed() {
        let config = configured("https://idp.test/a");
        assert!(Metadata::checked(document("https://idp.test/a", "https://idp.test"), &config).is_ok());
        for issuer in ["https://idp.test/a/", "https://idp.test", "http://idp.test/a", "https://idp.test.evil/a", "x"] {
            assert!(Metadata::checked(document(issuer, "https://idp.test"), &config).is_err(), "{issuer}");
        }
        let bare = configured("https://idp.test");
        assert!(Metadata::checked(document("https://idp.test/", "https://idp.test"), &bare).is_err(), "a slash more");
    }

    #[test]
    fn endpoints_of_an_https_issuer_are_https() {
        let config = configured("https://idp.test");
        assert!(Metadata::checked(document("https://idp.test", "http://idp.test"), &config).is_err());
        let plain = configured("http://idp.test");
        assert!(Metadata::checked(document("http://idp.test", "http://idp.test"), &plain).is_ok());
    }
}
