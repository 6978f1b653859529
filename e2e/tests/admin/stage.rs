//! The cast's stage with an `admin` section, and people in sessions of their own.

use e2e::cast::{
    client::{Client, Request},
    provider::Provider,
    signin::{Tokens, sign_in},
    stage,
};
use http::Method;
use serde_json::{Value, json};

pub(crate) use stage::Stage;

pub(crate) const WRITE_KEY: &str = "a-key-that-writes-0123456789abcdefghij";
pub(crate) const READ_KEY: &str = "a-key-that-reads-0123456789abcdefghijk";
pub(crate) const SESSIONS: &str = "/v1/organizations/sessions";

pub(crate) fn admin() -> Value {
    json!({
        "write_keys": [{"id": "ops", "key": WRITE_KEY}],
        "read_keys": [{"id": "dashboard", "key": READ_KEY}],
        "admin_groups": ["sales"],
    })
}

/// Alice is signed in; Bob is in the administrators' group.
pub(crate) async fn administered() -> Stage {
    Stage::with(vec![Provider::start().unwrap()], |config| config.set("/admin", admin())).await
}

/// A client that carries no bearer.
pub(crate) fn stranger(stage: &Stage) -> Client {
    stage.gateway.client().unwrap()
}

pub(crate) fn with_key(stage: &Stage, method: Method, target: &str, key: &str) -> Request {
    stranger(stage).request(method, target).header("x-api-key", key)
}

/// The status and the body.
pub(crate) async fn answer(request: Request) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status, answer.json().await.unwrap())
}

pub(crate) async fn another_sign_in(stage: &Stage, person: &str) -> Tokens {
    sign_in(&stage.gateway, person).await.unwrap()
}

/// What `GET /v1/models` says to a bearer: 200 while the session lives.
pub(crate) async fn standing(client: &Client, bearer: &str) -> (u16, Option<String>) {
    let answer = client.get("/v1/models").bearer(bearer).send().await.unwrap();
    (answer.status, answer.header("x-should-retry").map(str::to_owned))
}
