//! What a gateway refers to: when it comes, changes, or may not be used.

use std::time::{Duration, Instant};

use e2e::cast::{
    certificate::{Authority, Leaf},
    patience::eventually,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn b3_a_missing_secret_is_said_and_used_as_soon_as_it_is_there() {
    let (stage, _operator) = Stage::set().await;
    stage.apply(&[stage.gateway(json!({}))]).await;
    stage.until("Stalled", "True", "SecretMissing").await;
    let message = stage.condition("Ready").await["message"].as_str().unwrap().to_owned();
    assert!(message.contains("secrets") && message.contains("Make it"), "{message}");
    stage.apply(&[stage.secret()]).await;
    let begun = Instant::now();
    eventually("the Deployment", async || !stage.get("deployment claude").await.is_null()).await;
    println!("B3: the Deployment is there {:?} after the Secret", begun.elapsed());
    eventually("no stall", async || stage.condition("Stalled").await.is_null()).await;
}

#[tokio::test]
async fn d2_a_secret_whose_owner_does_not_permit_it_is_neither_used_nor_shown() {
    let (stage, _operator) = Stage::set().await;
    let mut secret = stage.secret();
    secret["metadata"]["labels"] = json!({});
    secret["stringData"]["api-key"] = json!("canary-of-the-api-key");
    stage.apply(&[secret, stage.gateway(json!({}))]).await;
    stage.until("Ready", "False", "SecretNotPermitted").await;
    let everything = stage.run("get claudegateways,secrets,deployments,events,services --output json").await;
    let shown = everything.matches("canary-of-the-api-key").count();
    assert_eq!(shown, 0, "a Secret holds it in base64 only");
    assert!(stage.get("deployment claude").await.is_null());
    stage.run("label secret secrets claude-gateway.dev/use=gateway").await;
    eventually("the Deployment", async || !stage.get("deployment claude").await.is_null()).await;
}

#[tokio::test]
async fn c5_a_secret_that_changes_is_noticed_and_others_cost_nothing() {
    let (stage, _operator) = Stage::with_gateway().await;
    let checksum =
        async || stage.get("deployment claude").await.pointer("/spec/template/metadata/annotations").cloned();
    let before = checksum().await;
    let mark = stage.plane.mark();
    for number in 0..20 {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("other-{number}"), "namespace": stage.namespace },
            "stringData": { "a": "b" },
        });
        stage.apply(&[secret]).await;
    }
    let looks =
        stage.calls_since(mark).into_iter().filter(|call| call.resource == "deployments" && call.verb == "get").count();
    // The gateway is looked at each half minute anyway.
    assert!(looks <= 2, "{looks} reconciles for Secrets that no gateway refers to");
    stage.patch("secret secrets", json!({ "stringData": { "header": "second" } })).await;
    let begun = Instant::now();
    eventually("pods roll for what they read once", async || checksum().await != before).await;
    println!("C5: a changed Secret is noticed within {:?}", begun.elapsed());
    let after = checksum().await;
    stage.until_settled().await;
    stage.patch("secret secrets", json!({ "stringData": { "api-key": "another" } })).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(checksum().await, after, "C15: what pods read again rolls none");
}

#[tokio::test]
async fn while_the_database_is_away_nothing_rolls_and_the_status_says_why() {
    let (stage, _operator) = Stage::with_gateway().await;
    let before = stage.get("deployment claude").await["spec"].clone();
    stage
        .patch("secret secrets", json!({ "stringData": { "postgres-url": "postgres://nobody:x@127.0.0.1:1/none" } }))
        .await;
    stage.until("DatabaseReady", "False", "DatabaseUnavailable").await;
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 1, "logLevel": "debug" } })).await;
    eventually("it is seen", async || stage.condition("Ready").await["observedGeneration"] == 2).await;
    stage.until("Progressing", "True", "WaitingForDatabase").await;
    assert_eq!(stage.get("deployment claude").await["spec"], before);
    stage.apply(&[stage.secret()]).await;
    eventually("it goes on", async || stage.get("deployment claude").await["spec"]["replicas"] == 1).await;
}

#[tokio::test]
async fn c15_an_operator_of_another_version_rolls_no_pods_until_their_owner_wants_it() {
    let (stage, operator) = Stage::with_gateway().await;
    let image = async || {
        let deployment = stage.get("deployment claude").await;
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
    };
    let template = async || stage.get("deployment claude").await["spec"]["template"].clone();
    let (before, first) = (template().await, image().await);
    drop(operator);
    let newer = "registry.example.com/claude-gateway:2.0.0";
    let _operator = stage.operator(&["--leader-election", "false", "--gateway-image", newer]).await;
    eventually("it is offered", async || {
        let said = stage.condition("Progressing").await["message"].as_str().unwrap_or_default().to_owned();
        stage.ready_pods().await;
        said.contains(newer)
    })
    .await;
    stage.until_settled().await;
    assert_eq!(template().await, before);
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 3 } })).await;
    eventually("more pods", async || stage.get("deployment claude").await["spec"]["replicas"] == 3).await;
    assert_eq!(image().await, first, "of the same image");
    stage
        .patch(
            "claudegateway claude",
            json!({ "metadata": { "annotations": { "claude-gateway.dev/take-image": "1" } } }),
        )
        .await;
    eventually("it is taken", async || image().await == newer).await;
}

/// E3: what pods serve anew by themselves rolls none, and developers are told what they will see.
#[tokio::test]
async fn e3_a_new_certificate_is_told_and_rolls_no_pod() {
    let (stage, _operator) = Stage::set().await;
    let authority = Authority::new().unwrap();
    let certificate = |leaf: &Leaf| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": "public", "namespace": stage.namespace, "labels": { "claude-gateway.dev/use": "gateway" } },
            "stringData": { "tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem },
        })
    };
    let leaves = [0, 1].map(|_| authority.leaf(&["claude.example.com"]).unwrap());
    let exposure = json!({ "exposure": { "kind": "None", "tls": { "secretRef": { "name": "public" } } } });
    stage.apply(&[certificate(&leaves[0]), stage.secret(), stage.gateway(exposure)]).await;
    let shown = async || stage.get("claudegateway claude").await["status"]["tlsSha256"].clone();
    eventually("its hash is told", async || shown().await == fingerprint(&leaves[0])).await;
    stage.until_settled().await;
    let before = stage.get("deployment claude").await;

    stage.apply(&[certificate(&leaves[1])]).await;
    let begun = Instant::now();
    eventually("the new one's hash is told", async || shown().await == fingerprint(&leaves[1])).await;
    println!("E3: a new certificate is told after {:.1?}", begun.elapsed());
    stage.until_settled().await;
    let after = stage.get("deployment claude").await;
    assert_eq!(after["spec"], before["spec"], "E3: pods read the file again");
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
}

/// As `openssl x509 -fingerprint -sha256` writes it.
fn fingerprint(leaf: &Leaf) -> String {
    let der = CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
