//! What every request passes before it meets a room: client address, access lists, size limits, a request id, and the choice
//! between the data path and the other routes.
//!
//! Invariant: a room behind the door can rely on [`request::Arrival`], on bounded heads and URLs, and on a peer that may be
//! here.

pub mod activity;
pub mod chatter;
pub mod client_address;
pub mod connection;
pub mod listener;
pub mod reply;
pub mod request;
pub mod service;
pub mod stream;
pub mod tls;
pub mod watch;

pub use request::{Arrival, ClientAddress, RequestId};
pub use service::Door;
