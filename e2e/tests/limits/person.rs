//! Somebody with limits, who knows what their requests come to.

use std::time::Duration;

use e2e::cast::{
    client::{Client, Response},
    fleet::Fleet,
    gateway::Config,
    people::People,
    postgres::Postgres,
    provider::Shape,
    stage::MODEL,
};
use serde_json::{Value, json};

/// Whoever is limited in these tests.
pub(crate) const PERSON: &str = "a-person-with-limits";

/// A reply that comes to so many tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// How long the reply goes on.
    pub(crate) lasting: Duration,
    pub(crate) max_tokens: u64,
    /// Bytes of the prompt's text.
    pub(crate) text: usize,
}

#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) should_retry: Option<String>,
}

impl Turn {
    /// Whole at once. Its estimate is what it comes to, as far as the text and `max_tokens` can say.
    pub(crate) fn of(input: u64, output: u64) -> Self {
        let text = usize::try_from(input * 4).unwrap();
        Self { input, output, lasting: Duration::ZERO, max_tokens: output, text }
    }

    pub(crate) fn lasting(self, lasting: Duration) -> Self {
        Self { lasting, ..self }
    }

    pub(crate) fn body(&self) -> Value {
        const EVERY: u64 = 20;
        let pauses = usize::try_from(self.lasting.as_millis()).unwrap() / EVERY as usize;
        let (deltas, every_ms) = if pauses > 0 { (pauses, Some(EVERY)) } else { (1, None) };
        let order = Shape::Counted { input: self.input, output: self.output, deltas, every_ms }.order();
        json!({
            "model": MODEL, "metadata": {"user_id": order}, "stream": every_ms.is_some(), "max_tokens": self.max_tokens,
            "messages": [{"role": "user", "content": "so it goes. ".repeat(self.text.div_ceil(12))}],
        })
    }

    pub(crate) async fn ask(&self, client: &Client) -> Response {
        let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01");
        request.json(&self.body()).send().await.unwrap()
    }

    /// Its status, after the last byte of the reply.
    pub(crate) async fn take(&self, client: &Client) -> u16 {
        let answer = self.ask(client).await;
        let status = answer.status;
        answer.bytes().await.unwrap();
        status
    }

    /// The reply of one who must be refused.
    pub(crate) async fn refused(&self, client: &Client) -> Refusal {
        Refusal::read(self.ask(client).await).await
    }
}

impl Refusal {
    pub(crate) async fn read(answer: Response) -> Self {
        let retry_after = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
        let (status, should_retry) = (answer.status, answer.header("x-should-retry").map(str::to_owned));
        let body: Value = answer.json().await.unwrap();
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        Self { status, kind: text("type"), message: text("message"), retry_after, should_retry }
    }
}

/// Pods on a Postgres that tests share, where everybody has these limits.
pub(crate) async fn limited(pods: usize, limits: Value) -> (Fleet, Vec<Client>) {
    let fleet = Fleet::of(pods, |config| with_limits(config, limits)).await;
    let clients = of_person(&fleet, PERSON).await;
    (fleet, clients)
}

/// As [`limited`], on a Postgres of their own.
pub(crate) async fn limited_on(
    postgres: &Postgres,
    pods: usize,
    change: impl FnOnce(Config) -> Config,
) -> (Fleet, Vec<Client>) {
    let fleet = Fleet::on(postgres, pods, change).await.unwrap();
    let clients = of_person(&fleet, PERSON).await;
    (fleet, clients)
}

pub(crate) fn with_limits(config: Config, limits: Value) -> Config {
    config.set("/managed/policies", json!([{"name": "everybody", "match": {}, "limits": limits}]))
}

/// That person's client of each pod.
pub(crate) async fn of_person(fleet: &Fleet, subject: &str) -> Vec<Client> {
    fleet.clients_with(&People::of(&fleet.pods[0]).await.unwrap().bearer(subject))
}
