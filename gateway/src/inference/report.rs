//! What is said about a request when it is over, however it ended: one audit line and the counters.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde::Serialize;

use super::{
    consumption::Consumption,
    desk::Own,
    usage::{Beside, Usage},
    verdict::AuditedVerdict,
};
use crate::{
    door::request::Arrival,
    policy::PolicyKey,
    session::{Admitted, SessionId},
    spend::{Aftermath, Counts, Held, OpenReply},
    telemetry::metrics::{Counter, Endpoint},
    upstream::Upstream,
};

/// Where nothing says what text came to (`upstreams.md`).
pub const BYTES_PER_TOKEN: u64 = 4;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The reply was passed on to its end.
    Complete,
    /// The client left first.
    ClientGone,
    /// The upstream broke off or fell silent.
    UpstreamCut,
    /// We stopped it: the drain's deadline.
    Drained,
    Refused,
}

/// Collects what is known as a request goes along; dropped, it speaks.
pub struct Report {
    own: Rc<Own>,
    arrival: Arrival,
    admitted: Arc<Admitted>,
    pub endpoint: Endpoint,
    pub model: Option<String>,
    upstream: Option<Arc<str>>,
    /// Where that upstream's broken replies are counted.
    cuts: Option<Counter>,
    pub upstream_request_id: Option<String>,
    pub attempts: u32,
    pub status: u16,
    pub stream: bool,
    pub first_byte_ms: Option<u64>,
    /// When the head of the last answer came.
    pub answered_at: Instant,
    pub consumption: Consumption,
    pub ending: Ending,
    pub reason: Option<&'static str>,
    /// The policy under which it was decided.
    pub policy: Option<PolicyKey>,
    pub audited: Vec<AuditedVerdict>,
    pub aftermath: Aftermath,
    /// What the request holds of its person's limits, until there is a reply to charge it to.
    pub held: Option<Held>,
    reply: Option<OpenReply>,
    /// In tokens; counts where the provider has not said it.
    pub input_estimate: u64,
    awaited: Option<Awaited>,
    since: Instant,
}

/// An upstream that has not answered yet.
struct Awaited {
    upstream: Arc<str>,
    has_all: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Line<'a> {
    sub: &'a str,
    email: Option<&'a str>,
    session: &'a SessionId,
    client: IpAddr,
    endpoint: &'static str,
    model: Option<&'a str>,
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_request_id: Option<&'a str>,
    attempts: u32,
    status: u16,
    stream: bool,
    ending: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a PolicyKey>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    audited: &'a [AuditedVerdict],
    usage: &'a Usage,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    beside: &'a BTreeMap<String, Counts>,
    first_byte_ms: Option<u64>,
    duration_ms: u64,
}

impl Report {
    pub fn new(own: Rc<Own>, arrival: Arrival, admitted: Arc<Admitted>, endpoint: Endpoint) -> Self {
        own.shared.metrics.in_flight.inc();
        let since = Instant::now();
        Self {
            own,
            arrival,
            admitted,
            endpoint,
            model: None,
            upstream: None,
            cuts: None,
            upstream_request_id: None,
            attempts: 0,
            status: 0,
            stream: false,
            first_byte_ms: None,
            answered_at: since,
            consumption: Consumption::default(),
            ending: Ending::ClientGone,
            reason: None,
            policy: None,
            audited: Vec::new(),
            aftermath: Aftermath::default(),
            held: None,
            reply: None,
            input_estimate: 0,
            awaited: None,
            since,
        }
    }

    pub fn answered_by(&mut self, upstream: &Upstream) {
        self.upstream = Some(upstream.name.clone());
        upstream.attempts.answered.inc();
        self.cuts = Some(upstream.attempts.cut.clone());
    }

    pub fn first_byte(&mut self, since: Instant) {
        self.answered_at = Instant::now();
        let waited = self.answered_at.duration_since(since);
        self.own.shared.metrics.first_byte_seconds.observe(waited.as_secs_f64());
        self.first_byte_ms = Some(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }

    /// An upstream is about to be asked. To be set when it has the whole request: it then works for a client that leaves, too.
    pub fn awaits(&mut self, upstream: &Upstream) -> Arc<AtomicBool> {
        let has_all = Arc::<AtomicBool>::default();
        self.awaited = Some(Awaited { upstream: upstream.name.clone(), has_all: has_all.clone() });
        has_all
    }

    /// The upstream has answered, or failed: then nothing is charged.
    pub fn awaits_nobody(&mut self) {
        self.awaited = None;
    }

    /// An upstream has answered: from here on the reply counts.
    pub fn begin_reply(&mut self) {
        if self.endpoint == Endpoint::Messages
            && let (Some(model), Some(upstream)) = (&self.model, &self.upstream)
        {
            let subject = self.admitted.person().sub.clone();
            self.reply =
                Some(self.own.shared.ledger.reply(subject, model.clone(), (**upstream).to_owned(), self.held.take()));
        }
    }

    /// What the reply has come to so far. To be called before the bytes that say so are passed on.
    pub fn has_come_to(&mut self, usage: Usage, beside: &Beside) {
        if self.consumption.has_come_to(usage, beside, self.model.as_deref()) {
            self.record();
        }
    }

    /// A reply that succeeded has ended before it said what it came to, and this much of its text went by.
    pub fn ended_unsaid(&mut self, text_bytes: u64) {
        if self.endpoint == Endpoint::Messages && (200..300).contains(&self.status) {
            let passed = text_bytes / BYTES_PER_TOKEN;
            let said = &mut self.consumption.usage.output_tokens;
            *said = Some(said.unwrap_or_default().max(passed));
            self.estimate_input();
        }
    }

    /// The client has left an upstream that had begun to work for it.
    fn charge_awaited(&mut self) {
        if let Some(Awaited { upstream, has_all }) = self.awaited.take()
            && has_all.load(Ordering::Relaxed)
        {
            self.upstream = Some(upstream);
            self.begin_reply();
            if self.reply.is_some() {
                self.estimate_input();
            }
        }
    }

    fn estimate_input(&mut self) {
        let said = &mut self.consumption.usage.input_tokens;
        if said.is_none() {
            *said = Some(self.input_estimate);
            // A guess teaches nothing.
            self.aftermath.lesson = None;
        }
    }

    fn record(&mut self) {
        if let Some(reply) = &mut self.reply {
            self.consumption.record(reply);
        }
    }

    fn count(&self) {
        let Own { shared, handles, .. } = &*self.own;
        let metrics = &shared.metrics;
        metrics.in_flight.dec();
        // A client that left before there was a status was not answered.
        if self.status > 0 {
            handles.answered(self.endpoint, self.status);
        }
        if let Some(cuts) = self.cuts.as_ref().filter(|_| self.ending == Ending::UpstreamCut) {
            cuts.inc();
        }
        if let Some(reason) = self.reason {
            metrics.refuse(reason);
        }
        for AuditedVerdict { policy, verdict } in &self.audited {
            metrics.audited(&policy.0, verdict);
        }
        if let (Some(model), Endpoint::Messages) = (&self.model, self.endpoint) {
            self.consumption.count(model, handles);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.charge_awaited();
        // Also a reply without any usage is a request.
        self.record();
        let counts = self.reply.is_some().then(|| self.consumption.counts());
        for (place, over) in std::mem::take(&mut self.aftermath).conclude(counts, self.ending == Ending::Complete) {
            self.audited[place].verdict = over.key();
        }
        self.count();
        let person = self.admitted.person();
        let line = Line {
            sub: &person.sub.0,
            email: person.email.as_deref(),
            session: self.admitted.session(),
            client: self.arrival.client.0,
            endpoint: match self.endpoint {
                Endpoint::Messages => "messages",
                Endpoint::CountTokens => "count_tokens",
                Endpoint::Other => "other",
            },
            model: self.model.as_deref(),
            upstream: self.upstream.as_deref(),
            upstream_request_id: self.upstream_request_id.as_deref(),
            attempts: self.attempts,
            status: self.status,
            stream: self.stream,
            ending: self.ending,
            reason: self.reason,
            policy: self.policy.as_ref(),
            audited: &self.audited,
            usage: &self.consumption.usage,
            beside: &self.consumption.aside,
            first_byte_ms: self.first_byte_ms,
            duration_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.own.shared.audit.event("inference", self.arrival.request_id.as_str(), line);
    }
}
