//! Where a Messages API request is served: its story from the bearer to the first byte.

use std::{rc::Rc, sync::Arc, time::Duration};

use gateway_egress::Egress;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{
    allowance::{Asking, Limits, allow},
    attempts::{Answered, Attempts},
    body::{self, Bounds, Prompt},
    link::Link,
    models::Models,
    refusal::Refusal,
    relay::{Relay, Source},
    report::{Ending, Report},
    verdict,
};
use crate::{
    door::{
        Arrival, RequestId,
        reply::{Content, REQUEST_ID},
    },
    identity::Person,
    policy::{Applied, Effective, LivePolicies},
    session::{Admitted, Verifier},
    spend::Ledger,
    telemetry::{Audit, Handles, Metrics, metrics::Endpoint},
    upstream::{Pools, Received, Upstream},
};

/// What a provider says and what the door adds.
const HEADERS_OF_A_REPLY: usize = 12;

/// What every thread's desk shares.
pub struct Shared {
    pub verifier: Arc<Verifier>,
    pub models: Arc<Models>,
    pub policies: Arc<LivePolicies>,
    /// Where somebody asks whom policies have applied to.
    pub applied: Option<Arc<Applied>>,
    pub upstreams: Vec<Upstream>,
    pub egress: Arc<Egress>,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    pub bounds: Bounds,
    pub ttfb: Duration,
    pub ledger: Arc<Ledger>,
}

impl Shared {
    /// What holds for somebody who is served now.
    pub fn effective(&self, person: &Person) -> Arc<Effective> {
        let effective = self.policies.effective(person);
        if let Some(applied) = &self.applied {
            applied.note(&effective, &person.sub);
        }
        effective
    }
}

/// One thread's: the shared parts and its own idle connections.
pub struct Desk {
    own: Rc<Own>,
    pools: Pools,
}

/// What the requests of one thread have in common. A request holds it by a count that no other thread has in its cache.
pub struct Own {
    pub shared: Arc<Shared>,
    pub handles: Handles,
    verifier: Verifier,
}

impl Desk {
    /// For one of so many threads.
    pub fn new(shared: Arc<Shared>, threads: usize) -> Self {
        let pools = Pools::new(shared.upstreams.len());
        Self {
            pools,
            own: Rc::new(Own {
                handles: Handles::on(shared.metrics.clone()),
                verifier: shared.verifier.twin(threads),
                shared,
            }),
        }
    }

    pub async fn serve(
        &self,
        endpoint: Endpoint,
        arrival: Arrival,
        link: &Rc<Link>,
        mut request: Box<Request<Incoming>>,
    ) -> Response<Content> {
        let admitted = match self.own.verifier.admit_sender(request.headers()) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                body::discard(request.body_mut()).await;
                return self.turn_away(endpoint, &arrival, &refusal.into());
            }
        };
        let request_id = arrival.request_id;
        let mut report = Box::new(Report::new(self.own.clone(), arrival, admitted.clone(), endpoint));
        match self.forward(request_id.as_str(), &admitted, &mut request, &mut report).await {
            Ok(answered) => {
                report.begin_reply();
                relayed(answered, link, request_id, report)
            }
            Err(refusal) => {
                report.status = refusal.status().as_u16();
                report.ending = Ending::Refused;
                report.reason = Some(refusal.reason());
                refusal.response(request_id.as_str()).map(|body| Content::Whole(Some(body)))
            }
        }
    }

    fn turn_away(&self, endpoint: Endpoint, arrival: &Arrival, refusal: &Refusal) -> Response<Content> {
        let Own { shared, handles, verifier: _ } = &*self.own;
        shared.metrics.refuse(refusal.reason());
        handles.answered(endpoint, refusal.status().as_u16());
        let fields = serde_json::json!({"client": arrival.client.0.to_string(), "reason": refusal.reason()});
        shared.audit.event_of_stranger("auth.denied", arrival.request_id.as_str(), fields);
        refusal.response(arrival.request_id.as_str()).map(|body| Content::Whole(Some(body)))
    }

    async fn forward(
        &self,
        request_id: &str,
        admitted: &Admitted,
        request: &mut Request<Incoming>,
        report: &mut Report,
    ) -> Result<Answered, Refusal> {
        let shared = &self.own.shared;
        let prompt = Prompt::parse(body::read(request.body_mut(), shared.bounds).await?)?;
        report.stream = prompt.stream;
        let models = &shared.models;
        report.model = models.canonical(&prompt.model).map(str::to_owned);
        let effective = shared.effective(admitted.person());
        report.audited = verdict::of_audited(models, &prompt, &effective);
        if !prompt.other_models.is_empty() {
            report.consumption.models = Some(models.clone());
        }
        report.policy = effective.applied().cloned();
        let granted = models.grant_all(&prompt.model, &prompt.other_models, &effective)?;
        if report.endpoint == Endpoint::Messages {
            let (subject, headers) = (&admitted.person().sub, request.headers());
            let asking = Asking { request_id, subject, headers, prompt: &prompt, model: &granted };
            allow(shared, &effective, &asking, report).await?;
        }
        let attempts = Attempts {
            shared,
            pools: &self.pools,
            request_id,
            request,
            prompt: &prompt,
            person: admitted.person(),
            route: &granted,
        };
        attempts.first_answer(report).await
    }
}

fn relayed(answered: Answered, link: &Rc<Link>, request_id: RequestId, mut report: Box<Report>) -> Response<Content> {
    let (Answered { received, pool, place }, at) = (answered, report.answered_at);
    let Received { status, headers, reply: body } = received;
    report.status = status.as_u16();
    // A header's text is ASCII.
    report.upstream_request_id =
        headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(|id| id[..id.len().min(100)].to_owned());
    let headers = retained(headers);
    if body.is_empty() {
        report.ending = Ending::Complete;
        if let Some(connection) = body.into_connection() {
            pool.put(connection, at);
        }
        return reply(status, headers, Content::Whole(None));
    }
    let source = Source { reply: Some(body), pool, place, since: at };
    let relay = Relay::new(source, &headers, link.clone(), request_id, report);
    reply(status, headers, Content::Relay(Box::new(relay)))
}

fn reply(status: StatusCode, headers: HeaderMap, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What a client may know of the upstream's reply.
fn retained(headers: HeaderMap) -> HeaderMap {
    let mut retained = HeaderMap::with_capacity(HEADERS_OF_A_REPLY);
    let mut passing = None;
    // Only the first of the values of one name comes with the name.
    for (name, value) in headers {
        if name.is_some() {
            passing = name.filter(may_pass);
        }
        if let Some(name) = &passing {
            retained.append(name.clone(), value);
        }
    }
    retained
}

/// What else a provider or a proxy in between says can name the operator's account, or instruct a proxy in front.
fn may_pass(name: &HeaderName) -> bool {
    const PASSED: [&str; 6] =
        ["cache-control", "content-encoding", "content-length", "content-type", "retry-after", "x-should-retry"];
    const ACCOUNT: [&str; 3] = ["anthropic-organization-", "anthropic-ratelimit-", "anthropic-workspace-"];
    let name = name.as_str();
    PASSED.contains(&name) || name.starts_with("anthropic-") && !ACCOUNT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_names_the_operators_account_passes() {
        let mut headers = HeaderMap::new();
        let names = [
            "content-type",
            "retry-after",
            "anthropic-organization-id",
            "anthropic-ratelimit-unified-status",
            "anthropic-new-thing",
            "set-cookie",
            "connection",
            "x-amzn-requestid",
            "request-id",
            "cf-ray",
            "via",
            "alt-svc",
            "x-should-retry",
        ];
        for name in names {
            headers.insert(name, http::HeaderValue::from_static("x"));
        }
        headers.append("anthropic-new-thing", http::HeaderValue::from_static("another"));
        headers.append("set-cookie", http::HeaderValue::from_static("another"));
        let headers = retained(headers);
        let mut left: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        left.sort_unstable();
        let expected = ["anthropic-new-thing", "anthropic-new-thing", "content-type", "retry-after", "x-should-retry"];
        assert_eq!(left, expected);
    }
}
