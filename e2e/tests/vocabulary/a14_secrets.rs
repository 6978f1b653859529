//! A14: a credential stands in no object.

use serde_json::json;

use crate::{
    stage::Stage,
    table::{
        Change, Verdict, cases,
        objects::{full_gateway, gateway},
        schema::{Node, nodes, schemas},
    },
};

#[tokio::test]
async fn a14_what_could_hold_a_credential_is_a_reference() {
    let is_free_text = |node: &Node| node.is("string") && node.schema.get("enum").is_none();
    // Names that only sound like one.
    let harmless = |name: &str| {
        ["key", "usernameKey", "passwordKey"].contains(&name)
            || name.ends_with("Ref")
            || name.ends_with("Keys")
            || name.ends_with("Secrets")
    };
    for (kind, schema) in schemas() {
        for node in nodes(&schema).into_iter().filter(|node| node.path.starts_with("spec.") && is_free_text(node)) {
            let name = node.path.rsplit(['.', ']']).next().unwrap_or_default();
            let lower = name.to_lowercase();
            let sounds =
                ["secret", "password", "token", "key", "credential", "pem"].iter().any(|word| lower.contains(word));
            let of_pods = node.path.starts_with("spec.podTemplate");
            assert!(!sounds || harmless(name) || of_pods, "{kind}: {} is a text", node.path);
        }
    }
}

#[tokio::test]
async fn a14_an_inline_credential_is_no_field_of_any_section() {
    let stage = Stage::set().await;
    for (path, value) in [
        ("spec.oidc.clientSecret", json!("s3cret")),
        ("spec.database.url", json!("postgres://user:password@host/db")),
        ("spec.database.password", json!("s3cret")),
        ("spec.upstreams[0].provider.anthropic.auth.apiKey", json!("sk-ant-1")),
        ("spec.admin.writeKeys[0].key", json!("s3cret")),
        ("spec.oidc.clientSecretRef.namespace", json!("kube-system")),
        ("spec.session.jwtSecret", json!("s3cret")),
    ] {
        let target = format!("{}?dryRun=All&fieldValidation=Strict", stage.folder(&gateway()));
        let object = stage.here(&full_gateway().with(path, value));
        let answer = stage.client().post(&target).json(&object).send().await.unwrap();
        let status = answer.status;
        let text = answer.text().await.unwrap();
        let field = path.rsplit_once('.').unwrap().1;
        assert!(status == 400 && text.contains("unknown field") && text.contains(field), "{path}: {status} {text}");
    }
}

#[tokio::test]
async fn a14_urls_carry_no_credentials_and_plain_http_needs_the_flag_that_says_so() {
    let stage = Stage::set().await;
    let mut tried = 0;
    for case in cases() {
        let Verdict::Refused { says: Some(says), .. } = &case.verdict else { continue };
        let is_of_a_url =
            ["URL", "address of", "must be https", "origin that developers"].iter().any(|word| says.contains(word));
        if is_of_a_url {
            tried += 1;
            let answer = stage.would_create(&case.object).await;
            assert!(
                answer.status == 422 && answer.message().contains(says.as_str()),
                "{}: {}",
                case.name,
                answer.message()
            );
        }
    }
    assert!(tried > 30, "{tried}");
    let plain =
        gateway().with("spec.oidc.issuer", json!("http://idp")).with("spec.development.allowPlainHttp", json!(true));
    assert!(stage.would_create(&plain).await.is_accepted());
}
