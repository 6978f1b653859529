//! Model providers: who serves a model, whether they are well, what proves us to them, and the wire to them.
//!
//! Invariant: every connection is opened through `gateway-egress`, and the client's credentials never get here: a request is
//! built from an allow-list of the client's headers plus the operator's own.

pub mod choice;
pub mod condition;
pub mod credential;
pub mod federation;
pub mod health;
pub mod http1;
pub mod pool;
pub mod provider;
pub mod splice;

pub use choice::in_order;
pub use condition::Condition;
pub use credential::{Credential, CredentialError};
pub use health::{Failure, Health, Verdict};
pub use http1::{Connection, Received, Reply, SendError, Taken};
pub use pool::{Pool, Pools};
pub use provider::{Place, Upstream, UpstreamError};
pub use splice::Spliced;
