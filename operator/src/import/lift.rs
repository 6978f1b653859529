//! Takes the secrets out of the file's tree: what becomes a key of a Secret, and stand-ins for what is not known here, so that
//! the rest can be judged as a gateway would judge it.

use std::collections::BTreeMap;

use gateway_config::references;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Object;

/// What the service account's key is called while it is not known.
pub(super) const SERVICE_ACCOUNT_FILE: &str = "/stand-in/service-account.json";
/// What stands in a Secret for a value that its owner has to fill in.
pub(super) const FILL_IN: &str = "FILL-IN";

/// A value of the file that belongs into a Secret.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) value: SecretString,
    /// What the file names in its place, each as it stands there; empty where the value itself stood in the file.
    pub(super) references: Vec<String>,
}

/// By the path in the file, as `upstreams[0].auth.api_key`.
pub(super) type Lifted = BTreeMap<String, Kept>;

/// What the tree holds in place of a value that is not known.
#[derive(Clone, Copy)]
enum For {
    /// Long enough for whatever needs a length, and like no other.
    Word,
    DatabaseUrl,
    /// Nothing: the key may be left out.
    Authority,
    /// The path of a file, which is not read.
    Path,
}

/// `[]` stands for each entry of a list, `{}` for each key of a mapping.
const SECRET: &[(&str, For)] = &[
    ("oidc.client_secret", For::Word),
    ("oidc.ca_cert_pem", For::Authority),
    ("oidc.google_groups.service_account_json_path", For::Path),
    ("store.postgres_url", For::DatabaseUrl),
    ("store.username", For::Word),
    ("store.password", For::Word),
    ("store.ca_cert_pem", For::Authority),
    ("upstreams[].auth.api_key", For::Word),
    ("upstreams[].auth.oauth_token", For::Word),
    ("upstreams[].auth.identity_token_file", For::Word),
    ("upstreams[].headers.{}", For::Word),
    ("upstreams[].ca_cert_pem", For::Authority),
    ("admin.write_keys[].key", For::Word),
    ("admin.read_keys[].key", For::Word),
];

/// Whether key and certificate of the client were taken out: they are judged together, so stand-ins would not do.
pub(super) fn lift(tree: &mut Value) -> (Lifted, bool) {
    let mut lifted = Lifted::new();
    let assertion = assertion(tree, &mut lifted);
    tls(tree, &mut lifted);
    for (pattern, stand_in) in SECRET {
        let steps: Vec<&str> = pattern.split('.').collect();
        visit(tree, &steps, String::new(), &mut |path, parent, key| take(&mut lifted, path, (parent, key), *stand_in));
    }
    signing_keys(tree);
    (lifted, assertion)
}

fn visit(value: &mut Value, steps: &[&str], path: String, take: &mut dyn FnMut(String, &mut Object, &str)) {
    let (Some((step, rest)), Some(object)) = (steps.split_first(), value.as_object_mut()) else { return };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    if *step == "{}" {
        let keys: Vec<String> = object.keys().cloned().collect();
        keys.iter().for_each(|key| take(below(key), object, key));
    } else if let Some(list) = step.strip_suffix("[]") {
        let items = object.get_mut(list).and_then(Value::as_array_mut);
        for (at, item) in items.into_iter().flatten().enumerate() {
            visit(item, rest, format!("{}[{at}]", below(list)), take);
        }
    } else if rest.is_empty() {
        take(below(step), object, step);
    } else if let Some(inner) = object.get_mut(*step) {
        visit(inner, rest, below(step), take);
    }
}

fn take(lifted: &mut Lifted, path: String, (parent, key): (&mut Object, &str), stand_in: For) {
    // What is no text, or holds a broken reference, is complained about by whoever judges the file.
    let Some(kept) = parent.get(key).and_then(Value::as_str).and_then(|text| kept(text, stand_in)) else { return };
    let number = lifted.len();
    if !kept.references.is_empty() {
        match stand_in {
            For::Word => drop(parent.insert(key.to_owned(), format!("stand-in-{number:032}").into())),
            For::DatabaseUrl => drop(parent.insert(key.to_owned(), "postgres://stand-in/stand-in".into())),
            For::Authority => drop(parent.shift_remove(key)),
            For::Path => drop(parent.insert(key.to_owned(), SERVICE_ACCOUNT_FILE.into())),
        }
    }
    lifted.insert(path, kept);
}

fn kept(text: &str, stand_in: For) -> Option<Kept> {
    if matches!(stand_in, For::Path) {
        references(text)?;
        return Some(Kept { value: FILL_IN.into(), references: vec![text.to_owned()] });
    }
    let references = references(text)?;
    let whole = references.first().is_some_and(|first| first == text.trim());
    let value = if whole { FILL_IN.to_owned() } else { filled(text) };
    Some(Kept { value: value.into(), references })
}

/// `Bearer ${TOKEN}` as `Bearer FILL-IN-TOKEN`.
fn filled(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |filled, part| {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        format!("{filled}{FILL_IN}-{name}{rest}")
    })
}

fn assertion(tree: &mut Value, lifted: &mut Lifted) -> bool {
    let Some(oidc) = tree.get_mut("oidc").and_then(Value::as_object_mut) else { return false };
    let Some(pair) = oidc.get("client_assertion").and_then(Value::as_object) else { return false };
    let found: Vec<_> = ["private_key_pem", "certificate_pem"]
        .into_iter()
        .filter_map(|key| Some((key, kept(pair.get(key)?.as_str()?, For::Word)?)))
        .collect();
    let is_unknown = found.len() == 2 && found.iter().any(|(_, kept)| !kept.references.is_empty());
    for (key, kept) in found {
        lifted.insert(format!("oidc.client_assertion.{key}"), kept);
    }
    let is_alone = !oidc.contains_key("client_secret");
    if is_unknown
        && is_alone
        && oidc.get("token_endpoint_auth_method").and_then(Value::as_str) == Some("private_key_jwt")
    {
        oidc.shift_remove("client_assertion");
        oidc.shift_remove("token_endpoint_auth_method");
        oidc.insert("client_secret".to_owned(), "stand-in".into());
        return true;
    }
    false
}

/// Their files are not read: whoever imports need not be on the machine that serves.
fn tls(tree: &mut Value, lifted: &mut Lifted) {
    let Some(listen) = tree.get_mut("listen").and_then(Value::as_object_mut) else { return };
    let is_whole = listen.get("tls").is_some_and(|tls| tls["cert"].is_string() && tls["key"].is_string());
    let Some(tls) = listen.get("tls").filter(|_| is_whole).cloned() else { return };
    for key in ["cert", "key"] {
        if let Some(kept) = tls[key].as_str().and_then(|path| kept(path, For::Path)) {
            lifted.insert(format!("listen.tls.{key}"), kept);
        }
    }
    listen.shift_remove("tls");
}

/// They have no place in the objects, whatever they are.
fn signing_keys(tree: &mut Value) {
    let Some(secret) = tree.pointer_mut("/session/jwt_secret") else { return };
    let mut number = 0;
    let mut hide = |value: &mut Value| {
        if value.as_str().and_then(references).is_some_and(|found| !found.is_empty()) {
            number += 1;
            *value = format!("stand-in-{number:032}").into();
        }
    };
    match secret {
        Value::Array(secrets) => secrets.iter_mut().for_each(hide),
        one => hide(one),
    }
}

/// User and password of a URL that stood in the file itself.
pub(super) fn credentials(url: &Kept) -> (Option<String>, Option<String>) {
    let Some(url) = Some(url).filter(|url| url.references.is_empty()) else { return (None, None) };
    let Ok(url) = url::Url::parse(url.value.expose_secret()) else { return (None, None) };
    let plain =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let username = Some(url.username()).filter(|name| !name.is_empty()).and_then(plain);
    (username, url.password().and_then(plain))
}
