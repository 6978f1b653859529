//! What the operator's chart promises, seen in what helm makes of it.

#![expect(clippy::unwrap_used, reason = "a chart that does not render fails its test")]

mod argo;
mod crds;
mod dry_run;
mod flux;
mod lint;
mod made;
mod metrics;
mod network;
mod pods;
mod rbac;
mod release;
mod render;
mod stage;
mod values;
