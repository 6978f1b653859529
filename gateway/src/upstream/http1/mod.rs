//! HTTP/1.1 as a model provider speaks it (RFC 9112), on one connection: a request whose length is known, then its reply.
//!
//! Heads are parsed by `httparse`; connection and body are our own, because this is the path of every reply. A client library
//! hands a body over chunk by chunk, with a state machine driven for each: that was a third of what a stream of small deltas
//! cost the gateway. Here one read of the socket is one piece of the reply, however many chunks it came in, and a reply that
//! waits holds no buffer.
//!
//! Invariant: [`Connection`] has nothing under way. Another one comes only out of a [`Reply`] that is over, whose request went
//! whole and after which nothing came.

pub mod body;
mod connection;
mod head;
mod outgoing;
mod wire;

pub use connection::{Connection, Received, Reply, SendError, Taken};
pub use head::HeadError;
pub use wire::Wire;
