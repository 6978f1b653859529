//! One request, tried at upstreams in order until one answers (`upstreams.md`, "Failover").
//!
//! 429, 401, 403, 404, 501, any 5xx, no connection and no response head in time go to the next upstream; any other status is
//! the answer. A redirect is a failure too: followed, it would take the prompt and the credential where the operator has not
//! sent them; passed on, it would show the client the operator's own addresses. Nothing is tried again once a response head
//! was passed on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, StatusCode, header, uri::PathAndQuery};
use hyper::body::Incoming;
use tokio::time::timeout_at;

use super::{
    body::Prompt,
    desk::Shared,
    failures::Failures,
    models::{GrantedModel, Target},
    refusal::Refusal,
    report::Report,
};
use crate::{
    clock::{Clock, SystemClock},
    identity::Person,
    upstream::{Failure, Place, Pool, Pools, Received, SendError, Spliced, Upstream, choice::Candidate, in_order},
};

/// How much of a failing upstream's reply is read to find its kind.
const LOGGED: usize = 64 * 1024;
const LOG_WAIT: Duration = Duration::from_secs(2);

/// The reply that the client gets.
pub struct Answered {
    pub received: Received,
    pub pool: Pool,
    pub place: Place,
}

pub struct Attempts<'r> {
    pub shared: &'r Arc<Shared>,
    pub pools: &'r Pools,
    pub request_id: &'r str,
    pub request: &'r Request<Incoming>,
    pub prompt: &'r Prompt,
    pub person: &'r Person,
    pub route: &'r GrantedModel,
}

#[expect(clippy::large_enum_variant, reason = "it is made once and taken apart at once, mostly the large one")]
enum Tried {
    Answered(Answered),
    /// With the seconds of its `retry-after`.
    Failed(StatusCode, Option<u64>),
    /// No response head: nothing to tell the client.
    Silent,
    Full,
}

impl Attempts<'_> {
    pub async fn first_answer(&self, report: &mut Report) -> Result<Answered, Refusal> {
        let mut failures = Failures::default();
        // Whoever is closed, or is being probed by somebody else, comes after all others, in the same order.
        let mut later = Vec::new();
        for target in self.order() {
            let upstream = &self.shared.upstreams[target.upstream];
            let now = Instant::now();
            if !upstream.health.claim(&self.route.model, now) {
                later.push(target);
            } else if let Some(answered) = self.answer(target, now, report, &mut failures).await {
                return Ok(answered);
            }
        }
        for target in later {
            if let Some(answered) = self.answer(target, Instant::now(), report, &mut failures).await {
                return Ok(answered);
            }
        }
        Err(failures.verdict(self.shared.upstreams.len()))
    }

    async fn answer(
        &self,
        target: &Target,
        since: Instant,
        report: &mut Report,
        failures: &mut Failures,
    ) -> Option<Answered> {
        let upstream = &self.shared.upstreams[target.upstream];
        match self.one(target, upstream, since, report).await {
            Tried::Answered(answered) => {
                upstream.health.answered(&self.route.model, report.answered_at);
                upstream.credential_accepted();
                report.answered_by(upstream);
                return Some(answered);
            }
            Tried::Full => failures.full += 1,
            Tried::Silent => self.failed(upstream, Some(Failure::Other), failures),
            Tried::Failed(status, retry_after) => {
                self.failed(upstream, failure(status, retry_after), failures);
                failures.remember(status, retry_after);
            }
        }
        None
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
        let session = self.request.headers().get("x-claude-code-session-id").and_then(|id| id.to_str().ok());
        let key = session.unwrap_or(&self.person.sub.0);
        in_order(&candidates, key).into_iter().map(|n| &targets[n]).collect()
    }

    fn failed(&self, upstream: &Upstream, failure: Option<Failure>, failures: &mut Failures) {
        failures.tried += 1;
        upstream.attempts.failed_over.inc();
        if let Some(failure) = failure {
            upstream.health.failed(&self.route.model, failure, Instant::now(), self.jitter());
        }
    }

    /// The request id is random, and a request needs no better dice.
    fn jitter(&self) -> f64 {
        let byte = self.request_id.get(4..6).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        f64::from(byte.unwrap_or(128)) / 255.0
    }

    async fn one(&self, target: &Target, upstream: &Upstream, since: Instant, report: &mut Report) -> Tried {
        let Some(place) = upstream.place() else { return Tried::Full };
        let pool = self.pools.of(target.upstream);
        report.attempts += 1;
        let has_all = report.awaits(upstream);
        let sent = self.send(target, upstream, (pool, since), &has_all);
        let received = timeout_at((since + self.shared.ttfb).into(), sent).await;
        report.awaits_nobody();
        let received = match received {
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
        let status = received.status;
        let persons_own = status == StatusCode::TOO_MANY_REQUESTS && upstream.limits_persons(self.person);
        if !fails_over(status) || persons_own {
            return Tried::Answered(Answered { received, pool: pool.clone(), place });
        }
        if status == StatusCode::UNAUTHORIZED {
            upstream.credential_refused();
        }
        let retry_after = received.headers.get(header::RETRY_AFTER).and_then(seconds);
        self.log_reply(upstream, received, pool);
        Tried::Failed(status, retry_after)
    }

    /// On a kept connection if there is one; a second time on a new one when that turns out to be closed.
    async fn send(
        &self,
        target: &Target,
        upstream: &Upstream,
        (pool, now): (&Pool, Instant),
        has_all: &Arc<AtomicBool>,
    ) -> Result<Received, String> {
        if let Some(kept) = pool.take(now) {
            match kept.send(self.outgoing(target, upstream, has_all)?).await {
                Ok(received) => return Ok(received),
                Err(SendError::Stale) => has_all.store(false, Ordering::Relaxed),
                Err(error) => return Err(describe(&error)),
            }
        }
        let fresh = Box::pin(upstream.connect(&self.shared.egress)).await.map_err(|error| describe(&error))?;
        fresh.send(self.outgoing(target, upstream, has_all)?).await.map_err(|error| describe(&error))
    }

    fn outgoing(
        &self,
        target: &Target,
        upstream: &Upstream,
        has_all: &Arc<AtomicBool>,
    ) -> Result<Request<Spliced>, String> {
        let path = self.request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/v1/messages"));
        let body = self.prompt.body(target.replacement.as_ref()).saying_when_sent(has_all.clone());
        upstream.request(&path, self.request.headers(), self.person, body).map_err(|error| error.to_string())
    }

    fn log(&self, upstream: &Upstream, reason: &str) {
        let (request_id, upstream, model) = (self.request_id, &*upstream.name, &self.route.model);
        tracing::warn!(request_id, upstream, model, reason, "the upstream failed");
    }

    /// What kind of error it was, for the operator. Not its message: a proxy's may quote the prompt. Nobody waits for it, and
    /// the connection can be used again.
    fn log_reply(&self, upstream: &Upstream, received: Received, pool: &Pool) {
        let (request_id, upstream) = (self.request_id.to_owned(), upstream.name.clone());
        let (model, pool) = (self.route.model.clone(), pool.clone());
        tokio::task::spawn_local(async move {
            let status = received.status.as_u16();
            let collected = tokio::time::timeout(LOG_WAIT, received.reply.collect(LOGGED)).await;
            let (body, connection) = collected.unwrap_or_default();
            let kind = error_kind(&body);
            tracing::warn!(request_id, %upstream, model, status, kind, "the upstream refused");
            if let Some(connection) = connection {
                pool.put(connection, Instant::now());
            }
        });
    }
}

fn fails_over(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 401 | 403 | 404 | 429 | 500..)
}

/// What a failing status says of the upstream. A 403, 404 or 501 speaks of this request, which a person can provoke: it is
/// tried elsewhere, and closes nothing.
fn failure(status: StatusCode, retry_after: Option<u64>) -> Option<Failure> {
    match (status.as_u16(), retry_after) {
        (429, Some(seconds)) => Some(Failure::Throttled(Duration::from_secs(seconds))),
        (403 | 404 | 501, _) => None,
        _ => Some(Failure::Other),
    }
}

/// `Retry-After` in seconds, from either of its forms (RFC 9110 section 10.2.3).
fn seconds(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    text.parse().ok().or_else(|| {
        let then = httpdate::parse_http_date(text).ok()?;
        Some(then.duration_since(SystemClock.now().into()).map_or(0, |wait| wait.as_secs()))
    })
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

/// The `type` of the Messages API's error envelope, or a proxy's `code`; nothing else of its words.
fn error_kind(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &value["error"];
    let kind = ["type", "code"].iter().find_map(|name| error[name].as_str()).or_else(|| error.as_str());
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    kind.unwrap_or("unnamed").chars().filter(plain).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
