//! `UserPolicy`: what applies to whom on one gateway.
//!
//! Strings in it are never expanded: a settings document may hold `${…}` as plain text.

pub mod limits;
pub mod matching;
pub mod models;
pub mod retention;
pub mod status;

use std::borrow::Cow;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use status::UserPolicyStatus;

use crate::{schema, text};

/// What applies to the people it matches.
#[derive(Debug, Clone, PartialEq, CustomResource, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "claude-gateway.dev",
    version = "v1alpha1",
    kind = "UserPolicy",
    plural = "userpolicies",
    namespaced,
    shortname = "upol",
    category = "claude",
    status = "UserPolicyStatus",
    derive = "PartialEq",
    schema = "manual",
    selectable = ".spec.gatewayRef.name",
    selectable = ".spec.gatewayRef.namespace",
    printcolumn(
        name = "Gateway",
        type_ = "string",
        json_path = ".spec.gatewayRef.name",
        description = "Whose policy it is."
    ),
    printcolumn(
        name = "Priority",
        type_ = "integer",
        json_path = ".spec.priority",
        description = "Higher is tried first."
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "Whether it decides, or is on trial."
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#,
        description = "Whether the gateway takes it."
    ),
    printcolumn(
        name = "Synced",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Synced")].status"#,
        description = "Whether every pod enforces it as it stands."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].reason"#,
        description = "Why it is accepted, or is not."
    ),
    printcolumn(
        name = "Enforcing",
        type_ = "integer",
        json_path = ".status.enforcingReplicas",
        description = "Pods that enforce it as it stands."
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.replicas",
        description = "Pods that there are.",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.revision",
        description = "The revision that brought its last change.",
        priority = 1
    ),
    printcolumn(
        name = "People",
        type_ = "integer",
        json_path = ".status.people",
        description = "People it applied to in the last 24 hours.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].message"#,
        description = "What to do next.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.models) || !has(self.claudeCode) || !(has(self.claudeCode.availableModels) || \
     has(self.claudeCode.deniedModels) || has(self.claudeCode.availableModelsMatch))",
    "claudeCode says availableModels, deniedModels or availableModelsMatch, and models says which models there are: remove \
     them from claudeCode",
))]
pub struct UserPolicySpec {
    /// The gateway that it is for. It cannot change.
    #[x_kube(validation = (
        "self == oldSelf",
        "cannot change: delete the policy, and create it for the other gateway",
    ))]
    pub gateway_ref: GatewayRef,
    /// Higher is tried first; equals by namespace and name. The first that matches a person is merged onto the one with the
    /// empty match.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub priority: i32,
    /// Whom it is for; all parts that are written have to match. Empty: everyone, and the base of all others, of which a gateway
    /// has one.
    #[serde(default, rename = "match")]
    pub matcher: matching::Match,
    /// Which models there are; every one unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<models::Models>,
    /// Limits that the gateway enforces, per person. Input, cache writes and output count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_limits: Option<limits::TokenLimits>,
    /// What may be kept, and where. The stricter of two policies wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<retention::Retention>,
    /// A managed-settings document of Claude Code, as its settings reference has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::claude_code")]
    #[x_kube(validation = (
        "!has(self.mcpServers)",
        "has mcpServers, which clients do not read from managed settings: write managedMcpServers",
    ))]
    pub claude_code: Option<Map<String, Value>>,
    /// Settings of Claude Desktop. Present, even if empty, Desktop may sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::desktop")]
    #[x_kube(validation = (
        "!has(self.bootstrapUrl) && !has(self.expiresAt)",
        "has bootstrapUrl or expiresAt, which the gateway sets itself: remove them",
    ))]
    pub desktop: Option<Map<String, Value>>,
    /// Enforce, or Audit: log what it would decide, and let the next match decide.
    #[serde(default)]
    pub mode: Mode,
}

/// A ClaudeGateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// The gateway's name.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// The gateway's namespace; the policy's own unless said. The gateway has to allow policies of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::label")]
    pub namespace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum Mode {
    #[default]
    Enforce,
    Audit,
}

impl JsonSchema for UserPolicy {
    fn schema_name() -> Cow<'static, str> {
        "UserPolicy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::object::<UserPolicySpec, UserPolicyStatus>(
            "Which models, limits and client settings apply to whom on one gateway. Strings in it are never expanded.",
            schema::Strings::AsTheyAre,
        )
    }
}
