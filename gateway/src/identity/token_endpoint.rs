//! One question to the token endpoint, and what its answer means. Tokens, codes and secrets stay out of every log and error.

use bytes::Bytes;
use gateway_egress::Client;
use http::{HeaderValue, Request, Response, StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::{provider, relying_party::SignInError};

/// Parameters in order; the ones in [`SECRETS`] are cut from whatever the provider says about them.
pub(super) type Form = Vec<(&'static str, String)>;

const SECRETS: &[&str] = &["assertion", "client_assertion", "client_secret", "code", "code_verifier", "refresh_token"];
const MAX_DESCRIPTION: usize = 300;

#[derive(Debug)]
pub(super) struct TokenReply {
    pub(super) access_token: SecretString,
    pub(super) id_token: Option<SecretString>,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct UnverifiedReply {
    access_token: String,
    token_type: String,
    id_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct UnverifiedRefusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

pub(super) async fn ask(
    client: &Client,
    url: &Url,
    authorization: Option<HeaderValue>,
    form: &Form,
) -> Result<TokenReply, SignInError> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = Request::post(url.as_str())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Bytes::from(body))
        .map_err(|_| SignInError::Untrustworthy { reason: "the token endpoint's URL cannot be asked".to_owned() })?;
    if let Some(authorization) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
    }
    let answer = provider::send(client, request).await?;
    if answer.status() == StatusCode::OK { reply(answer.body()) } else { Err(refusal(&answer, form)) }
}

fn reply(body: &[u8]) -> Result<TokenReply, SignInError> {
    let untrustworthy = |reason: &str| SignInError::Untrustworthy { reason: reason.to_owned() };
    let unverified: UnverifiedReply =
        serde_json::from_slice(body).map_err(|_| untrustworthy("the token endpoint's answer is no token reply"))?;
    if !unverified.token_type.eq_ignore_ascii_case("bearer") {
        return Err(untrustworthy("the token endpoint's answer is not of the type Bearer"));
    }
    let present = |token: Option<String>| token.filter(|token| !token.is_empty()).map(SecretString::from);
    let expires_in = unverified.expires_in.and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    });
    Ok(TokenReply {
        access_token: unverified.access_token.into(),
        id_token: present(unverified.id_token),
        refresh_token: present(unverified.refresh_token),
        expires_in,
    })
}

/// A refusal is a client error in OAuth's shape (RFC 6749, section 5.2); whatever else is not an answer.
fn refusal(answer: &Response<Bytes>, form: &Form) -> SignInError {
    let status = answer.status();
    let refused = serde_json::from_slice::<UnverifiedRefusal>(answer.body()).ok().filter(|_| status.is_client_error());
    let Some(UnverifiedRefusal { error, error_description }) = refused else {
        return SignInError::Unavailable { reason: format!("the token endpoint answered {status}") };
    };
    let code = plain_code(&error);
    let description = without_secrets(error_description, form);
    tracing::warn!(%status, code, description, "the identity provider's token endpoint refused");
    SignInError::Refused { code }
}

fn plain_code(unverified: &str) -> String {
    let plain = unverified.len() <= 64 && unverified.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if plain { unverified.to_owned() } else { "unrecognised".to_owned() }
}

/// Some providers quote what they were sent. Control characters would forge lines of the log.
fn without_secrets(mut description: String, form: &Form) -> String {
    for (_, secret) in form.iter().filter(|(name, value)| SECRETS.contains(name) && !value.is_empty()) {
        description = description.replace(secret.as_str(), "[…]");
    }
    description.chars().filter(|character| !character.is_control()).take(MAX_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap()
    }

    #[test]
    fn only_a_client_error_in_oauths_shape_is_a_refusal() {
        let code = |status, body| match refusal(&answered(status, body), &Form::new()) {
            SignInError::Refused { code } => Some(code),
            _ => None,
        };
        assert_eq!(code(400, r#"{"error":"invalid_grant"}"#).as_deref(), Some("invalid_grant"));
        assert_eq!(code(401, r#"{"error":"invalid_client"}"#).as_deref(), Some("invalid_client"));
        assert_eq!(code(400, r#"{"error":"<script>"}"#).as_deref(), Some("unrecognised"));
        for (status, body) in [
            (500, r#"{"error":"invalid_grant"}"#),
            (302, r#"{"error":"invalid_grant"}"#),
            (204, ""),
            (400, "<html>blocked by policy</html>"),
            (400, r#"{"error":{"code":"invalid_grant"}}"#),
        ] {
            assert_eq!(code(status, body), None, "{status} {body}");
        }
    }

    #[test]
    fn what_was_sent_is_cut_from_what_is_logged() {
        let form: Form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", "s3cret".to_owned())];
        let logged = without_secrets("token s3cret of grant refresh_token\r\nis\u{1b}[2J bad".to_owned(), &form);
        assert_eq!(logged, "token […] of grant refresh_tokenis[2J bad");
        assert_eq!(without_secrets("x".repeat(10_000), &form).len(), MAX_DESCRIPTION);
    }

    #[test]
    fn a_reply_must_be_of_the_type_bearer() {
        assert!(reply(br#"{"access_token":"a","token_type":"bearer","expires_in":"3600"}"#).is_ok());
        for body in [r#"{"access_token":"a","token_type":"DPoP"}"#, r#"{"token_type":"Bearer"}"#, "[]", ""] {
            assert!(reply(body.as_bytes()).is_err(), "{body}");
        }
        let debugged = format!("{:?}", reply(br#"{"access_token":"canary","token_type":"Bearer"}"#).unwrap());
        assert!(!debugged.contains("canary"));
    }
}
