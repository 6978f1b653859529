//! The provider's keys, and signatures good and bad.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

pub struct SigningKey {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    pub fn generate(algorithm: Algorithm) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(1);
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made"))
            }
            Algorithm::Es256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key can be made"))
            }
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key can be made")),
        };
        Self { id: format!("key-{}", MADE.fetch_add(1, Ordering::Relaxed)), algorithm, pair }
    }

    pub(crate) fn jwk(&self, with_id: bool) -> Value {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let number = |part: aws_lc_rs::io::Positive<'_>| encoded(part.big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": number(key.modulus()), "e": number(key.exponent())})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref())}),
        };
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm.as_str());
        if with_id {
            jwk["kid"] = json!(self.id);
        }
        jwk
    }

    pub(crate) fn header(&self, with_id: bool) -> Value {
        let mut header = json!({"alg": self.algorithm.as_str(), "typ": "JWT"});
        if with_id {
            header["kid"] = json!(self.id);
        }
        header
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &random, message, &mut signature).expect("an RSA key signs");
            signature
        };
        match (&self.pair, self.algorithm) {
            (Pair::Rsa(pair), Algorithm::Ps256) => rsa(pair, &RSA_PSS_SHA256),
            (Pair::Rsa(pair), _) => rsa(pair, &RSA_PKCS1_SHA256),
            (Pair::Ec(pair), _) => pair.sign(&random, message).expect("a P-256 key signs").as_ref().to_vec(),
            (Pair::Ed(pair), _) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A whole token.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = signing_input(header, claims);
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// OpenID Connect Core 1.0, section 3.1.3.6.
    pub(crate) fn access_token_hash(&self, access_token: &str) -> String {
        let algorithm = if self.algorithm == Algorithm::EdDsa { &digest::SHA512 } else { &digest::SHA256 };
        let hash = digest::digest(algorithm, access_token.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
    }

    /// What an attacker knows of the key: the text of its public half.
    pub(crate) fn public_text(&self) -> String {
        self.jwk(true).to_string()
    }
}

pub(crate) fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(crate) fn hmac_token(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = signing_input(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}
