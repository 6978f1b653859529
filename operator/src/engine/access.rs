//! The ways to the API server: one for the lease, one for everything else.
//!
//! Invariant: the client that controllers are given passes the fence with every write and notes what watches hear.

use std::time::Duration;

use kube::{Client, Config, client::ClientBuilder};
use tower::timeout::TimeoutLayer;

use super::{fence::Fence, progress::Progress, witness::Witness};

/// Until an answer begins, a watch's too: a call that was lost on its way keeps its object waiting no longer.
const ANSWER: Duration = Duration::from_secs(15);

/// A server that is frozen keeps its connections: what is silent for longer than any watch may be is broken off.
const SILENT: Duration = Duration::from_secs(295);
/// The lease is asked for again well before its end.
const LEASE_CALL: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(3);

/// For reads, watches and fenced writes.
pub fn controllers(mut config: Config, fence: &Fence, progress: &Progress) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENT);
    // A write is asked of the fence once; sent again later, it might pass when this replica leads no more.
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?
        .with_layer(progress)
        .with_layer(&TimeoutLayer::new(ANSWER))
        .with_layer(fence)
        .build())
}

/// For the lease only, and impatient: a renewal that hangs must not keep the next one from being tried.
pub fn election(mut config: Config, fence: &Fence, identity: &str) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(LEASE_CALL);
    config.write_timeout = Some(LEASE_CALL);
    // A kept connection that was not spoken on for as long is none that does not answer.
    config.reset_reader_on_write = true;
    // The election asks again by itself; the client's own tries come minutes apart in the end, and late into a lease that may be
    // another's.
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.with_layer(&Witness::new(fence.clone(), identity)).build())
}
