//! What clients are told of their policy, on the wire: `protocol.md`, sections 8 and 9. The reference gateway tells the same.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

use e2e::cast::{
    client::{Client, Response},
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::Provider,
    signin::sign_in,
    stage::Stage,
};
use serde_json::{Value, json};

fn with_policies(policies: Value) -> impl FnOnce(Config) -> Config {
    move |config| config.set("/managed/policies", policies)
}

async fn stage(policies: Value) -> Stage {
    Stage::with(vec![Provider::start().unwrap()], with_policies(policies)).await
}

async fn settings(client: &Client, if_none_match: Option<&str>) -> Response {
    let request = client.get("/managed/settings");
    let request = match if_none_match {
        Some(tags) => request.header("if-none-match", tags),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_client_gets_its_settings_once_and_then_hears_that_they_are_the_same() {
    let document = json!({"zeta": [1.0, 1e21], "env": {"B": "2", "A": "1"}});
    let stage = stage(json!([{"name": "everyone", "match": {}, "code": document}])).await;
    let whole = settings(&stage.client, None).await;
    let etag = whole.header("etag").unwrap().to_owned();
    assert_eq!((whole.status, whole.header("vary")), (200, Some("User-Agent")));
    assert!(whole.header("x-cc-gateway-version").is_some_and(|version| !version.is_empty()));
    let reply: Value = whole.json().await.unwrap();
    let checksum = reply["checksum"].as_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{checksum}\""));
    assert_eq!((&reply["uuid"], &reply["settings"]), (&reply["checksum"], &document));

    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
        let answer = settings(&stage.client, Some(&known)).await;
        assert_eq!((answer.status, answer.header("etag")), (304, Some(etag.as_str())), "{known}");
        assert_eq!(answer.header("vary"), Some("User-Agent"));
        assert_eq!(answer.text().await.unwrap(), "");
    }
    for unknown in ["*", "\"other\"", checksum.as_str()] {
        assert_eq!(settings(&stage.client, Some(unknown)).await.status, 200, "{unknown}");
    }
    let served = stage.gateway.wait_for_audit("managed.serve", 4).await.unwrap();
    assert_eq!(served.len(), 4, "what is not delivered is not recorded");
    assert!(served.iter().all(|line| line["checksum"] == checksum.as_str() && line["sub"] == "alice"), "{served:?}");
}

#[tokio::test]
async fn no_policy_is_not_an_empty_policy() {
    let nobodys = stage(json!([{"match": {"groups": ["nobody"]}, "code": {"verbose": true}}])).await;
    let none = settings(&nobodys.client, None).await;
    assert_eq!((none.status, none.header("vary"), none.header("etag")), (404, Some("User-Agent"), None));
    let error: Value = none.json().await.unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("not_found_error")));
    let everyones = stage(json!([{"match": {}}])).await;
    let empty = settings(&everyones.client, None).await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.json::<Value>().await.unwrap()["settings"], json!({}));
}

#[tokio::test]
async fn nobody_learns_settings_without_a_bearer_that_holds() {
    let stage = stage(json!([{"match": {}, "desktop": {}}])).await;
    for path in ["/managed/settings", "/user/bootstrap"] {
        let nobody = stage.gateway.client().unwrap();
        let answer = nobody.get(path).send().await.unwrap();
        assert_eq!((answer.status, answer.header("x-should-retry")), (401, None), "{path}");
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["type"], "authentication_error");
        assert_eq!(nobody.get(path).bearer("a.b.c").send().await.unwrap().status, 401, "{path}");
    }
    let revoked = &stage.tokens.access_token;
    stage.client.post("/oauth/revoke").form(&[("token", revoked)]).send().await.unwrap();
    let answer = settings(&stage.client, None).await;
    assert_eq!((answer.status, answer.header("x-should-retry")), (401, Some("false")));
}

#[tokio::test]
async fn desktop_is_served_where_the_policy_says_so() {
    let stage = stage(json!([
        {"name": "eng", "match": {"groups": ["eng"]}, "code": {"availableModels": ["claude-haiku-4-5"]}, "desktop": {}},
        {"name": "everyone", "match": {}},
    ]))
    .await;
    let answer = stage.client.get("/user/bootstrap").send().await.unwrap();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["inferenceGatewayBaseUrl"], stage.gateway.url());
    assert_eq!(told["inferenceModels"], json!([{"name": "claude-haiku-4-5-20251001"}]));
    assert!(told["expiresAt"].as_i64().unwrap() > 1_700_000_000, "{told}");
    assert_eq!(stage.gateway.wait_for_audit("desktop_bootstrap.serve", 1).await.unwrap()[0]["policy"], "eng");

    let bob = sign_in(&stage.gateway, "bob").await.unwrap();
    let bob = stage.gateway.client().unwrap().with_bearer(&bob.access_token);
    assert_eq!(bob.get("/user/bootstrap").send().await.unwrap().status, 404);
    let denied = &stage.gateway.wait_for_audit("desktop_bootstrap.denied", 1).await.unwrap()[0];
    assert_eq!((&denied["sub"], &denied["reason"]), (&json!("bob"), &json!("not_configured")));
}

#[tokio::test]
async fn the_first_policy_and_the_last_are_taken_by_the_process_that_runs() {
    let mut stage = Stage::new().await;
    assert_eq!(settings(&stage.client, None).await.status, 404);
    let managed = json!({"policies": [{"name": "everyone", "match": {}, "code": {"verbose": true}}]});
    for (section, count, status) in [(managed, 1, 200), (json!({}), 2, 404)] {
        stage.gateway.rewrite(|file| file["managed"] = section).unwrap();
        stage.gateway.wait_for_audit("policy.reload", count).await.unwrap();
        assert_eq!(settings(&stage.client, None).await.status, status);
    }
    let loads = stage.gateway.wait_for_audit("config.load", 2).await.unwrap();
    assert!(loads.iter().all(|load| load["needs_restart"] == json!([])), "{loads:?}");
}

/// What a gateway tells Alice and Bob.
async fn told(config: Config) -> Vec<Value> {
    let gateway: Gateway = config.start().await.unwrap();
    let mut told = Vec::new();
    for person in ["alice", "bob"] {
        let tokens = sign_in(&gateway, person).await.unwrap();
        let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
        let answer = settings(&client, None).await;
        assert_eq!(answer.status, 200);
        told.push(json!({"etag": answer.header("etag"), "reply": answer.json::<Value>().await.unwrap()}));
        let mut bootstrap: Value = client.get("/user/bootstrap").send().await.unwrap().json().await.unwrap();
        assert!(bootstrap["expiresAt"].is_i64(), "{bootstrap}");
        bootstrap["expiresAt"] = Value::Null;
        assert_eq!(bootstrap["inferenceGatewayBaseUrl"], gateway.url());
        bootstrap["inferenceGatewayBaseUrl"] = Value::Null;
        told.push(bootstrap);
    }
    told
}

#[tokio::test]
async fn the_reference_gateway_tells_the_same_to_the_same_people() {
    let policies = json!([
        {
            "match": {"groups": ["eng"]},
            "cli": {
                "availableModels": ["corp-x", "claude-opus-4-8"],
                "permissions": {"allow": ["Read"], "deny": ["WebFetch", "Edit(/etc/**)", "mcp__a__b"]},
                "env": {"B": 2, "10": "ten", "9": "nine", "E": "é\u{2028}😀\u{1}\"\\", "BASE": "policy"},
                "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "policy"}]}]},
                "modelOverrides": {"a": "b"}, "feedbackSurveyRate": 0.000_000_1, "cleanupPeriodDays": 30,
            },
            "desktop": {"disabledBuiltinTools": ["WebSearch"]},
        },
        {
            "match": {},
            "cli": {
                "availableModels": ["haiku"],
                "permissions": {"allow": ["Grep"], "deny": ["Bash", "WebFetch"], "ask": ["Write"]},
                "env": {"BASE": "base", "C": 1.5},
                "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "base"}]}], "Notification": []},
                "modelOverrides": {"c": "d"}, "deniedMcpServers": [{"serverName": "x"}],
                "sandbox": {"network": {"allowedDomains": ["a.example"]}}, "enforceAvailableModels": true,
            },
            "desktop": {"disabledBuiltinTools": ["Agent"]},
        },
    ]);
    let people = OpenIdProvider::start(Behaviour::default()).await;
    let provider = Provider::start().unwrap();
    let stores = Postgres::shared().await.unwrap();
    let mut answers = Vec::new();
    for reference in [false, true] {
        let store = stores.database().await.unwrap();
        let config = Stage::config(&people, &store, std::slice::from_ref(&provider)).unwrap();
        let models = json!([{"id": "corp-x", "label": "Corp X", "upstream_model": {"one": "y"}}]);
        let config = config.set("/models", models).set("/managed/policies", policies.clone());
        answers.push(told(if reference { config.reference() } else { config }).await);
    }
    let [ours, reference] = &answers[..] else { panic!("two gateways") };
    for (ours, reference) in ours.iter().zip(reference) {
        assert_eq!(ours, reference, "ours on the left:\n{ours:#}\n{reference:#}");
    }
}
