//! One request, tried at upstreams in order until one answers (`upstreams.md`, "Failover").
//!
//! 429, 401, 403, 404, 501, any 5xx, no connection and no response head in time go to the next upstream; any other status is
//! the answer. A redirect is a failure too: followed, it would take the prompt and the credential where the operator has not
//! sent them; passed on, it would show the client the operator's own addresses. Nothing is tried again once a response head
//! was passed on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Response, StatusCode, header, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::{
    body::Prompt,
    desk::Shared,
    models::{Route, Target},
    refusal::{AllFailed, Refusal},
    report::Report,
};
use crate::{
    identity::Person,
    telemetry::metrics::Outcome,
    upstream::{Connection, Failure, Place, Pool, Pools, Received, SendError, Upstream, choice::Candidate, in_order},
};

/// How much of a failing upstream's words the operator's log keeps.
const LOGGED: usize = 4096;
const LOG_WAIT: Duration = Duration::from_secs(2);

/// The reply that the client gets.
pub struct Answered {
    pub response: Response<Incoming>,
    pub connection: Option<Connection>,
    pub pool: Pool,
    pub place: Place,
}

pub struct Attempts<'r> {
    pub shared: &'r Arc<Shared>,
    pub pools: &'r Pools,
    pub request_id: &'r str,
    pub head: &'r request::Parts,
    pub prompt: &'r Prompt,
    pub person: &'r Person,
    pub route: &'r Arc<Route>,
}

/// The best of the failures so far, by the order in which they are worth telling.
#[derive(Default)]
struct Failures {
    throttled: Option<Option<HeaderValue>>,
    refused: Option<StatusCode>,
    unknown: bool,
    unsupported: bool,
    full: usize,
    tried: usize,
}

enum Tried {
    Answered(Answered),
    Failed(StatusCode, Option<HeaderValue>),
    /// No response head: nothing to tell the client.
    Silent,
    Full,
}

impl Attempts<'_> {
    pub async fn first_answer(&self, report: &mut Report) -> Result<Answered, Refusal> {
        let mut failures = Failures::default();
        for target in self.order() {
            let upstream = &self.shared.upstreams[target.upstream];
            match self.one(target, upstream, report).await {
                Tried::Answered(answered) => {
                    upstream.health.answered(&self.route.model);
                    report.upstream = Some(upstream.name.clone());
                    report.attempt(&upstream.name, Outcome::Answered);
                    return Ok(answered);
                }
                Tried::Full => failures.full += 1,
                Tried::Silent => self.failed(upstream, Failure::Other, report, &mut failures),
                Tried::Failed(status, retry_after) => {
                    self.failed(upstream, failure(status, retry_after.as_ref()), report, &mut failures);
                    failures.remember(status, retry_after);
                }
            }
        }
        Err(failures.verdict(self.shared.upstreams.len()))
    }

    fn order(&self) -> Vec<&Target> {
        let targets = &self.route.targets;
        if let [one] = targets.as_slice() {
            return vec![one];
        }
        let now = Instant::now();
        let candidates: Vec<_> = targets
            .iter()
            .map(|target| {
                let Upstream { name, priority, weight, health, .. } = &self.shared.upstreams[target.upstream];
                let verdict = health.verdict(&self.route.model, now);
                Candidate { name, priority: *priority, weight: *weight, verdict }
            })
            .collect();
        let session = self.head.headers.get("x-claude-code-session-id").and_then(|id| id.to_str().ok());
        let key = session.unwrap_or(&self.person.sub.0);
        in_order(&candidates, key).into_iter().map(|n| &targets[n]).collect()
    }

    fn failed(&self, upstream: &Upstream, failure: Failure, report: &Report, failures: &mut Failures) {
        failures.tried += 1;
        report.attempt(&upstream.name, Outcome::FailedOver);
        upstream.health.failed(&self.route.model, failure, Instant::now(), self.jitter());
    }

    /// The request id is random, and a request needs no better dice.
    fn jitter(&self) -> f64 {
        let byte = self.request_id.get(4..6).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        f64::from(byte.unwrap_or(128)) / 255.0
    }

    async fn one(&self, target: &Target, upstream: &Upstream, report: &mut Report) -> Tried {
        let Some(place) = upstream.place() else { return Tried::Full };
        let pool = self.pools.of(target.upstream);
        let since = Instant::now();
        report.attempts += 1;
        let received = match tokio::time::timeout(self.shared.ttfb, self.send(target, upstream, pool)).await {
            Ok(Ok(received)) => received,
            Ok(Err(reason)) => {
                self.log(upstream, &reason);
                return Tried::Silent;
            }
            Err(_) => {
                self.log(upstream, &format!("no response head within {} ms", self.shared.ttfb.as_millis()));
                return Tried::Silent;
            }
        };
        report.first_byte(since);
        let Received { response, connection } = received;
        let status = response.status();
        let persons_own = status == StatusCode::TOO_MANY_REQUESTS && upstream.limits_persons(self.person);
        if !fails_over(status) || persons_own {
            return Tried::Answered(Answered { response, connection, pool: pool.clone(), place });
        }
        if status == StatusCode::UNAUTHORIZED {
            upstream.credential_refused();
        }
        let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
        self.log_reply(upstream, response, connection).await;
        Tried::Failed(status, retry_after)
    }

    /// On a kept connection if there is one; a second time on a new one when that turns out to be closed.
    async fn send(&self, target: &Target, upstream: &Upstream, pool: &Pool) -> Result<Received, String> {
        if let Some(kept) = pool.take(Instant::now()) {
            match kept.send(self.request(target, upstream)?).await {
                Ok(received) => return Ok(received),
                Err(SendError::Stale) => {}
                Err(error) => return Err(describe(&error)),
            }
        }
        let fresh = upstream.connect(&self.shared.egress).await.map_err(|error| describe(&error))?;
        fresh.send(self.request(target, upstream)?).await.map_err(|error| describe(&error))
    }

    fn request(&self, target: &Target, upstream: &Upstream) -> Result<http::Request<crate::upstream::Spliced>, String> {
        let path = self.head.uri.path_and_query().map_or("/v1/messages", |path| path.as_str());
        let body = self.prompt.body(target.replacement.as_ref());
        upstream.request(path, &self.head.headers, self.person, body).map_err(|error| error.to_string())
    }

    fn log(&self, upstream: &Upstream, reason: &str) {
        let (request_id, upstream, model) = (self.request_id, &upstream.name, &self.route.model);
        tracing::warn!(request_id, upstream, model, reason, "the upstream failed");
    }

    /// A failing upstream's own words, for the operator only. They may repeat the request: only a provider's error message is
    /// kept, and only where it is the provider's error envelope.
    async fn log_reply(&self, upstream: &Upstream, response: Response<Incoming>, connection: Option<Connection>) {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), 64 * 1024);
        let collected = async {
            let Some(mut connection) = connection else { return Err(()) };
            let mut body = std::pin::pin!(body.collect());
            std::future::poll_fn(|cx| {
                if let std::task::Poll::Ready(done) = body.as_mut().poll(cx) {
                    return std::task::Poll::Ready(done.map_err(|_| ()));
                }
                let _ = connection.drive(cx);
                body.as_mut().poll(cx).map_err(|_| ())
            })
            .await
        };
        let words = match tokio::time::timeout(LOG_WAIT, collected).await {
            Ok(Ok(body)) => error_message(&body.to_bytes()),
            _ => "its reply could not be read".to_owned(),
        };
        let (request_id, upstream, model) = (self.request_id, &upstream.name, &self.route.model);
        tracing::warn!(request_id, upstream, model, status, words, "the upstream refused");
    }
}

impl Failures {
    fn remember(&mut self, status: StatusCode, retry_after: Option<HeaderValue>) {
        match status {
            StatusCode::TOO_MANY_REQUESTS => self.throttled = Some(retry_after),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.refused = Some(status),
            StatusCode::NOT_FOUND => self.unknown = true,
            StatusCode::NOT_IMPLEMENTED => self.unsupported = true,
            _ => {}
        }
    }

    fn verdict(self, configured: usize) -> Refusal {
        let Self { throttled, refused, unknown, unsupported, full, tried } = self;
        if tried == 0 && full > 0 {
            return Refusal::AllFull;
        }
        let plain = |status| AllFailed::Status { status, retry_after: None };
        Refusal::Upstreams(match (throttled, refused) {
            (Some(retry_after), _) => AllFailed::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after },
            (None, Some(status)) => plain(status),
            (None, None) if unknown => plain(StatusCode::NOT_FOUND),
            (None, None) if unsupported => plain(StatusCode::NOT_IMPLEMENTED),
            (None, None) => AllFailed::Nothing { configured },
        })
    }
}

fn fails_over(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 401 | 403 | 404 | 429 | 500..)
}

fn failure(status: StatusCode, retry_after: Option<&HeaderValue>) -> Failure {
    let seconds = retry_after.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    match seconds {
        Some(seconds) if status == StatusCode::TOO_MANY_REQUESTS => Failure::Throttled(Duration::from_secs(seconds)),
        _ => Failure::Other,
    }
}

/// An error and what caused it, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn error_message(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value["error"]["message"].as_str().or_else(|| value["message"].as_str());
    message.unwrap_or("no error message in its reply").chars().take(LOGGED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(statuses: &[u16]) -> (u16, String) {
        let mut failures = Failures::default();
        for status in statuses {
            failures.tried += 1;
            failures.remember(StatusCode::from_u16(*status).unwrap(), None);
        }
        let refusal = failures.verdict(3);
        (refusal.status().as_u16(), refusal.to_string())
    }

    #[test]
    fn the_answer_worth_telling_wins() {
        assert_eq!(verdict(&[429, 401, 404]).0, 429);
        assert_eq!(verdict(&[401, 403, 500]).0, 403, "the last of 401 and 403");
        assert_eq!(verdict(&[404, 501]).0, 404);
        assert_eq!(verdict(&[501, 500]).0, 501);
        assert_eq!(verdict(&[500, 529]), (502, "all upstreams failed (3 attempted)".to_owned()));
    }

    #[test]
    fn a_request_that_the_provider_blames_on_the_client_does_not_fail_over() {
        for status in [400, 402, 409, 413, 422] {
            assert!(!fails_over(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [301, 302, 304, 307, 308, 401, 403, 404, 429, 500, 501, 503, 529] {
            assert!(fails_over(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
