//! The Kubernetes vocabulary: what a `ClaudeGateway` and a `UserPolicy` may say, and how the API server judges it.
//!
//! Invariants: a credential stands in an object only as a reference to a Secret of the object's own namespace; every text,
//! list and map has a bound; what one object can show to be wrong, the schema refuses with a remedy. The ranges are those of
//! `gateway.yaml` and of a policy row, which the operator renders from these types. No client, no I/O.

#![expect(
    clippy::duplicated_attributes,
    reason = "the lint takes the like-named parts of several printer columns for one attribute said twice"
)]
#![expect(unreachable_pub, reason = "KubeSchema copies each type into the function that makes its schema")]

pub mod files;
pub mod gateway;
pub mod permission;
pub mod policy;
mod schema;
mod secret;
mod text;

pub use gateway::{ClaudeGateway, ClaudeGatewaySpec, ClaudeGatewayStatus};
pub use permission::NotPermitted;
pub use policy::{UserPolicy, UserPolicySpec, UserPolicyStatus};
pub use secret::{CaCertificate, ConfigMapKeyRef, CredentialsRef, SecretKeyRef};

/// The API group of both kinds.
pub const GROUP: &str = "claude-gateway.dev";

/// On a ClaudeGateway or a UserPolicy, with the value `true`: the operator changes nothing for it.
pub const PAUSED: &str = "claude-gateway.dev/paused";

/// On a ClaudeGateway: another value makes pods take the operator's own image now, where the object names none wholly.
pub const TAKE_IMAGE: &str = "claude-gateway.dev/take-image";

/// The label that a Secret has to carry before an object may refer to it, and its value: whoever may write objects only
/// could otherwise send a Secret that they cannot read to a server of theirs.
pub const PERMITTED_USE: (&str, &str) = ("claude-gateway.dev/use", "gateway");
