//! From a file to objects and back: what the operator renders of the objects says what the file said.

mod arbitrary;
mod cluster;

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::json;

use self::cluster::{Cluster, assert_same};
use super::*;

const CERTIFICATE: &str = include_str!("../../../gateway/config/tests/config/fixtures/client.crt");
const KEY: &str = include_str!("../../../gateway/config/tests/config/fixtures/client.key");
const COMPLETE: &str = include_str!("../../../gateway/config/tests/config/complete.yaml");
const NOT_YET: &str = include_str!("../../../gateway/config/tests/config/not_yet.yaml");

struct InMemory(BTreeMap<PathBuf, Vec<u8>>);

impl Files for InMemory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn files() -> InMemory {
    let pairs = [
        ("/tls/tls.crt", CERTIFICATE),
        ("/tls/tls.key", KEY),
        ("/run/google.json", r#"{"client_email": "a@b", "private_key": "k"}"#),
        ("/run/jwt", "a-secret-of-32-bytes-or-more-in-a-file"),
    ];
    InMemory(pairs.map(|(path, text)| (path.into(), text.as_bytes().to_vec())).into())
}

fn environment() -> Environment {
    let pairs = [
        ("CLIENT_SECRET", "canary-client-secret"),
        ("JWT_SECRET", "canary-jwt-secret-of-32-bytes-or-more"),
        ("API_KEY", "canary-api-key"),
        ("PORT", "9000"),
        ("CERTIFICATE", CERTIFICATE),
        ("CLIENT_KEY", KEY),
        ("ISSUER", "https://idp.example.com"),
    ];
    pairs.into_iter().collect()
}

fn wishes() -> Wishes {
    Wishes { name: "claude".to_owned(), namespace: Some("team".to_owned()), host: None }
}

fn imported(text: &str) -> Imported {
    import(text, &environment(), &files(), &wishes()).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn refused(text: &str, environment: &Environment) -> String {
    import(text, environment, &files(), &wishes()).map(|imported| imported.objects).unwrap_err().to_string()
}

/// The objects as an API server would read them.
fn objects(imported: &Imported) -> Vec<Value> {
    let parts = format!("\n{}", imported.objects);
    let parts = parts.split("\n---\n").skip(1);
    parts
        .map(|part| gateway_config::tree(part).map(Value::Object).unwrap_or_else(|errors| panic!("{errors}\n{part}")))
        .collect()
}

fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

/// What `${…}` stood for, by the key that waits for it.
fn filled(place: &str) -> Option<String> {
    let value = match place {
        "claude-oidc/client-secret" => "canary-client-secret",
        "claude-oidc/client.key" => KEY,
        "claude-oidc/service-account.json" => r#"{"client_email": "a@b", "private_key": "k"}"#,
        "claude-admin/terraform" => "canary-jwt-secret-of-32-bytes-or-more",
        "claude-admin/reporting" => "a-secret-of-32-bytes-or-more-in-a-file",
        "claude-tls/tls.crt" => CERTIFICATE,
        "claude-tls/tls.key" => KEY,
        _ if place.ends_with("ca.crt") || place.ends_with("client.crt") => CERTIFICATE,
        _ if place.starts_with("claude-upstreams/") => "canary-api-key",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Without what a cluster decides by itself, or has no place for.
fn comparable(text: &str) -> String {
    let mut tree = Value::Object(gateway_config::tree(text).unwrap());
    unplaced::take(&mut tree);
    tree.to_string()
}

#[test]
fn a_file_with_every_key_says_the_same_as_objects() {
    let imported = imported(COMPLETE);
    let cluster = Cluster::of(&imported, &filled);
    assert_same(&comparable(COMPLETE), &cluster, &environment(), &files());
    insta::assert_snapshot!("complete", imported.objects);
}

const LEAST: &str = "
listen: { public_url: https://gateway.example.com }
oidc: { issuer: https://idp.example.com, client_id: gateway, client_secret: inline-client-secret }
session: { jwt_secret: inline-signing-key-of-32-bytes-or-more }
store: { postgres_url: \"postgres://owner:inline-password@10.1.2.3/gateway\" }
upstreams:
  - { provider: anthropic, auth: { api_key: inline-api-key } }
";

fn with(section: &str, body: Value) -> Value {
    let mut tree = Value::Object(gateway_config::tree(LEAST).unwrap());
    let mut place = &mut tree;
    for step in section.split('.') {
        place = match step.parse::<usize>() {
            Ok(at) => &mut place[at],
            Err(_) => &mut place[step],
        };
    }
    *place = body;
    tree
}

#[test]
fn the_least_file_becomes_little() {
    let imported = imported(LEAST);
    assert!(imported.to_fill_in.is_empty());
    assert_same(LEAST, &Cluster::of(&imported, &|_| None), &environment(), &files());
    insta::assert_snapshot!("least", imported.objects);
}

#[test]
fn what_stood_secret_in_the_file_is_in_a_secret_and_in_no_comment() {
    let imported = imported(LEAST);
    let comments: String = imported.objects.lines().filter(|line| line.trim_start().starts_with('#')).collect();
    let gateway = of_kind(&objects(&imported), "ClaudeGateway")[0].to_string();
    for secret in ["inline-client-secret", "inline-signing-key", "inline-password", "inline-api-key"] {
        assert!(!comments.contains(secret) && !gateway.contains(secret), "{secret}");
    }
    assert!(!imported.objects.contains("inline-signing-key"), "no pod needs it");
    let wrong = LEAST.replace("api_key: inline-api-key", "api_key: inline-api-key, oauth_token: \"inline${token\"");
    let said = refused(&wrong, &environment());
    assert!(said.contains("upstreams[0].auth") && !said.contains("inline"), "{said}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut tree = with("oidc.isuer", json!("https://idp.example.com"));
    tree["store"]["postgres_url"] = json!("mysql://a");
    tree["upstreams"] = json!([]);
    let wishes = Wishes { name: "No Name".to_owned(), namespace: None, host: Some("a/b".to_owned()) };
    let said = import(&tree.to_string(), &environment(), &files(), &wishes).unwrap_err().to_string();
    for line in ["--name: ", "--host: ", "oidc.isuer: ", "store.postgres_url: ", "upstreams: "] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{line} {said}");
    }
}

#[test]
fn what_has_no_place_is_left_out_and_said() {
    let mut tree = gateway_config::tree(NOT_YET).unwrap();
    let least = gateway_config::tree(LEAST).unwrap();
    for section in ["listen", "oidc", "session", "store"] {
        tree.insert(section.to_owned(), least[section].clone());
    }
    let mut tree = Value::Object(tree);
    let all_clouds = refused(&tree.to_string(), &environment());
    assert!(all_clouds.starts_with("upstreams: none of them has a place"), "{all_clouds}");
    tree["upstreams"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "provider": "anthropic", "name": "direct", "auth": { "api_key": "key" } }));
    tree["models"] = json!([{ "id": "corp", "upstream_model": { "bearer": "a", "direct": "b" } }]);
    let imported = imported(&tree.to_string());
    let gateway = of_kind(&objects(&imported), "ClaudeGateway")[0].clone();
    let upstreams = gateway["spec"]["upstreams"].as_array().unwrap();
    assert_eq!((upstreams.len(), &upstreams[0]["name"], &upstreams[0]["priority"]), (1, &json!("direct"), &json!(7)));
    assert_eq!(gateway["spec"]["models"][0]["upstreamModel"], json!([{ "upstream": "direct", "id": "b" }]));
    let comments =
        imported.objects.lines().filter_map(|line| line.trim().strip_prefix("# ")).collect::<Vec<_>>().join(" ");
    for key in ["telemetry", "pricing", "load_test_mode", "admin.blocked_message", "upstreams[0]", "upstreams[6]"] {
        assert!(comments.contains(&format!("{key} is not taken over: ")), "{key}");
    }
}

#[test]
fn a_reference_that_is_no_secret_is_looked_up_now_and_one_that_is_waits() {
    let mut tree = with("oidc.issuer", json!("${ISSUER}"));
    tree["oidc"]["client_secret"] = json!("${NOT_SET_HERE}");
    tree["upstreams"][0]["headers"] = json!({ "X-Proxy": "Bearer ${NOR_THIS}" });
    let imported = imported(&tree.to_string());
    assert_eq!(imported.to_fill_in, ["claude-oidc/client-secret", "claude-upstreams/anthropic.x-proxy"]);
    assert!(imported.objects.contains("anthropic.x-proxy: \"Bearer FILL-IN-NOR_THIS\""), "{}", imported.objects);
    let gateway = of_kind(&objects(&imported), "ClaudeGateway")[0].clone();
    assert_eq!(gateway["spec"]["oidc"]["issuer"], "https://idp.example.com");
    assert!(imported.objects.contains("# oidc.issuer stood for ${ISSUER}"));
    let said = refused(&tree.to_string(), &Environment::default());
    assert!(said.starts_with("oidc.issuer: the variable ISSUER is not set") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_client_that_proves_itself_by_a_certificate_is_taken_over_unseen() {
    for (key, certificate) in [("${CLIENT_KEY}", "${CERTIFICATE}"), (KEY, CERTIFICATE)] {
        let oidc = json!({
            "issuer": "https://idp.example.com", "client_id": "gateway", "token_endpoint_auth_method": "private_key_jwt",
            "client_assertion": { "private_key_pem": key, "certificate_pem": certificate },
        });
        let text = with("oidc", oidc).to_string();
        assert_same(&text, &Cluster::of(&imported(&text), &filled), &environment(), &files());
    }
}

#[test]
fn a_gateway_at_home_needs_a_public_host() {
    let text = with("listen", json!({ "host": "127.0.0.1" })).to_string();
    let said = refused(&text, &environment());
    assert!(said.contains("listen.public_url") && said.contains("--host"), "{said}");
    let wishes = Wishes { host: Some("claude.example.com".to_owned()), ..wishes() };
    let imported = import(&text, &environment(), &files(), &wishes).unwrap();
    assert!(imported.objects.contains("publicUrl: \"https://claude.example.com\""), "{}", imported.objects);
}
