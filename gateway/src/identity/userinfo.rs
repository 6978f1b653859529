//! The userinfo endpoint: a second source of claims, about the same person or of no use at all.

use gateway_egress::Client;
use http::{HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{claims::Claims, person::Subject, provider, relying_party::SignInError};

pub(super) async fn ask(
    client: &Client,
    url: &Url,
    access_token: &SecretString,
    sub: &Subject,
) -> Result<Claims, SignInError> {
    let untrustworthy = |reason: &str| SignInError::Untrustworthy { reason: reason.to_owned() };
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", access_token.expose_secret()))
        .map_err(|_| untrustworthy("the access token cannot be sent in a header"))?;
    bearer.set_sensitive(true);
    let mut request = provider::get(url)?;
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let answer = provider::send(client, request).await?;
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(SignInError::Unavailable { reason: format!("userinfo answered {status}") });
        }
        status => return Err(untrustworthy(&format!("userinfo answered {status} to a token just issued"))),
    }
    let claims: Claims =
        serde_json::from_slice(answer.body()).map_err(|_| untrustworthy("userinfo's answer is no JSON object"))?;
    // OpenID Connect Core 1.0, section 5.3.4: otherwise somebody else's claims could be swapped in.
    match claims.get("sub").and_then(Value::as_str) {
        Some(answered) if answered == sub.0 => Ok(claims),
        _ => Err(untrustworthy("userinfo answered for another subject")),
    }
}
