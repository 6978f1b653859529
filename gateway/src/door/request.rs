//! What the door knows about a request, given to the rooms behind it as request extensions.

use std::net::IpAddr;

/// The client's own address: the peer's, or what a trusted proxy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// `req_` and 32 hex digits; in the reply's headers, the audit line and the error pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);
