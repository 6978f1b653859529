//! A reply on its way to the client: the upstream's bytes, the connection that brings them, and the tap that watches.
//!
//! The body reads its own upstream connection, and what one read brings is one write; see [`crate::upstream::http1`].
//! Events are passed on whole: what follows the last blank line waits for its rest, so a stream that breaks ends with an
//! `event: error` that a client can parse, never within a frame. A client that does not read stops the upstream: nothing is
//! taken while its socket is full.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::{
    held::Held,
    joined::join,
    link::Link,
    report::{Ending, Report},
    tap::Tap,
};
use crate::{
    door::RequestId,
    envelope,
    upstream::{Place, Pool, Reply, Taken},
};

/// Clients give up after 300 s of silence; so do we, a little earlier, and say why.
const SILENCE: Duration = Duration::from_secs(290);
/// How often a waiting reply looks up: at silence, and at the drain's deadline.
const PULSE: Duration = Duration::from_secs(1);

/// The upstream's side of a reply.
pub struct Source {
    /// Until it is over, or given up.
    pub reply: Option<Reply>,
    pub pool: Pool,
    pub place: Place,
    /// When the head came.
    pub since: Instant,
}

pub struct Relay {
    source: Source,
    tap: Tap,
    held: Held,
    size: SizeHint,
    link: Rc<Link>,
    pulse: Option<Pin<Box<Sleep>>>,
    last_byte: Instant,
    request_id: RequestId,
    end: End,
    report: Box<Report>,
}

/// Where the reply stands, as its client can see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// All of it was passed on.
    Clean,
    /// It broke off, and a last event says so.
    Told,
    /// It broke off where there is no way to say so but to break the body.
    Broken,
}

/// A reply that was no stream broke off; the client's connection is closed without a clean end.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's reply broke off")]
pub struct RelayError;

impl Relay {
    pub fn new(
        source: Source,
        headers: &HeaderMap,
        link: Rc<Link>,
        request_id: RequestId,
        report: Box<Report>,
    ) -> Self {
        Self {
            size: source.reply.as_ref().and_then(Reply::length).map(SizeHint::with_exact).unwrap_or_default(),
            last_byte: source.since,
            source,
            tap: Tap::of(headers),
            held: Held::default(),
            link,
            pulse: None,
            request_id,
            end: End::Open,
            report,
        }
    }

    /// What may go on to the client now; nothing where the upstream has nothing, and after the end.
    fn next(&mut self, cx: &mut Context<'_>) -> Bytes {
        loop {
            let Some(reply) = &mut self.source.reply else { return Bytes::new() };
            match reply.poll_take(cx) {
                Poll::Pending if self.last_byte.elapsed() >= SILENCE => {
                    return self.cut(Bytes::new(), Ending::UpstreamCut, "the upstream fell silent");
                }
                Poll::Pending => return Bytes::new(),
                Poll::Ready(Taken::Some(chunk)) => {
                    self.last_byte = Instant::now();
                    let whole = self.pass(chunk);
                    if !whole.is_empty() {
                        return whole;
                    }
                }
                Poll::Ready(Taken::Last(chunk)) => {
                    let last = self.pass(chunk);
                    return self.finish(last);
                }
                Poll::Ready(Taken::Broken(chunk)) => {
                    let last = self.pass(chunk);
                    self.source.reply = None;
                    return match &self.tap {
                        // All that was to be said was said.
                        Tap::Stream(tap) if tap.finished => self.finish(last),
                        _ => self.cut(last, Ending::UpstreamCut, "the upstream broke off its reply"),
                    };
                }
            }
        }
    }

    /// Shows the tap what came and returns what may go on: whole events of a stream, everything of anything else.
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        self.tap.look(&chunk);
        if let Some((usage, beside)) = self.tap.usage() {
            self.report.has_come_to(usage, beside);
        }
        match &self.tap {
            Tap::Stream(_) => self.held.whole_events(chunk),
            Tap::Json(_) | Tap::Blind(_) => chunk,
        }
    }

    /// The upstream's body is over. A stream that simply stops before its `message_stop` was cut, whatever HTTP says.
    fn finish(&mut self, last: Bytes) -> Bytes {
        if let Some(connection) = self.source.reply.take().and_then(Reply::into_connection) {
            self.source.pool.put(connection, self.last_byte);
        }
        if let Tap::Stream(tap) = &self.tap
            && !tap.finished
        {
            return self.cut(last, Ending::UpstreamCut, "the upstream ended its reply early");
        }
        self.end = End::Clean;
        self.report.ending = Ending::Complete;
        join(last, self.held.bytes.split().freeze())
    }

    /// Ends the reply here: an error event after the last whole one, or nothing where there is no way to say it.
    fn cut(&mut self, last: Bytes, ending: Ending, why: &str) -> Bytes {
        self.report.ending = ending;
        self.source.reply = None;
        self.held.bytes.clear();
        if !matches!(self.tap, Tap::Stream(_)) {
            self.end = End::Broken;
            return last;
        }
        self.end = End::Told;
        let data = envelope::body(StatusCode::INTERNAL_SERVER_ERROR, why, self.request_id.as_str());
        let torn: &[u8] = if self.held.torn { b"\n\n" } else { b"" };
        join(last, [torn, b"event: error\ndata: ", data.as_ref(), b"\n\n"].concat().into())
    }

    /// Wakes once in a while: a silent upstream and the drain's deadline send nothing that would.
    fn pulse(&mut self, cx: &mut Context<'_>) -> bool {
        let pulse = self.pulse.get_or_insert_with(|| Box::pin(sleep(PULSE)));
        if pulse.as_mut().poll(cx).is_pending() {
            return false;
        }
        pulse.as_mut().reset(tokio::time::Instant::now() + PULSE);
        let _ = pulse.as_mut().poll(cx);
        true
    }

    fn frame(&self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match (self.end, bytes.is_empty()) {
            (End::Broken, _) => Poll::Ready(Some(Err(RelayError))),
            (End::Open, true) => Poll::Pending,
            (End::Clean | End::Told, true) => Poll::Ready(None),
            (_, false) => {
                self.link.queue(bytes.len());
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = self.get_mut();
        if this.end != End::Open {
            return Poll::Ready(None);
        }
        loop {
            let mut bytes = Bytes::new();
            if this.link.cut.get() {
                bytes = this.cut(bytes, Ending::Drained, "the gateway is restarting; send the request again");
            } else if this.link.takes() {
                bytes = this.next(cx);
            }
            if this.end != End::Open || !bytes.is_empty() || !this.pulse(cx) {
                return this.frame(bytes);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end != End::Open
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.end == End::Open && self.link.cut.get() {
            self.report.ending = Ending::Drained;
        }
        if let Some(text_bytes) = self.tap.unsaid() {
            self.report.ended_unsaid(text_bytes);
        }
    }
}
