//! The token and userinfo endpoints.

use std::{
    future::pending,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    Books, Desk,
    behaviour::{AuthMethod, Behaviour, CertifiedClient, Misbehaviour},
    record::Recorded,
    server::{Answer, answer, redirect},
};

mod id_token;

/// What a code was issued for; it is good for one use.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) sub: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) sub: String,
    pub(crate) scope: String,
}

pub(crate) async fn token(desk: &Desk, asked: &Recorded) -> Answer {
    let misbehaviour = desk.books().behaviour.misbehaviour.clone();
    match misbehaviour {
        Some(Misbehaviour::TokenEndpointHangs) => pending().await,
        Some(Misbehaviour::TokenEndpointFails) => return answer(500, &json!({"message": "out of order"})),
        Some(Misbehaviour::TokenEndpointRedirectsTo(location)) => return redirect(&location),
        Some(Misbehaviour::RefusesWithServerError) => return answer(500, &json!({"error": "invalid_grant"})),
        Some(Misbehaviour::TokenEndpointRefuses(code)) => return refusal(&code, asked),
        _ => {}
    }
    let mut books = desk.books();
    if !authenticated(&books.behaviour, asked, &desk.issuer) {
        return refusal("invalid_client", asked);
    }
    match asked.form("grant_type") {
        Some("authorization_code") => redeem(desk, &mut books, asked),
        Some("refresh_token") => refresh(desk, &mut books, asked),
        _ => refusal("unsupported_grant_type", asked),
    }
}

fn redeem(desk: &Desk, books: &mut Books, asked: &Recorded) -> Answer {
    let Some(code) = asked.form("code").and_then(|code| books.codes.remove(code)) else {
        return refusal("invalid_grant", asked);
    };
    let proven = match (&code.challenge, asked.form("code_verifier")) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => *challenge == challenge_of(verifier),
        _ => false,
    };
    if !proven || asked.form("redirect_uri") != Some(&code.redirect_uri) {
        return refusal("invalid_grant", asked);
    }
    reply(desk, books, Grant { sub: code.sub, scope: code.scope }, Some(code.nonce))
}

fn refresh(desk: &Desk, books: &mut Books, asked: &Recorded) -> Answer {
    let sent = asked.form("refresh_token").unwrap_or_default().to_owned();
    let Some(grant) = books.refresh_tokens.get(&sent).cloned() else { return refusal("invalid_grant", asked) };
    if !books.behaviour.find(&grant.sub).is_some_and(|person| person.enabled) {
        return refusal("invalid_grant", asked);
    }
    if books.behaviour.rotate_refresh_tokens {
        books.refresh_tokens.remove(&sent);
    }
    reply(desk, books, grant, None)
}

/// `nonce` is the request's at a sign-in, and `None` at a refresh.
fn reply(desk: &Desk, books: &mut Books, grant: Grant, nonce: Option<Option<String>>) -> Answer {
    let access_token = fresh("access");
    let mut body = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": grant.scope,
    });
    let behaviour = &books.behaviour;
    let at_refresh = nonce.is_none();
    if !matches!(behaviour.misbehaviour, Some(Misbehaviour::NoIdToken))
        && (!at_refresh || behaviour.id_token_on_refresh)
    {
        let occasion =
            id_token::Occasion { sub: &grant.sub, nonce: nonce.flatten(), access_token: &access_token, at_refresh };
        body["id_token"] = json!(id_token::issue(desk, books, occasion));
    }
    let offline = grant.scope.split(' ').any(|scope| scope == "offline_access");
    if behaviour.refresh_tokens && offline && (!at_refresh || behaviour.rotate_refresh_tokens) {
        let refresh_token = fresh("refresh");
        body["refresh_token"] = json!(refresh_token);
        books.refresh_tokens.insert(refresh_token, grant.clone());
    }
    books.access_tokens.insert(access_token, grant.sub);
    answer(200, &body)
}

pub(crate) async fn userinfo(desk: &Desk, asked: &Recorded) -> Answer {
    let misbehaviour = desk.books().behaviour.misbehaviour.clone();
    match misbehaviour {
        Some(Misbehaviour::UserinfoHangs) => pending().await,
        Some(Misbehaviour::UserinfoFails) => return answer(502, &json!({})),
        _ => {}
    }
    let books = desk.books();
    let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let person = books.access_tokens.get(bearer).and_then(|sub| books.behaviour.find(sub));
    let Some(person) = person else { return answer(401, &json!({"error": "invalid_token"})) };
    let mut claims = person.all_claims();
    if misbehaviour == Some(Misbehaviour::UserinfoOfSomebodyElse) {
        claims.insert("sub".to_owned(), json!("mallory"));
        claims.insert("groups".to_owned(), json!(["admins"]));
    }
    answer(200, &Value::Object(claims))
}

/// Quotes all it was sent, as some providers do: a client must not pass that on to its log.
fn refusal(code: &str, asked: &Recorded) -> Answer {
    let status = if code == "invalid_client" { 401 } else { 400 };
    let quoted: Vec<_> = asked.form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    answer(status, &json!({"error": code, "error_description": format!("{code}: {}", quoted.join(" "))}))
}

fn authenticated(behaviour: &Behaviour, asked: &Recorded, issuer: &str) -> bool {
    let method = if asked.header("authorization").is_some() {
        AuthMethod::Basic
    } else if asked.form("client_assertion").is_some() {
        AuthMethod::PrivateKeyJwt
    } else {
        AuthMethod::Post
    };
    let known = match method {
        AuthMethod::Basic => {
            basic_pair(asked) == Some((behaviour.client_id.clone(), behaviour.client_secret.clone()))
                && asked.form("client_secret").is_none()
        }
        AuthMethod::Post => {
            asked.form("client_id") == Some(&behaviour.client_id)
                && asked.form("client_secret") == Some(&behaviour.client_secret)
        }
        AuthMethod::PrivateKeyJwt => behaviour.certificate.as_ref().is_some_and(|client| {
            asked.form("client_secret").is_none() && assertion_holds(client, &behaviour.client_id, asked, issuer)
        }),
    };
    known && behaviour.auth_methods.contains(&method)
}

fn basic_pair(asked: &Recorded) -> Option<(String, String)> {
    let encoded = asked.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    // A form with the one name that is decoded like any other.
    let decoded = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((decoded(id)?, decoded(secret)?))
}

/// RFC 7523, and the certificate found by its thumbprints.
fn assertion_holds(client: &CertifiedClient, client_id: &str, asked: &Recorded, issuer: &str) -> bool {
    let assertion = asked.form("client_assertion").unwrap_or_default();
    let typed = asked.form("client_assertion_type") == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let Ok(header) = jsonwebtoken::decode_header(assertion) else { return false };
    let thumbprint = |algorithm| Some(URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &client.certificate_der)));
    let named = header.x5t == thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY)
        && header.x5t_s256 == thumbprint(&digest::SHA256)
        && header.kid.is_none();
    let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&[format!("{issuer}/token")]);
    validation.set_issuer(&[client_id]);
    validation.sub = Some(client_id.to_owned());
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let key = DecodingKey::from_rsa_pem(client.public_key_pem.as_bytes()).expect("the registered key is one");
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &validation);
    let fresh = claims.is_ok_and(|token| {
        let lifetime = token.claims["exp"].as_i64().zip(token.claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
        token.claims["jti"].is_string() && lifetime.is_some_and(|seconds| seconds <= 600)
    });
    typed && named && fresh
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

pub(crate) fn fresh(kind: &str) -> String {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).expect("the machine has randomness");
    format!("{kind}-{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[expect(clippy::disallowed_methods, reason = "the provider is another machine, with a clock of its own")]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the end of time")
}
