//! One connection to an upstream, used by one request at a time and polled by whoever waits for its reply.

use std::{
    future::poll_fn,
    io, mem,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

use super::{
    body::{Body, Framing},
    head::{self, Head, HeadError},
    outgoing::Outgoing,
    wire::Wire,
};
use crate::upstream::Spliced;

/// How soon a closed connection tells that it was closed already. Whoever is silent for longer may have been at work on the
/// request, which is then not sent again.
const AGE: Duration = Duration::from_secs(1);

/// A connection on which nothing is under way.
pub struct Connection {
    wire: Wire,
    was_used: bool,
}

/// A response head, and its body to come.
pub struct Received {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub reply: Reply,
}

/// A reply's body, with the connection that it comes through.
pub struct Reply {
    connection: Connection,
    outgoing: Outgoing,
    body: Body,
    /// What came with the head.
    content: Vec<u8>,
    length: Option<u64>,
    is_kept: bool,
}

/// A piece of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Some(Bytes),
    /// The body ends after this.
    Last(Bytes),
    /// It breaks off after this.
    Broken(Bytes),
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A kept connection turned out to be closed; the request may be sent again on a new one.
    #[error("the kept connection was closed by the upstream")]
    Stale,
    #[error("the upstream closed the connection without an answer")]
    Closed,
    #[error("the upstream closed the connection within its response head")]
    Cut,
    #[error("the connection to the upstream broke: {0}")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    Head(#[from] HeadError),
}

impl SendError {
    /// What a server's keep-alive timeout looks like from here: the end of the connection before any answer.
    fn may_be_the_connections_age(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            Self::Closed => true,
            Self::Broken(error) => {
                matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
            }
            Self::Stale | Self::Cut | Self::Head(_) => false,
        }
    }
}

impl Connection {
    pub fn over(wire: Wire) -> Self {
        Self { wire, was_used: false }
    }

    /// As far as one can know.
    pub fn is_open(&self) -> bool {
        self.wire.is_silent()
    }

    /// Sends and waits for the response head. An upstream may answer before it has all of the request, which goes on meanwhile.
    pub async fn send(mut self, request: Request<Spliced>) -> Result<Received, SendError> {
        let was_used = mem::replace(&mut self.was_used, true);
        let begun = Instant::now();
        let mut outgoing = Outgoing::of(request);
        // An upstream that refuses a request unread may close its ear before it speaks: what it says still comes.
        let mut unheard = None;
        let mut heard = Heard::default();
        let answer = poll_fn(|cx| {
            if unheard.is_none()
                && let Poll::Ready(Err(error)) = outgoing.poll(&mut self.wire, cx)
            {
                unheard = Some(error);
            }
            let answer = ready!(heard.poll(&mut self.wire, cx));
            Poll::Ready(answer.map_err(|error| match (unheard.take(), error) {
                (Some(first), SendError::Closed | SendError::Broken(_)) => SendError::Broken(first),
                (_, error) => error,
            }))
        });
        match answer.await {
            // Some servers say so when they close a connection that was idle (RFC 9110 section 15.5.9).
            Ok(Answer { head, .. }) if was_used && head.status == StatusCode::REQUEST_TIMEOUT && !head.is_kept => {
                Err(SendError::Stale)
            }
            Ok(answer) => Ok(Received::new(self, outgoing, answer)),
            Err(error) => {
                let may_be_its_age = was_used && !heard.anything && begun.elapsed() < AGE;
                Err(if may_be_its_age && error.may_be_the_connections_age() { SendError::Stale } else { error })
            }
        }
    }
}

/// What has come of a response head.
#[derive(Default)]
struct Heard {
    anything: bool,
    /// Of a head that came in pieces.
    partial: Vec<u8>,
}

/// A response head, and what came with it of the body.
struct Answer {
    head: Head,
    body: Body,
    content: Vec<u8>,
}

impl Heard {
    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<Answer, SendError>> {
        loop {
            if let Some(answer) = ready!(wire.poll_read(cx, |bytes| self.take(bytes)))?? {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<Answer>, SendError> {
        if bytes.is_empty() {
            return Err(if self.partial.is_empty() { SendError::Closed } else { SendError::Cut });
        }
        self.anything = true;
        if self.partial.is_empty() {
            return self.read(bytes);
        }
        let mut all = mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        self.read(&all)
    }

    /// The final head; those before it (RFC 9110 section 15.2) say nothing that anybody here waits for.
    fn read(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, SendError> {
        while let Some(head) = head::read(bytes)? {
            bytes = &bytes[head.length..];
            if !head.status.is_informational() {
                let mut body = Body::new(head.framing);
                let mut content = Vec::with_capacity(bytes.len());
                body.decode(bytes, &mut content);
                return Ok(Some(Answer { head, body, content }));
            }
        }
        self.partial.extend_from_slice(bytes);
        Ok(None)
    }
}

impl Received {
    fn new(connection: Connection, outgoing: Outgoing, Answer { head, body, content }: Answer) -> Self {
        let Head { status, headers, framing, is_kept, .. } = head;
        let length = match framing {
            Framing::Counted(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        };
        Self { status, headers, reply: Reply { connection, outgoing, body, content, length, is_kept } }
    }
}

impl Reply {
    /// Where it was said.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// There is nothing to take but the last of it.
    pub fn is_empty(&self) -> bool {
        self.body.is_over() && self.content.is_empty()
    }

    /// What one read brings.
    pub fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Taken> {
        let Self { connection: Connection { wire, .. }, outgoing, body, content, .. } = self;
        if !outgoing.is_done() {
            // Where the rest of a request finds nobody, the reply says what there is to say.
            let _ = outgoing.poll(wire, cx);
        }
        while content.is_empty() && !body.is_over() && !body.is_broken() {
            let read = wire.poll_read(cx, |bytes| {
                if bytes.is_empty() {
                    body.end();
                } else {
                    content.reserve_exact(bytes.len());
                    body.decode(bytes, content);
                }
            });
            if ready!(read).is_err() {
                return Poll::Ready(Taken::Broken(Bytes::new()));
            }
        }
        let mut content = mem::take(content);
        // Who frames little content with much else shall not have it kept.
        if content.len() < content.capacity() / 4 {
            content.shrink_to_fit();
        }
        let content = content.into();
        Poll::Ready(match &self.body {
            body if body.is_over() => Taken::Last(content),
            body if body.is_broken() => Taken::Broken(content),
            _ => Taken::Some(content),
        })
    }

    /// The connection, where the reply is over and another request may follow.
    pub fn into_connection(self) -> Option<Connection> {
        let Self { connection, outgoing, body, content, is_kept, .. } = self;
        (is_kept && outgoing.is_done() && body.is_over_and_done() && content.is_empty()).then_some(connection)
    }

    /// Reads a short reply to its end, and the connection if it can be used again. Nothing, where the reply is longer than
    /// `most` or breaks.
    pub async fn collect(mut self, most: usize) -> (Bytes, Option<Connection>) {
        let mut all = Vec::new();
        loop {
            let taken = poll_fn(|cx| self.poll_take(cx)).await;
            match &taken {
                Taken::Some(piece) | Taken::Last(piece) if all.len() + piece.len() <= most => {
                    all.extend_from_slice(piece);
                }
                _ => return (Bytes::new(), None),
            }
            if matches!(taken, Taken::Last(_)) {
                return (all.into(), self.into_connection());
            }
        }
    }
}

#[cfg(test)]
mod tests;
