//! ID tokens: right ones, and each of the wrong ones.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::now;
use crate::cast::openid::{
    Books, Desk, Misbehaviour, SigningKey, discovery,
    signing::{hmac_token, signing_input},
};

pub(super) struct Occasion<'a> {
    pub(super) sub: &'a str,
    pub(super) nonce: Option<String>,
    pub(super) access_token: &'a str,
    pub(super) at_refresh: bool,
}

pub(super) fn issue(desk: &Desk, books: &Books, occasion: Occasion<'_>) -> String {
    let key = books.keys.last().expect("a provider has a key");
    let mut claims = claims(desk, books, key, &occasion);
    let mut header = key.header(books.behaviour.key_ids);
    let Some(wrong) = &books.behaviour.misbehaviour else { return key.token(&header, &Value::Object(claims)) };
    spoil_claims(&mut claims, wrong, &occasion, now() + books.behaviour.clock_ahead);
    let claims = Value::Object(claims);
    match wrong {
        Misbehaviour::WrongSignature => with_signature(&header, &claims, &key.sign(b"something else")),
        Misbehaviour::ZeroSignature => with_signature(&header, &claims, &[0; 64]),
        Misbehaviour::AlgorithmNone => with_signature(&json!({"alg": "none"}), &claims, &[]),
        Misbehaviour::AlgorithmNoneInCapitals => with_signature(&json!({"alg": "nOnE"}), &claims, &[]),
        Misbehaviour::HmacWithPublicKey => {
            header["alg"] = json!("HS256");
            hmac_token(&header, &claims, key.public_text().as_bytes())
        }
        Misbehaviour::HmacWithClientSecret => {
            header["alg"] = json!("HS256");
            hmac_token(&header, &claims, books.behaviour.client_secret.as_bytes())
        }
        Misbehaviour::SymmetricKeyInKeySet => {
            let header = json!({"alg": "HS256", "kid": discovery::SYMMETRIC_KEY_ID});
            hmac_token(&header, &claims, discovery::symmetric_secret())
        }
        Misbehaviour::KeyInHeader => {
            let own = SigningKey::generate(key.algorithm);
            header["jwk"] = own.jwk(false);
            own.token(&header, &claims)
        }
        Misbehaviour::UnknownCriticalHeader => {
            header["crit"] = json!(["exp-2"]);
            header["exp-2"] = json!(1);
            key.token(&header, &claims)
        }
        Misbehaviour::AccessTokenType => {
            header["typ"] = json!("at+jwt");
            key.token(&header, &claims)
        }
        Misbehaviour::NestedToken => {
            header["cty"] = json!("JWT");
            key.token(&header, &claims)
        }
        Misbehaviour::UnknownKeyId => {
            header["kid"] = json!("../../etc/passwd");
            key.token(&header, &claims)
        }
        Misbehaviour::Garbage => "e30.e30".to_owned(),
        _ => key.token(&header, &claims),
    }
}

fn claims(desk: &Desk, books: &Books, key: &SigningKey, occasion: &Occasion<'_>) -> Map<String, Value> {
    let person = books.behaviour.find(occasion.sub).expect("the grant is for somebody known");
    let mut claims = person.all_claims();
    for omitted in &books.behaviour.id_token_omits {
        claims.remove(omitted);
    }
    let now = now() + books.behaviour.clock_ahead;
    let mut set = |name: &str, value| claims.insert(name.to_owned(), value);
    set("iss", json!(desk.issuer));
    set("aud", json!(books.behaviour.client_id));
    set("iat", json!(now));
    set("exp", json!(now + 3600));
    set("at_hash", json!(key.access_token_hash(occasion.access_token)));
    if let Some(nonce) = &occasion.nonce {
        set("nonce", json!(nonce));
    }
    claims
}

fn spoil_claims(claims: &mut Map<String, Value>, wrong: &Misbehaviour, occasion: &Occasion<'_>, now: i64) {
    let at_refresh = occasion.at_refresh;
    let ours = claims["aud"].clone();
    let issuer = claims["iss"].clone();
    let mut set = |name: &str, value| drop(claims.insert(name.to_owned(), value));
    match wrong {
        Misbehaviour::WrongIssuer => set("iss", json!("http://another.example.com")),
        Misbehaviour::IssuerSpelledDifferently => {
            set("iss", json!(format!("{}/", issuer.as_str().unwrap_or_default())));
        }
        Misbehaviour::WrongAudience => set("aud", json!("another-client")),
        Misbehaviour::SecondAudience => set("aud", json!([ours, "another-client"])),
        Misbehaviour::AuthorizedParty(party) => set("azp", json!(party)),
        Misbehaviour::WrongNonce => set("nonce", json!("another-nonce")),
        Misbehaviour::NoNonce => drop(claims.remove("nonce")),
        Misbehaviour::NoSubject => drop(claims.remove("sub")),
        Misbehaviour::EmptySubject => set("sub", json!("")),
        Misbehaviour::NoIssuedAt => drop(claims.remove("iat")),
        Misbehaviour::NoExpiry => drop(claims.remove("exp")),
        Misbehaviour::Expired => set("exp", json!(now - 10)),
        Misbehaviour::NotYetValid => set("nbf", json!(now + 100)),
        Misbehaviour::IssuedInTheFuture => set("iat", json!(now + 100)),
        Misbehaviour::WrongAccessTokenHash => set("at_hash", json!("bm90IHRoZSBoYXNoIQ")),
        Misbehaviour::VastToken => set("padding", json!("x".repeat(1024 * 1024))),
        Misbehaviour::SubjectChangesOnRefresh if at_refresh => set("sub", json!("mallory")),
        Misbehaviour::IssuerChangesOnRefresh if at_refresh => set("iss", json!("http://another.example.com")),
        _ => {}
    }
}

fn with_signature(header: &Value, claims: &Value, signature: &[u8]) -> String {
    format!("{}.{}", signing_input(header, claims), URL_SAFE_NO_PAD.encode(signature))
}
