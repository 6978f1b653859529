//! What the provider publishes: its metadata and its keys.

use serde_json::{Value, json};

use super::{
    Desk,
    behaviour::{AuthMethod, Misbehaviour},
    server::{Answer, answer, redirect},
};

const SYMMETRIC_SECRET: &[u8] = b"a key set is no place for secrets";
pub(crate) const SYMMETRIC_KEY_ID: &str = "symmetric";

pub(crate) fn metadata(desk: &Desk) -> Answer {
    let books = desk.books();
    let behaviour = &books.behaviour;
    if let Some(Misbehaviour::DiscoveryRedirectsTo(location)) = &behaviour.misbehaviour {
        return redirect(location);
    }
    let issuer = match behaviour.misbehaviour {
        Some(Misbehaviour::DiscoveryForAnotherIssuer) => "http://another.example.com",
        _ => &desk.issuer,
    };
    let endpoint = |path: &str| match &behaviour.misbehaviour {
        Some(Misbehaviour::EndpointsAt(elsewhere)) if path != "/authorize" => elsewhere.clone(),
        _ => format!("{}{path}", desk.issuer),
    };
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": endpoint("/authorize"),
        "token_endpoint": endpoint("/token"),
        "jwks_uri": endpoint("/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "id_token_signing_alg_values_supported": [behaviour.algorithm.as_str()],
        "code_challenge_methods_supported": ["S256"],
    });
    if behaviour.userinfo {
        metadata["userinfo_endpoint"] = json!(endpoint("/userinfo"));
    }
    if behaviour.advertise_auth_methods {
        let methods: Vec<_> = behaviour.auth_methods.iter().copied().map(AuthMethod::as_str).collect();
        metadata["token_endpoint_auth_methods_supported"] = json!(methods);
    }
    if behaviour.names_itself_in_callback {
        metadata["authorization_response_iss_parameter_supported"] = json!(true);
    }
    answer(200, &metadata)
}

pub(crate) fn key_set(desk: &Desk) -> Answer {
    let books = desk.books();
    let mut keys: Vec<Value> = books.keys.iter().map(|key| key.jwk(books.behaviour.key_ids)).collect();
    match &books.behaviour.misbehaviour {
        Some(Misbehaviour::KeySetRedirectsTo(location)) => return redirect(location),
        Some(Misbehaviour::KeySetFails) => return answer(503, &json!({})),
        Some(Misbehaviour::HugeKeySet) => {
            let key = keys[0].clone();
            keys.extend(std::iter::repeat_n(key, 20_000));
        }
        Some(Misbehaviour::SymmetricKeyInKeySet) => keys.push(symmetric_key()),
        _ => {}
    }
    answer(200, &json!({ "keys": keys }))
}

fn symmetric_key() -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    json!({"kty": "oct", "kid": SYMMETRIC_KEY_ID, "k": URL_SAFE_NO_PAD.encode(SYMMETRIC_SECRET), "alg": "HS256"})
}

pub(crate) fn symmetric_secret() -> &'static [u8] {
    SYMMETRIC_SECRET
}
