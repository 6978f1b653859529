use std::sync::Mutex;

use chrono::Duration;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::session::revocations::{Revocation, Revoked};

const SECRET: &str = "a secret of this gateway, long enough to sign with";

struct Hands(Mutex<DateTime<Utc>>);

impl Hands {
    fn turn(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

struct Gateway {
    keys: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    clock: Arc<Hands>,
    verifier: Arc<Verifier>,
}

fn url(text: &str) -> PublicUrl {
    PublicUrl::from_origin(text.parse().unwrap())
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 250_000_000).unwrap()
}

fn gateway() -> Gateway {
    let keys = KeyRing::new(&[SecretString::from(SECRET)]).unwrap();
    let revocations = Arc::new(Revocations::default());
    let clock = Arc::new(Hands(Mutex::new(start())));
    let verifier = Verifier::new(keys.clone(), revocations.clone(), url("https://gateway.example"), clock.clone());
    Gateway { keys, revocations, clock, verifier }
}

fn person() -> Person {
    Person {
        sub: Subject("u-1".into()),
        email: Some("ada@example.com".into()),
        name: None,
        groups: vec!["eng".into(), "ops".into()],
    }
}

fn somebody() -> Admitted {
    Admitted::to_be(SessionId::from_bytes([1; 16]), person(), start(), start() + Duration::seconds(3600))
}

fn token(keys: &KeyRing, issuer: &str) -> String {
    mint(keys, &url(issuer), start(), somebody()).unwrap()
}

fn encode(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Signs whatever it is given with the gateway's own secret.
fn signed(header: &str, payload: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", encode(hmac::sign(&key, text.as_bytes())))
}

fn own_header(gateway: &Gateway) -> String {
    format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#, gateway.keys.ids()[0])
}

fn own_claims() -> Value {
    json!({
        "iss": "https://gateway.example", "aud": "claude-gateway", "sub": "u-1", "groups": [],
        "iat": start().timestamp(), "exp": start().timestamp() + 3600,
        "sid": SessionId::from_bytes([1; 16]), "sst": start().timestamp_micros(),
    })
}

#[test]
fn a_fresh_token_is_admitted_with_all_that_was_minted() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    for _ in 0..2 {
        let admitted = gateway.verifier.admit(&token).unwrap();
        assert_eq!(admitted.person(), &person());
        assert_eq!(admitted.session(), &SessionId::from_bytes([1; 16]));
        assert_eq!(admitted.started_at(), start());
        assert_eq!(admitted.expires_at().timestamp(), start().timestamp() + 3600);
    }
}

#[test]
fn a_token_that_was_just_verified_still_expires() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    assert!(gateway.verifier.admit(&token).is_ok());
    gateway.clock.turn(Duration::seconds(3601));
    assert_eq!(gateway.verifier.admit(&token), Err(BearerRefusal::Expired));
    assert!(gateway.verifier.authentic(&token).is_ok(), "sign-out with it still ends the session");
}

#[test]
fn a_token_that_was_just_verified_is_still_revoked() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    assert!(gateway.verifier.admit(&token).is_ok());
    gateway.revocations.add(Revocation { sequence: 1, revoked: Revoked::Everyone, cut_off: start() });
    assert_eq!(gateway.verifier.admit(&token), Err(BearerRefusal::Revoked));
}

#[test]
fn a_token_that_was_just_verified_goes_with_its_key() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    assert!(gateway.verifier.admit(&token).is_ok());
    gateway.keys.reload(&["the next secret, which signs from now on, and long".into(), SECRET.into()]).unwrap();
    assert!(gateway.verifier.admit(&token).is_ok(), "the old key still verifies");
    gateway.keys.reload(&["the next secret, which signs from now on, and long".into()]).unwrap();
    assert_eq!(gateway.verifier.admit(&token), Err(BearerRefusal::UnknownKey));
}

#[test]
fn a_verified_signature_admits_no_other_text() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    assert!(gateway.verifier.admit(&token).is_ok());
    let (_, signature) = token.rsplit_once('.').unwrap();
    let mut claims = own_claims();
    claims["sub"] = "somebody else".into();
    let forged = format!("{}.{}.{signature}", encode(own_header(&gateway)), encode(claims.to_string()));
    assert_eq!(gateway.verifier.admit(&forged), Err(BearerRefusal::BadSignature));
}

/// Catalogue S2: the JWT confusion set.
#[test]
fn no_confused_token_is_admitted() {
    let gateway = gateway();
    let header = own_header(&gateway);
    let kid = gateway.keys.ids()[0].clone();
    let claims = own_claims().to_string();
    assert!(gateway.verifier.admit(&signed(&header, &claims)).is_ok(), "the honest twin of every row below");
    let without = |name: &str| {
        let mut claims = own_claims();
        claims.as_object_mut().unwrap().remove(name);
        claims.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut claims = own_claims();
        claims[name] = value;
        claims.to_string()
    };
    let headed = |header: Value| signed(&header.to_string(), &claims);
    let honest = signed(&header, &claims);
    let (text, _) = honest.rsplit_once('.').unwrap();
    let foreign = KeyRing::new(&["the secret of quite another gateway, also long".into()]).unwrap();

    let rows: Vec<(&str, String)> = vec![
        ("alg none", headed(json!({"alg": "none", "typ": "JWT", "kid": kid}))),
        ("alg nOnE", headed(json!({"alg": "nOnE", "typ": "JWT", "kid": kid}))),
        ("alg none, unsigned", format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims))),
        ("the signature cut off", format!("{text}.")),
        ("the signature and its dot cut off", text.to_owned()),
        ("RS256 where the secret is no RSA key", headed(json!({"alg": "RS256", "typ": "JWT", "kid": kid}))),
        ("HS384", headed(json!({"alg": "HS384", "typ": "JWT", "kid": kid}))),
        ("hs256 in small letters", headed(json!({"alg": "hs256", "typ": "JWT", "kid": kid}))),
        ("no kid", headed(json!({"alg": "HS256", "typ": "JWT"}))),
        ("kid as a path", headed(json!({"alg": "HS256", "typ": "JWT", "kid": "../../../../dev/null"}))),
        ("kid as SQL", headed(json!({"alg": "HS256", "typ": "JWT", "kid": "x' UNION SELECT 'key"}))),
        ("kid as a URL", headed(json!({"alg": "HS256", "typ": "JWT", "kid": "https://attacker.example/key"}))),
        ("jku", headed(json!({"alg": "HS256", "typ": "JWT", "kid": kid, "jku": "https://attacker.example/jwks"}))),
        ("x5u", headed(json!({"alg": "HS256", "typ": "JWT", "kid": kid, "x5u": "https://attacker.example/cert"}))),
        ("jwk", headed(json!({"alg": "HS256", "typ": "JWT", "kid": kid, "jwk": {"kty": "oct", "k": "AAAA"}}))),
        ("crit", headed(json!({"alg": "HS256", "typ": "JWT", "kid": kid, "crit": ["exp"]}))),
        ("b64 false", headed(json!({"alg": "HS256", "typ": "JWT", "kid": kid, "b64": false, "crit": ["b64"]}))),
        ("ES256 with r = s = 0", format!("{}.{}.{}", encode(r#"{"alg":"ES256"}"#), encode(&claims), encode([0; 64]))),
        ("a wrong typ", headed(json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}))),
        ("a header with a duplicate alg", signed(&header.replacen('{', r#"{"alg":"none","#, 1), &claims)),
        ("a nested token", signed(&header, &honest)),
        ("a token in JSON serialisation", json!({"payload": encode(&claims), "signatures": []}).to_string()),
        ("a JWE", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiemlwIjoiREVGIn0..AAAA.AAAA.AAAA".to_owned()),
        ("a megabyte", format!("{}.{}.{}", encode(&header), "A".repeat(1 << 20), encode([0; 32]))),
        ("a duplicate sub", signed(&header, &claims.replacen('{', r#"{"sub":"admin","#, 1))),
        ("a duplicate exp", signed(&header, &claims.replacen('{', r#"{"exp":9999999999,"#, 1))),
        ("audience in an array", signed(&header, &with("aud", json!(["claude-gateway"])))),
        ("another audience", signed(&header, &with("aud", json!("another")))),
        ("another issuer", signed(&header, &with("iss", json!("https://gateway.example.attacker.example")))),
        ("an issuer with a slash more", signed(&header, &with("iss", json!("https://gateway.example/")))),
        ("no exp", signed(&header, &without("exp"))),
        ("exp as text", signed(&header, &with("exp", json!("9999999999")))),
        ("exp beyond all time", signed(&header, &with("exp", json!(i64::MAX)))),
        ("no audience", signed(&header, &without("aud"))),
        ("no issuer", signed(&header, &without("iss"))),
        ("no subject", signed(&header, &without("sub"))),
        ("no session, as in an id_token", signed(&header, &without("sid"))),
        ("no session start", signed(&header, &without("sst"))),
        ("a token of another gateway", token(&foreign, "https://gateway.example")),
        ("a token of this secret for another URL", token(&gateway.keys, "https://other.example")),
        ("padding", format!("{honest}=")),
        ("a trailing dot", format!("{honest}.")),
        ("a leading space", format!(" {honest}")),
        ("nothing", String::new()),
        ("two dots", "..".to_owned()),
    ];
    for (line, token) in rows {
        assert!(gateway.verifier.admit(&token).is_err(), "S2, {line}: admitted");
    }
}

#[test]
fn every_changed_character_of_a_token_is_noticed() {
    let gateway = gateway();
    let token = token(&gateway.keys, "https://gateway.example");
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(gateway.verifier.admit(&changed).is_err(), "the change at {at} passed");
    }
}

#[test]
fn a_bearer_is_read_from_its_header_and_nothing_else_is() {
    assert_eq!(bearer(None), Err(BearerRefusal::Missing));
    assert_eq!(bearer(Some(b"Bearer abc")), Ok("abc"));
    assert_eq!(bearer(Some(b"bearer  abc ")), Ok("abc"));
    for wrong in [&b""[..], b"abc", b"Bearer", b"Bearer ", b"Basic abc", b"Bearer \xff"] {
        assert_eq!(bearer(Some(wrong)), Err(BearerRefusal::Malformed));
    }
}

#[test]
fn only_a_refusal_that_time_cannot_mend_is_final() {
    assert!(BearerRefusal::Expired.is_final() && BearerRefusal::Revoked.is_final());
    assert!(!BearerRefusal::UnknownKey.is_final() && !BearerRefusal::Malformed.is_final());
}
