//! Any number of people: one signs in, and their token is signed anew for the others with the secret that the gateways were
//! given.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::cast::{gateway::Gateway, signin::sign_in};
use serde_json::{Value, json};

#[derive(Clone)]
pub(crate) struct People {
    header: String,
    claims: Value,
    key: hmac::Key,
}

impl People {
    pub(crate) async fn of(gateway: &Gateway) -> Self {
        let token = sign_in(gateway, "alice").await.unwrap().access_token;
        let (header, rest) = token.split_once('.').unwrap();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(rest.split_once('.').unwrap().0).unwrap();
        let secret = gateway.setting("/session/jwt_secret");
        Self {
            header: header.to_owned(),
            claims: serde_json::from_slice(&payload).unwrap(),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_str().unwrap().as_bytes()),
        }
    }

    /// The bearer of the person with this subject.
    pub(crate) fn bearer(&self, subject: &str) -> String {
        let mut claims = self.claims.clone();
        claims["sub"] = json!(subject);
        let signed = format!("{}.{}", self.header, BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
