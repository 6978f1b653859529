//! Any number of people: one signs in, and their token is signed anew for the others with the secret that the gateways were
//! given.

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{gateway::Gateway, signin::sign_in};

#[derive(Clone)]
pub struct People {
    header: String,
    claims: Value,
    key: hmac::Key,
}

impl People {
    pub async fn of(gateway: &Gateway) -> Result<Self> {
        Self::from_token(gateway, &sign_in(gateway, "alice").await?.access_token)
    }

    /// Of somebody who is signed in already.
    pub fn from_token(gateway: &Gateway, token: &str) -> Result<Self> {
        let (header, rest) = token.split_once('.').context("a JWT")?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(rest.split_once('.').context("a JWT")?.0)?;
        let secret = gateway.setting("/session/jwt_secret");
        Ok(Self {
            header: header.to_owned(),
            claims: serde_json::from_slice(&payload)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_str().context("one secret")?.as_bytes()),
        })
    }

    /// The bearer of the person with this subject.
    pub fn bearer(&self, subject: &str) -> String {
        let mut claims = self.claims.clone();
        claims["sub"] = json!(subject);
        let signed = format!("{}.{}", self.header, BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
