//! `forward_user_identity`: a proxy of the operator's own learns who asked, and limits people by name.

use std::time::Duration;

use e2e::cast::{
    openid::Person,
    provider::{Provider, Received},
    signin::sign_in,
    stage::Stage,
};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["x-litellm-end-user-id", "x-claude-gateway-user-id", "x-claude-gateway-user-email"];

async fn two(forward: bool) -> Stage {
    let providers = (0..2).map(|_| Provider::start().unwrap()).collect();
    Stage::with(providers, |config| config.set("/upstreams/0/forward_user_identity", json!(forward))).await
}

fn told(request: &Received) -> [Option<&str>; 3] {
    NAMES.map(|name| request.header(name))
}

#[tokio::test]
async fn a_proxy_that_may_know_is_told_who_asked_and_nobody_else_is() {
    let stage = two(true).await;
    stage.ask(&Stage::prompt(false)).header("x-claude-gateway-user-email", "mallory@evil.test").send().await.unwrap();
    let request = stage.provider().requests().remove(0);
    assert_eq!(told(&request), [Some("alice@example.com"), Some("alice"), Some("alice@example.com")]);
    stage.provider().then_503();
    stage.ask(&Stage::prompt(false)).header("x-claude-gateway-user-email", "mallory@evil.test").send().await.unwrap();
    assert_eq!(told(&stage.providers[1].requests()[0]), [None; 3]);
    assert_eq!(stage.provider().faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_limit_of_a_person_is_the_answer_and_no_reason_to_ask_elsewhere() {
    let stage = two(true).await;
    stage.provider().then_429(Duration::from_secs(7));
    let refused = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["type"], "rate_limit_error");
    assert!(stage.providers[1].requests().is_empty());
    // The upstream is as well as before: only this person has had enough.
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert!(stage.providers[1].requests().is_empty());
}

#[tokio::test]
async fn a_429_to_somebody_without_an_email_speaks_of_the_upstream() {
    let stage = two(true).await;
    stage.identity.behave(|behaviour| {
        behaviour.people.push(Person::new("robot", "No Mail", &[]).claim("email", Value::Null));
    });
    let tokens = sign_in(&stage.gateway, "robot").await.unwrap();
    stage.provider().then_429(Duration::from_secs(7));
    let answer = stage.ask(&Stage::prompt(false)).bearer(&tokens.access_token).send().await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(told(&stage.provider().requests()[0]), [None, Some("robot"), None]);
    assert_eq!(stage.providers[1].requests().len(), 1);
}

#[tokio::test]
async fn a_429_of_an_upstream_that_does_not_know_people_fails_over() {
    let stage = two(false).await;
    stage.provider().then_429(Duration::from_secs(7));
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert_eq!(told(&stage.provider().requests()[0]), [None; 3]);
    assert_eq!(stage.providers[1].requests().len(), 1);
}
