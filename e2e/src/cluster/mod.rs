//! A Kubernetes of a test's own, from its own servers' programs: nothing in it is a fake.
//!
//! Invariant: what was started ends with its handle, and with the process that holds that, also one that is killed: no
//! process, mount, cgroup or file is left. The machine's network and files are untouched.

mod audit;
mod cgroup;
mod daemon;
mod edit;
pub mod foreign;
mod front;
mod gate;
mod ground;
mod image;
mod kubeconfig;
mod kubectl;
mod namespaces;
mod node;
mod outbound;
mod plane;
pub mod pod;
mod programs;
pub mod sample;
pub mod surroundings;
mod verdict;
mod whole;

pub use audit::{Call, Mark};
pub use daemon::Daemon;
pub use edit::Edit;
pub use front::Front;
pub use gate::{Gate, Passing, Trouble};
pub use image::Image;
pub use kubeconfig::Kubeconfig;
pub use kubectl::Kubectl;
pub use namespaces::{HEAD, Visit};
pub use node::Node;
pub use outbound::{Asked, Outbound};
pub use plane::{Backup, Plane};
pub use pod::Pod;
pub use programs::Programs;
pub use surroundings::Surroundings;
pub use verdict::verdicts;
pub use whole::Cluster;
