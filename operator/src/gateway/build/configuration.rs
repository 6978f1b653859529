//! The two Secrets: `gateway.yaml` with what only pods of this gateway may know, and the keys that sign.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::named;
use crate::{
    gateway::{
        keys::{Entry, KeySet, KeysError},
        kinds,
        login::StandingLogin,
        rendering,
        validate::{PodRole, ValidatedGateway},
    },
    store::PodLogin,
};

const FILE: &str = "gateway.yaml";
const LOGIN_NAME: &str = "store-username";
/// RFC 3339.
const LOGIN_SINCE: &str = "store-login-since";
pub const LOGIN_PASSWORD: &str = "store-password";
/// The order of the keys and since when each does what: beside the keys, so that one write changes both.
const ORDER: &str = "order";

/// What the Secrets hold already.
#[derive(Debug, Default)]
pub struct Held {
    pub login: Option<StandingLogin>,
    pub keys: Option<KeySet>,
}

/// # Errors
/// Keys that are there and cannot be read: others in their place would end every session.
pub fn held(config: Option<&Secret>, keys: Option<&Secret>, now: Timestamp) -> Result<Held, KeysError> {
    let login = config.and_then(|secret| {
        let (username, password) = (text(secret, LOGIN_NAME)?, text(secret, LOGIN_PASSWORD)?);
        // Where nobody has said since when, it counts from now.
        let since = text(secret, LOGIN_SINCE).and_then(|since| since.parse().ok()).unwrap_or(now);
        Some(StandingLogin { login: PodLogin { username, password: password.into() }, since })
    });
    let keys = keys.map(|secret| {
        let order = text(secret, ORDER).ok_or(KeysError::Damaged("it does not say the keys' order"))?;
        let order: Vec<Entry> =
            serde_json::from_str(&order).map_err(|_| KeysError::Damaged("the keys' order cannot be read"))?;
        KeySet::read(&order, |id| text(secret, id))
    });
    Ok(Held { login, keys: keys.transpose()? })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

/// Who pods are at the database, and the file that holds their password.
pub(super) fn pod_login(gateway: &ValidatedGateway, login: Option<&StandingLogin>) -> Option<(String, String)> {
    match &gateway.pod_role {
        PodRole::Given { username, password_path } => Some((username.clone(), password_path.clone())),
        PodRole::Made => {
            let StandingLogin { login, since: _ } = login?;
            Some((login.username.clone(), format!("{}/{LOGIN_PASSWORD}", rendering::CONFIG)))
        }
    }
}

pub(super) fn config(gateway: &ValidatedGateway, file: &Value, login: Option<&StandingLogin>) -> Secret {
    // What JSON says, YAML says too.
    let mut data: BTreeMap<_, _> = [(FILE.to_owned(), ByteString(format!("{file:#}\n").into_bytes()))].into();
    if let (PodRole::Made, Some(StandingLogin { login, since })) = (&gateway.pod_role, login) {
        let PodLogin { username, password } = login;
        data.insert(LOGIN_SINCE.to_owned(), ByteString(since.to_string().into_bytes()));
        data.insert(LOGIN_NAME.to_owned(), ByteString(username.clone().into_bytes()));
        data.insert(LOGIN_PASSWORD.to_owned(), ByteString(password.expose_secret().to_owned().into_bytes()));
    }
    Secret {
        metadata: named(&kinds::config(&gateway.identity.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

pub(super) fn keys(gateway: &ValidatedGateway, keys: &KeySet) -> Secret {
    let order = serde_json::to_vec(&keys.entries()).unwrap_or_default();
    let mut data: BTreeMap<_, _> = [(ORDER.to_owned(), ByteString(order))].into();
    for key in keys.keys() {
        data.insert(key.id.clone(), ByteString(key.secret.expose_secret().to_owned().into_bytes()));
    }
    Secret {
        metadata: named(&kinds::keys(&gateway.identity.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
