//! The life of gateways in a real cluster: two nodes, the operator by its chart, people at work through an ingress.
//!
//! All tests have one cluster and take turns; each leaves the world as it found it.

#![expect(clippy::unwrap_used, reason = "a cluster that does not stand fails its test")]
#![expect(clippy::print_stdout, reason = "figures, and what is not tried on this machine")]

mod arrival;
mod certificates;
mod containers;
mod edits;
mod kill;
mod outage;
mod release;
mod replacement;
mod stage;
