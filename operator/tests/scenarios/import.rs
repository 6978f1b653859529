//! `import`, by its command line: a file goes in, and a cluster takes what comes out.

use std::{fs, process::Stdio};

use e2e::cast::{gateway::built_binary, patience::eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::stage::Stage;

/// Some of nearly everything that a file may say.
fn file(stage: &Stage) -> Value {
    json!({
        "listen": { "host": "0.0.0.0", "port": 8443, "public_url": "https://claude.example.com", "trusted_proxies": ["10.0.0.0/8"],
            "tls": { "cert": "/tls/tls.crt", "key": "/tls/tls.key" }, "metrics": "0.0.0.0:9100" },
        "oidc": { "issuer": stage.provider.issuer(), "client_id": stage.provider.client_id(), "client_secret": "${OIDC_SECRET}",
            "allowed_email_domains": ["@Example.com", "example.com"], "allowed_groups": ["Engineering", "Engineering"],
            "email_claim": ["email", "/identity/upn"], "extra_auth_params": { "prompt": "consent" } },
        "session": { "jwt_secret": "${file:/run/jwt}", "ttl_hours": 0.5 },
        "store": { "postgres_url": stage.database_url, "max_connections": 7, "readiness": "strict" },
        "upstreams": [
            { "provider": "bedrock", "region": "us-east-1", "auth": {} },
            { "provider": "anthropic", "name": "Anthropic Direct", "auth": { "api_key": "an-api-key" },
                "headers": { "X-Team": "platform" }, "models": ["claude-*"] },
        ],
        "models": [{ "id": "corp", "label": "Corp", "upstream_model": { "Anthropic Direct": "claude-sonnet-5" } }],
        "access_control": { "deny_cidrs": ["192.0.2.7"] },
        "managed": { "policies": [
            { "name": "Contractors (EU)", "match": { "groups": ["contractors"] }, "limits": { "tokens_per_day": 5 },
                "code": { "env": { "A": "${NOT_A_REFERENCE}" }, "claudeMd": "# Rules\n\n- none: \"of\" them\n" } },
            { "match": { "email_domain": "example.com" }, "desktop": {}, "mode": "audit", "retention": { "upstream": "zero" } },
            { "match": {}, "code": { "cleanupPeriodDays": 30 } },
        ] },
        "admin": { "write_keys": [{ "id": "terraform", "key": "k".repeat(40) }], "blocked_message": "ask" },
        "telemetry": { "forward_to": [{ "url": "https://collector.example.com", "headers": { "a": "${TOKEN}" } }] },
    })
}

async fn imported(stage: &Stage, text: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_claude-gateway-operator"))
        .arg("import")
        .arg(&path)
        .args(["--name", "claude", "--namespace", &stage.namespace])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_file_becomes_objects_that_a_cluster_takes_and_a_gateway_that_would_start() {
    let (stage, _operator) = Stage::set().await;
    let (good, objects, said) = imported(&stage, &file(&stage).to_string()).await;
    assert!(good, "{said}");
    assert!(said.contains("to fill in: the Secret claude-oidc/client-secret"), "{said}");
    // Untouched, as it is printed: every field known, every rule kept.
    let strict = ["apply", "--validate=strict", "--filename", "-"];
    stage.kubectl.run_with(&strict, &objects).await.unwrap_or_else(|error| panic!("{error}\n{objects}"));
    let client_secret = stage.provider.client_secret();
    stage.patch("secret claude-oidc", json!({ "stringData": { "client-secret": client_secret } })).await;
    eventually("the gateway's file is there", async || !stage.get("secret claude-config").await.is_null()).await;
    eventually("the policies are rows", async || {
        let policies = stage.get("userpolicies").await;
        let accepted = |policy: &Value| {
            let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Accepted" && condition["status"] == "True")
        };
        policies["items"].as_array().is_some_and(|items| items.len() == 3 && items.iter().all(accepted))
    })
    .await;
    would_start(&stage).await;
}

/// `claude-gateway check` reads the file that pods get, with what pods find beside it.
async fn would_start(stage: &Stage) {
    let pod = tempfile::tempdir().unwrap();
    let lay = async |secret: &str, folder: &str| {
        let data = stage.get(&format!("secret {secret}")).await["data"].clone();
        let folder = pod.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for (key, value) in data.as_object().unwrap() {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            fs::write(folder.join(key), BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
        }
    };
    lay("claude-config", "etc").await;
    lay("claude-keys", "keys").await;
    for secret in ["claude-oidc", "claude-upstreams", "claude-admin"] {
        lay(secret, &format!("secrets/{secret}")).await;
    }
    let file = pod.path().join("etc/gateway.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let home = pod.path().display().to_string();
    let text = text.replace("/etc/claude-gateway", &format!("{home}/etc")).replace("/run/claude-gateway", &home);
    fs::write(&file, text).unwrap();
    let checked =
        Command::new(built_binary(false).unwrap()).args(["check", "--config"]).arg(&file).output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn a_file_that_is_wrong_becomes_nothing_and_every_fault_is_said() {
    let stage = Stage::empty().await;
    let mut wrong = file(&stage);
    wrong["oidc"]["isuer"] = json!("x");
    wrong["store"]["postgres_url"] = json!("mysql://hidden-word@db");
    let (good, objects, said) = imported(&stage, &wrong.to_string()).await;
    assert!(!good && objects.is_empty(), "{objects}");
    assert!(
        said.contains("oidc.isuer: ") && said.contains("store.postgres_url: ") && !said.contains("hidden-word"),
        "{said}"
    );
}
