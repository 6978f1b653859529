//! A reply on its way to the client: the upstream's bytes, the connection that brings them, and the tap that watches.
//!
//! The body drives its own upstream connection and joins the chunks that are ready into one write; see
//! [`crate::upstream::connection`]. Events are passed on whole: what follows the last blank line waits for its rest, so a
//! stream that breaks ends with an `event: error` that a client can parse, never within a frame. A client that does not read
//! stops the upstream: nothing is taken while its socket is full.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::{
    refusal::envelope,
    report::{Ending, Report},
    tap::{JsonTap, StreamTap, Tap, last_boundary},
};
use crate::upstream::{Connection, Place, Pool};

const JOINED: usize = 16 * 1024;
/// More is not given to a connection before it has written.
const QUEUED: usize = 2 * JOINED;
/// A frame larger than this is passed on in pieces.
const LARGEST_HELD: usize = 256 * 1024;
/// Clients give up after 300 s of silence; so do we, a little earlier, and say why.
const SILENCE: Duration = Duration::from_secs(290);
/// How often a waiting reply looks up: at silence, and at the drain's deadline.
const PULSE: Duration = Duration::from_secs(1);

/// What the connection to the client and its replies tell each other.
#[derive(Debug)]
pub struct Link {
    /// HTTP/1.1: the one reply is held back by the socket. The streams of HTTP/2 are tasks of their own, which a socket that
    /// takes again does not wake; their windows hold them back.
    holds_back: bool,
    /// The client's socket takes no more for now.
    pub full: Cell<bool>,
    /// Bytes given to the connection since it last wrote. Without a bound on them hyper takes sixteen buffers from a fast
    /// upstream before it writes the first.
    pub queued: Cell<usize>,
    /// The drain's deadline has come: end what is open.
    pub cut: Cell<bool>,
}

impl Link {
    pub fn new(holds_back: bool) -> Self {
        Self { holds_back, full: Cell::default(), queued: Cell::default(), cut: Cell::default() }
    }

    pub fn is_one_reply_at_a_time(&self) -> bool {
        self.holds_back
    }

    fn takes(&self) -> bool {
        !self.holds_back || !self.full.get() && self.queued.get() < QUEUED
    }

    fn queue(&self, bytes: usize) {
        self.queued.set(self.queued.get() + bytes);
    }

    /// The socket was offered bytes. True when a reply may wait to hear that it took them.
    pub fn written(&self, taken: bool) -> bool {
        let was_bounded = self.queued.replace(0) >= QUEUED;
        let was_full = self.full.replace(!taken);
        taken && (was_full || was_bounded)
    }
}

/// The upstream's side of a reply.
pub struct Source {
    pub body: Incoming,
    pub connection: Option<Connection>,
    pub pool: Pool,
    pub place: Place,
}

pub struct Relay {
    source: Source,
    tap: Tap,
    held: Held,
    size: SizeHint,
    link: Rc<Link>,
    pulse: Option<Pin<Box<Sleep>>>,
    last_byte: Instant,
    request_id: String,
    ended: bool,
    report: Report,
}

impl Relay {
    pub fn new(source: Source, headers: &HeaderMap, link: Rc<Link>, request_id: String, report: Report) -> Self {
        Self {
            size: source.body.size_hint(),
            source,
            tap: tap_for(headers),
            held: Held::default(),
            link,
            pulse: None,
            last_byte: Instant::now(),
            request_id,
            ended: false,
            report,
        }
    }

    /// Takes what is ready, up to one write's worth. `None`: nothing for now.
    fn take(&mut self, cx: &mut Context<'_>) -> Taken {
        let mut chunks = Joined::default();
        let mut driven = false;
        loop {
            match Pin::new(&mut self.source.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    driven = false;
                    if let Ok(data) = frame.into_data() {
                        chunks.push(data);
                        // A counted body is known to be over with its last byte, and hyper does not ask again after it.
                        if self.source.body.is_end_stream() {
                            return Taken::Last(chunks.into_bytes());
                        }
                        if chunks.len() >= JOINED {
                            return Taken::Some(chunks.into_bytes());
                        }
                    }
                }
                Poll::Ready(Some(Err(_))) => return Taken::Broken(chunks.into_bytes()),
                Poll::Ready(None) => return Taken::Last(chunks.into_bytes()),
                // Nothing decoded yet: let the connection read and decode, then look once more.
                Poll::Pending if driven => return chunks.waiting(),
                Poll::Pending => {
                    driven = true;
                    if self.source.connection.as_mut().is_some_and(|connection| connection.drive(cx).is_ready()) {
                        self.source.connection = None;
                    }
                }
            }
        }
    }

    /// The connection goes back to the pool at once if it is idle, else as soon as it is.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(mut connection) = self.source.connection.take() else { return };
        if connection.drive(cx).is_ready() {
            return;
        }
        let pool = self.source.pool.clone();
        if connection.is_open() {
            return pool.put(connection, Instant::now());
        }
        tokio::task::spawn_local(async move {
            if let Some(connection) = connection.idle().await {
                pool.put(connection, Instant::now());
            }
        });
    }

    /// Shows the tap what came and returns what may go on: whole events of a stream, everything of anything else.
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        match &mut self.tap {
            Tap::Blind => chunk,
            Tap::Json(tap) => {
                tap.look(&chunk);
                chunk
            }
            Tap::Stream(tap) => {
                tap.look(&chunk);
                self.held.whole_events(chunk)
            }
        }
    }

    /// The reply is whole. A stream that simply stops before its `message_stop` was cut, whatever HTTP says.
    fn finish(&mut self, cx: &mut Context<'_>, last: Bytes) -> Bytes {
        self.give_back(cx);
        self.ended = true;
        if let Tap::Stream(tap) = &self.tap
            && !tap.finished
        {
            return self.cut(last, Ending::UpstreamCut, "the upstream ended its reply early");
        }
        self.report.ending = Ending::Complete;
        join(last, &self.held.bytes.split())
    }

    /// Ends the reply here: an error event after the last whole one, or nothing where there is no way to say it.
    fn cut(&mut self, last: Bytes, ending: Ending, why: &str) -> Bytes {
        self.ended = true;
        self.report.ending = ending;
        self.source.connection = None;
        self.held.bytes.clear();
        if !matches!(self.tap, Tap::Stream(_)) {
            return last;
        }
        let data = envelope(StatusCode::INTERNAL_SERVER_ERROR, why, &self.request_id);
        let torn: &[u8] = if self.held.torn { b"\n\n" } else { b"" };
        join(last, &[torn, b"event: error\ndata: ", data.as_ref(), b"\n\n"].concat())
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

    /// The reply's end as the client's side sees it: an event where the format has one, else a broken body.
    fn frame(&self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let broken = self.ended && self.report.ending != Ending::Complete && !matches!(self.tap, Tap::Stream(_));
        match (bytes.is_empty(), broken) {
            (_, true) => Poll::Ready(Some(Err(RelayError))),
            (true, false) if self.ended => Poll::Ready(None),
            (true, false) => Poll::Pending,
            (false, false) => {
                self.link.queue(bytes.len());
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

/// A reply that was no stream broke off; the client's connection is closed without a clean end.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's reply broke off")]
pub struct RelayError;

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if this.link.cut.get() {
            let end = this.cut(Bytes::new(), Ending::Drained, "the gateway is restarting; send the request again");
            return this.frame(end);
        }
        loop {
            if this.link.takes() {
                let bytes = match this.take(cx) {
                    Taken::Nothing => Bytes::new(),
                    Taken::Some(chunk) => {
                        this.last_byte = Instant::now();
                        let whole = this.pass(chunk);
                        if whole.is_empty() {
                            continue;
                        }
                        whole
                    }
                    Taken::Last(chunk) => {
                        let last = this.pass(chunk);
                        this.finish(cx, last)
                    }
                    Taken::Broken(chunk) => {
                        let last = this.pass(chunk);
                        this.source.connection = None;
                        match &this.tap {
                            // All that was to be said was said.
                            Tap::Stream(tap) if tap.finished => this.finish(cx, last),
                            _ => this.cut(last, Ending::UpstreamCut, "the upstream broke off its reply"),
                        }
                    }
                };
                if !bytes.is_empty() || this.ended {
                    return this.frame(bytes);
                }
                if this.last_byte.elapsed() >= SILENCE {
                    let end = this.cut(Bytes::new(), Ending::UpstreamCut, "the upstream fell silent");
                    return this.frame(end);
                }
            }
            if !this.pulse(cx) {
                return Poll::Pending;
            }
            if this.link.cut.get() {
                let end = this.cut(Bytes::new(), Ending::Drained, "the gateway is restarting; send the request again");
                return this.frame(end);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.report.usage = self.tap.usage();
        if !self.ended && self.link.cut.get() {
            self.report.ending = Ending::Drained;
        }
    }
}

/// One look at the upstream.
enum Taken {
    Nothing,
    Some(Bytes),
    /// The upstream's body ended cleanly after this.
    Last(Bytes),
    /// It broke after this.
    Broken(Bytes),
}

/// Chunks that came together. A lone one passes without a copy; a second one starts a joined buffer.
#[derive(Default)]
struct Joined {
    first: Option<Bytes>,
    rest: Option<BytesMut>,
}

impl Joined {
    fn push(&mut self, chunk: Bytes) {
        match (&mut self.rest, self.first.take()) {
            (Some(rest), _) => rest.extend_from_slice(&chunk),
            (None, None) => self.first = Some(chunk),
            (none, Some(first)) => {
                let mut joined = BytesMut::with_capacity((first.len() + chunk.len()).max(JOINED / 2));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&chunk);
                *none = Some(joined);
            }
        }
    }

    fn len(&self) -> usize {
        self.rest.as_ref().map_or(0, BytesMut::len) + self.first.as_ref().map_or(0, Bytes::len)
    }

    fn into_bytes(self) -> Bytes {
        self.rest.map(BytesMut::freeze).or(self.first).unwrap_or_default()
    }

    fn waiting(self) -> Taken {
        if self.len() == 0 { Taken::Nothing } else { Taken::Some(self.into_bytes()) }
    }
}

/// The beginning of an event whose end has not come.
#[derive(Default)]
struct Held {
    bytes: BytesMut,
    /// The event was too large to be held and is being passed on in pieces.
    torn: bool,
}

impl Held {
    /// What is whole of the held bytes and `chunk` together; the rest is held.
    fn whole_events(&mut self, chunk: Bytes) -> Bytes {
        let boundary = last_boundary(&chunk);
        if self.torn {
            // A newline alone may stand anywhere in the event.
            self.torn = boundary != Some(chunk.len()) || chunk.len() < 2;
            return chunk;
        }
        match boundary {
            // The usual case: a chunk of whole events, passed on as it is.
            Some(end) if self.bytes.is_empty() => {
                self.bytes.extend_from_slice(&chunk[end..]);
                chunk.slice(..end)
            }
            _ => {
                self.bytes.extend_from_slice(&chunk);
                match last_boundary(&self.bytes) {
                    Some(end) => self.bytes.split_to(end).freeze(),
                    // A comment keeps a connection alive, so it must not wait for an event.
                    None if only_comments(&self.bytes) => self.bytes.split().freeze(),
                    None if self.bytes.len() > LARGEST_HELD => {
                        self.torn = true;
                        self.bytes.split().freeze()
                    }
                    None => Bytes::new(),
                }
            }
        }
    }
}

fn only_comments(lines: &[u8]) -> bool {
    lines.ends_with(b"\n") && lines.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b":"))
}

fn join(first: Bytes, second: &[u8]) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first,
        (true, false) => Bytes::copy_from_slice(second),
        (false, false) => [first.as_ref(), second].concat().into(),
    }
}

fn tap_for(headers: &HeaderMap) -> Tap {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    if headers.contains_key(header::CONTENT_ENCODING) {
        Tap::Blind
    } else if kind.starts_with(b"text/event-stream") {
        Tap::Stream(StreamTap::default())
    } else if kind.starts_with(b"application/json") {
        Tap::Json(JsonTap::default())
    } else {
        Tap::Blind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(pieces: &[&str]) -> (Vec<String>, Held) {
        let mut held = Held::default();
        let passed = pieces
            .iter()
            .map(|piece| held.whole_events(Bytes::copy_from_slice(piece.as_bytes())))
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            .collect();
        (passed, held)
    }

    #[test]
    fn whole_events_pass_at_once_and_half_ones_wait() {
        let (passed, held) = through(&["data: a\n\n", "data: b\n", "\ndata: c", "\n\ndata: d\n\nda"]);
        assert_eq!(passed, ["data: a\n\n", "", "data: b\n\n", "data: c\n\ndata: d\n\n"]);
        assert_eq!(held.bytes, "da");
    }

    #[test]
    fn a_comment_without_a_blank_line_passes_at_once() {
        let (passed, held) = through(&[": keep-alive\n", ": again\n", ": ", "half\ndata: a\n", "\n"]);
        assert_eq!(passed, [": keep-alive\n", ": again\n", "", "", ": half\ndata: a\n\n"]);
        assert!(held.bytes.is_empty());
    }

    #[test]
    fn a_frame_too_large_to_hold_is_passed_on_in_pieces_until_it_ends() {
        let huge = "x".repeat(LARGEST_HELD + 1);
        let (passed, held) = through(&["data: ", &huge, "\n", "y\n\n", "data: b"]);
        assert_eq!(passed[1].len(), LARGEST_HELD + 1 + 6);
        assert_eq!(passed[2..], ["\n", "y\n\n", ""]);
        assert!(!held.torn && held.bytes == "data: b");
    }

    #[test]
    fn chunks_that_come_together_are_one_write_and_a_lone_one_is_not_copied() {
        let lone = Bytes::from_static(b"abc");
        let mut joined = Joined::default();
        joined.push(lone.clone());
        assert_eq!(joined.into_bytes().as_ptr(), lone.as_ptr());
        let mut joined = Joined::default();
        ["a", "bc", "d"].iter().for_each(|part| joined.push(Bytes::copy_from_slice(part.as_bytes())));
        assert_eq!(joined.len(), 4);
        assert_eq!(joined.into_bytes(), "abcd");
    }
}
