//! Model access where models are asked for.

use e2e::cast::{
    client::Client,
    fleet::{Fleet, ask},
};
use serde_json::{Value, json};

const GRANTED: &str = "claude-haiku-4-5";
const REFUSED: &str = "claude-opus-4-8";

async fn under(code: Value) -> Fleet {
    Fleet::of(1, |config| config.set("/managed/policies", json!([{"name": "all", "match": {}, "code": code}]))).await
}

async fn send(client: &Client, path: &str, body: &str) -> (u16, Value) {
    let request = client.post(path).header("anthropic-version", "2023-06-01").body("application/json", body.to_owned());
    let answer = request.send().await.unwrap();
    let status = answer.status;
    (status, answer.json().await.unwrap())
}

#[tokio::test]
async fn a_refusal_names_the_model_and_the_setting_and_reaches_no_upstream() {
    let fleet = under(json!({"availableModels": [GRANTED], "deniedModels": ["claude-sonnet-5"]})).await;
    let client = &fleet.clients()[0];
    for (model, setting) in [(REFUSED, "availableModels"), ("claude-sonnet-5", "deniedModels")] {
        for path in ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"] {
            let body = json!({"model": model, "max_tokens": 1, "messages": []}).to_string();
            let (status, answer) = send(client, path, &body).await;
            assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{path} {answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(model) && message.contains(setting), "{message}");
        }
    }
    assert!(fleet.provider.requests().is_empty());
    assert_eq!(ask(client, GRANTED).send().await.unwrap().status, 200);
    let refused = fleet.pods[0].wait_for_audit("inference", 7).await.unwrap();
    assert_eq!((&refused[0]["model"], &refused[0]["reason"]), (&json!(REFUSED), &json!("model_not_available")));
}

/// S18
#[tokio::test]
async fn no_other_spelling_of_a_model_gets_past_its_refusal() {
    let fleet = under(json!({"availableModels": [GRANTED]})).await;
    let client = &fleet.clients()[0];
    let spellings = [
        REFUSED.to_uppercase(),
        "Claude-Opus-4-8".to_owned(),
        format!(" {REFUSED}"),
        format!("{REFUSED}\t"),
        format!("{REFUSED}\n"),
        format!("{REFUSED}[1m]"),
        format!("{REFUSED}-20260101"),
        format!("anthropic.{REFUSED}"),
        format!("us.anthropic.{REFUSED}-v1:0"),
        format!("{REFUSED}\u{200b}"),
        format!("\u{feff}{REFUSED}"),
        format!("{REFUSED}\u{0}"),
        "claude\u{2010}opus\u{2010}4\u{2010}8".to_owned(),
        "cl\u{0430}ude-opus-4-8".to_owned(),
        "opus".to_owned(),
        format!("{GRANTED},{REFUSED}"),
    ];
    for model in &spellings {
        let body = json!({"model": model, "max_tokens": 1, "messages": []}).to_string();
        for path in ["/v1/messages", "/v1/messages/count_tokens"] {
            assert_eq!(send(client, path, &body).await.0, 400, "{model:?}");
        }
    }
    // The same name in other words of JSON is the same name.
    let escaped = REFUSED.replace('o', "\\u006f");
    let bodies = [
        format!(r#"{{"model":"{escaped}","max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"model":"{GRANTED}","model":"{REFUSED}","max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"model":"{REFUSED}","model":"{GRANTED}","max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"model":"{GRANTED}","mod\u0065l":"{REFUSED}","max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"Model":"{GRANTED}","model":"{REFUSED}","max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"model":["{GRANTED}"],"max_tokens":1,"messages":[]}}"#),
        format!(r#"{{"model":{{"id":"{GRANTED}"}},"max_tokens":1,"messages":[]}}"#),
    ];
    for body in &bodies {
        assert_eq!(send(client, "/v1/messages", body).await.0, 400, "{body}");
    }
    assert!(fleet.provider.requests().is_empty());
    // What only looks like a second model is content.
    let nested = json!({
        "model": GRANTED, "max_tokens": 1, "metadata": {"model": REFUSED},
        "messages": [{"role": "user", "content": format!(r#"{{"model":"{REFUSED}"}}"#)}],
    });
    assert_eq!(send(client, "/v1/messages", &nested.to_string()).await.0, 200);
    assert_eq!(fleet.provider.requests()[0].json().unwrap()["model"], GRANTED);
}

/// S18
#[tokio::test]
async fn no_other_endpoint_or_beta_takes_a_model_past_its_refusal() {
    let fleet = under(json!({"availableModels": [GRANTED]})).await;
    let client = &fleet.clients()[0];
    let body = json!({"model": REFUSED, "max_tokens": 1, "messages": [], "requests": [{"params": {"model": REFUSED}}]})
        .to_string();
    for path in [
        "/v1/messages/batches",
        "/v1/complete",
        "/v1/models/claude-opus-4-8",
        "//v1/messages",
        "/v1/messages/",
        "/V1/MESSAGES",
    ] {
        let status = client.post(path).body("application/json", body.clone()).send().await.unwrap().status;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
    let beta = ask(client, REFUSED).header("anthropic-beta", "context-1m-2025-08-07,anything-2026-01-01");
    assert_eq!(beta.send().await.unwrap().status, 400);
    assert!(fleet.provider.requests().is_empty());
}

/// S18
#[tokio::test]
async fn no_part_of_a_body_takes_a_model_past_its_refusal() {
    let fleet = under(json!({"availableModels": [GRANTED, "claude-sonnet-5"]})).await;
    let client = &fleet.clients()[0];
    let body = |more: &str| format!(r#"{{"model":"{GRANTED}","max_tokens":1,"messages":[],{more}}}"#);
    let advisor = r#""type":"advisor_20260301","name":"advisor""#;
    let refused = [
        format!(r#""tools":[{{{advisor},"model":"{REFUSED}"}}]"#),
        format!(r#""tools":[{{"name":"a","input_schema":{{}}}},{{{advisor},"\u006dodel":"{REFUSED}"}}]"#),
        format!(r#""tools":[{{{advisor},"model":"{GRANTED}","model":"{REFUSED}"}}]"#),
        format!(r#""tools":[],"tools":[{{{advisor},"model":"{REFUSED}"}}]"#),
        format!(r#""tools":[{{{advisor},"model":"no-such-model"}}]"#),
        format!(r#""tools":[{{{advisor},"model":["{REFUSED}"]}}]"#),
        format!(r#""fallbacks":[{{"model":"{GRANTED}"}},{{"model":"{REFUSED}"}}]"#),
        format!(r#""fallb\u0061cks":[{{"mod\u0065l":"{REFUSED}"}}]"#),
        format!(r#""fallbacks":["{REFUSED}"]"#),
        r#""fallbacks":"default""#.to_owned(),
    ];
    for more in &refused {
        for path in ["/v1/messages?beta=true", "/v1/messages/count_tokens"] {
            let (status, answer) = send(client, path, &body(more)).await;
            assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{more} {answer}");
        }
    }
    let (_, answer) = send(client, "/v1/messages", &body(&refused[0])).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(REFUSED) && message.contains("availableModels"), "{message}");
    assert!(fleet.provider.requests().is_empty());
    let granted = format!(r#""tools":[{{{advisor},"model":"claude-sonnet-5"}}],"fallbacks":[{{"model":"{GRANTED}"}}]"#);
    let schema =
        format!(r#""tools":[{{"name":"Task","input_schema":{{"properties":{{"model":{{"enum":["{REFUSED}"]}}}}}}}}]"#);
    for more in [granted, schema] {
        assert_eq!(send(client, "/v1/messages", &body(&more)).await.0, 200, "{more}");
    }
}

#[tokio::test]
async fn a_person_is_shown_the_models_they_may_use_and_no_others() {
    let fleet =
        under(json!({"availableModels": ["haiku", "claude-opus-4-8"], "deniedModels": ["claude-haiku-5"]})).await;
    let client = &fleet.clients()[0];
    let page: Value = client.get("/v1/models?limit=1000").send().await.unwrap().json().await.unwrap();
    let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["claude-haiku-4-5-20251001", "claude-opus-4-8"]);
    for id in ids {
        assert_eq!(ask(client, id).send().await.unwrap().status, 200, "{id}");
    }
    assert_eq!(ask(client, GRANTED).send().await.unwrap().status, 200, "by its alias too");
}
