//! `check`, under the operator's own account and under one with fewer rights.

use std::net::Ipv4Addr;

use e2e::cast::{certificate::Authority, patience::eventually, postgres::Postgres};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::stage::Stage;

const HOST: &str = "10.20.30.40";

/// A gateway of which nothing is wrong, and what it refers to.
fn fine(stage: &Stage) -> [Value; 3] {
    let leaf = Authority::new().unwrap().leaf(&[HOST]).unwrap();
    let tls = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": "tls", "namespace": stage.namespace, "labels": { "claude-gateway.dev/use": "gateway" } },
        "stringData": { "tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem },
    });
    let exposure =
        json!({ "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"], "tls": { "secretRef": { "name": "tls" } } });
    let gateway = stage.gateway(json!({ "publicUrl": format!("https://{HOST}"), "exposure": exposure }));
    [stage.secret(), tls, gateway]
}

/// One gateway a namespace, so that none is in another's way; what `check` says of it.
async fn said(change: impl AsyncFnOnce(&Stage, &mut [Value; 3])) -> (bool, String) {
    let stage = Stage::empty().await;
    let mut objects = fine(&stage);
    change(&stage, &mut objects).await;
    stage.apply(&objects).await;
    stage.check().await
}

async fn faulty(remedy: &str, change: impl AsyncFnOnce(&Stage, &mut [Value; 3])) {
    let (good, said) = said(change).await;
    assert!(!good, "{remedy}: {said}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(lines.iter().any(|line| line.contains(remedy)), "{remedy}: {said}");
    assert!(lines.len() <= 2, "what is wrong once is said once: {said}");
    assert!(!said.contains("hidden-word"), "{said}");
}

#[tokio::test]
async fn f8_a_gateway_that_is_ready_is_said_to_be() {
    let (good, said) = said(async |_, _| ()).await;
    assert!(good, "{said}");
    for line in ["database: Postgres 1", "identity provider: ", "its clock and this one agree", "publicUrl: ", "TLS: "]
    {
        assert!(said.lines().any(|said| said.starts_with("ok    ") && said.contains(line)), "{line}: {said}");
    }
}

#[tokio::test]
async fn f8_a_secret_that_is_missing_or_not_permitted_is_named_with_its_remedy() {
    faulty("The Secret secrets does not exist. Make it", async |_, objects| {
        objects[0]["metadata"]["name"] = json!("another");
    })
    .await;
    faulty("claude-gateway.dev/use=gateway", async |_, objects| objects[0]["metadata"]["labels"] = json!({})).await;
    faulty("has no key client-secret. Add it", async |_, objects| {
        objects[0]["stringData"].as_object_mut().unwrap().remove("client-secret");
    })
    .await;
}

#[tokio::test]
async fn f8_a_database_that_is_away_or_refuses_is_named_with_its_remedy() {
    faulty("see that the database runs", async |_, objects| {
        objects[0]["stringData"]["postgres-url"] = json!("postgres://owner:hidden-word@127.0.0.1:1/none");
    })
    .await;
    faulty("put the role's present password into the Secret", async |stage, objects| {
        let postgres = Postgres::shared().await.unwrap();
        let role = format!("wrong_{}", stage.namespace.replace('-', "_"));
        let url = postgres.create_role(&stage.database_url, &role, "right").await.unwrap();
        objects[0]["stringData"]["postgres-url"] = json!(url.replace(":right@", ":hidden-word@"));
    })
    .await;
    faulty("ALTER ROLE … CREATEROLE", async |stage, objects| {
        let postgres = Postgres::shared().await.unwrap();
        let role = format!("plain_{}", stage.namespace.replace('-', "_"));
        let url = postgres.create_role(&stage.database_url, &role, "right").await.unwrap();
        objects[0]["stringData"]["postgres-url"] = json!(url);
    })
    .await;
}

#[tokio::test]
async fn f8_an_identity_provider_that_is_away_or_another_is_named_with_its_remedy() {
    faulty("is reached from the operator", async |_, objects| {
        objects[2]["spec"]["oidc"]["issuer"] = json!("http://127.0.0.1:1");
    })
    .await;
    faulty("Write the issuer exactly as the document has it", async |stage, objects| {
        let issuer = stage.provider.issuer();
        objects[2]["spec"]["oidc"]["issuer"] = json!("http://127.0.0.1:1/other");
        objects[2]["spec"]["oidc"]["discoveryUrl"] = json!(format!("{issuer}/.well-known/openid-configuration"));
    })
    .await;
}

/// A provider of another time: everything else of it is right.
#[tokio::test]
async fn f8_a_clock_that_is_off_is_named_with_its_remedy() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({ "issuer": issuer }).to_string();
    let answering = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\ndate: Tue, 01 Jan 2019 00:00:00 GMT\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{document}", document.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    faulty("set the nodes' clocks by NTP", async |_, objects| objects[2]["spec"]["oidc"]["issuer"] = json!(issuer))
        .await;
    answering.abort();
}

#[tokio::test]
async fn f8_a_public_name_and_a_certificate_that_clients_would_refuse_are_named_with_their_remedy() {
    faulty("let DNS answer with the private address", async |_, objects| {
        objects[2]["spec"]["publicUrl"] = json!("https://203.0.113.9");
    })
    .await;
    faulty("the certificate is not for 10.20.30.41", async |_, objects| {
        objects[2]["spec"]["publicUrl"] = json!("https://10.20.30.41");
    })
    .await;
    faulty("the Secret tls is missing", async |_, objects| objects[1]["metadata"]["name"] = json!("another")).await;
}

#[tokio::test]
async fn f8_an_api_that_a_gateway_asks_for_and_the_cluster_lacks_is_named_with_its_remedy() {
    faulty("Install the Gateway API", async |_, objects| {
        objects[2]["spec"]["exposure"] =
            json!({ "kind": "HTTPRoute", "parentRefs": [{ "name": "public" }], "trustedProxies": ["10.0.0.0/8"] });
    })
    .await;
}

#[tokio::test]
async fn f8_what_is_named_on_the_command_line_is_checked_without_a_gateway() {
    let stage = Stage::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, format!("{}\n", stage.database_url)).unwrap();
    let issuer = stage.provider.issuer();
    let file = file.to_str().unwrap();
    let named = ["--no-cluster", "--database-url-file", file, "--issuer", &issuer, "--public-url", "https://10.1.2.3"];
    let (good, said) = stage.check_with(&named).await;
    assert!(good && said.lines().count() == 4, "{said}");
    std::fs::write(file, "postgres://owner:hidden-word@127.0.0.1:1/none").unwrap();
    let (good, said) = stage.check_with(&named).await;
    assert!(!good && said.contains("see that the database runs") && !said.contains("hidden-word"), "{said}");
}

#[tokio::test]
async fn f8_a_cluster_that_is_ready_is_said_to_be() {
    let stage = Stage::empty().await;
    let (good, said) = stage.check().await;
    assert!(good, "{said}");
    assert!(said.contains("ok    ClaudeGateway is defined") && said.contains("ok    every right in"), "{said}");
    assert!(said.contains("note  no Certificate"), "{said}");
}

#[tokio::test]
async fn f8_a_right_that_is_missing_is_named_with_its_remedy() {
    let stage = Stage::empty().await;
    let list =
        json!({ "apiGroups": ["claude-gateway.dev"], "resources": ["claudegateways"], "verbs": ["list", "watch"] });
    let whole = stage.get(&stage.install.role()).await["rules"].take();
    stage.patch(&stage.install.role(), json!({ "rules": [list] })).await;
    let mut said = String::new();
    eventually("the API server knows of it, and it is found", async || {
        let (good, text) = stage.check().await;
        said = text;
        !good
    })
    .await;
    assert!(
        said.contains("FAIL  no right to create secrets in") && said.contains("install the chart's RBAC"),
        "{said}"
    );
    assert!(!said.contains("no right to list claudegateways in"), "{said}");
    stage.patch(&stage.install.role(), json!({ "rules": whole })).await;
}
