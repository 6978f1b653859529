//! `ClaudeGateway`: one gateway, from its public address to the accounts it spends from.
//!
//! Every section that `gateway.yaml` has and this version acts on is here under the same name in camel case. What the
//! operator decides (keys that sign, the journal, readiness, where policies are) is not.

pub mod admin;
pub mod database;
pub mod door;
pub mod exposure;
pub mod image;
pub mod model;
pub mod network;
pub mod observation;
pub mod oidc;
pub mod pod;
pub mod policies;
pub mod scaling;
pub mod session;
pub mod status;
pub mod upstream;

use std::borrow::Cow;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

pub use status::ClaudeGatewayStatus;

use crate::{schema, text};

/// What the gateway shall be.
#[derive(Debug, Clone, PartialEq, CustomResource, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "claude-gateway.dev",
    version = "v1alpha1",
    kind = "ClaudeGateway",
    namespaced,
    shortname = "cgw",
    category = "claude",
    status = "ClaudeGatewayStatus",
    derive = "PartialEq",
    schema = "manual",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether people can sign in and work through it."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready, or is not."
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", description = "What developers are told."),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Pods that are ready."
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "The version that all ready pods run."
    ),
    printcolumn(
        name = "Database",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="DatabaseReady")].status"#,
        description = "Whether Postgres answers and its schema is up to date.",
        priority = 1
    ),
    printcolumn(
        name = "Identity",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="IdentityProviderReady")].status"#,
        description = "Whether the identity provider answers as it should.",
        priority = 1
    ),
    printcolumn(
        name = "Policies",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="PoliciesSynced")].status"#,
        description = "Whether every pod enforces the newest policies.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What to do next.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(has(self.replicas) && has(self.autoscaling))",
    "replicas stands beside autoscaling, which decides how many pods there are: remove one of the two",
))]
#[x_kube(validation = (
    "(has(self.development) && self.development.allowPlainHttp) || (self.oidc.issuer.startsWith('https://') && \
     (!has(self.oidc.discoveryUrl) || self.oidc.discoveryUrl.startsWith('https://')))",
    "oidc.issuer and oidc.discoveryUrl must be https: over http anyone on the way can sign in as anyone; for a trial set \
     development.allowPlainHttp",
))]
#[x_kube(validation = (
    "(has(self.development) && self.development.allowPlainHttp) || self.upstreams.all(upstream, \
     !has(upstream.provider.anthropic) || !has(upstream.provider.anthropic.baseUrl) || \
     upstream.provider.anthropic.baseUrl.startsWith('https://'))",
    "upstreams: baseUrl must be https, or the credential crosses the network in clear; for a trial set \
     development.allowPlainHttp",
))]
#[x_kube(validation = (
    "!has(self.models) || self.models.all(model, !has(model.upstreamModel) || model.upstreamModel.all(entry, \
     self.upstreams.exists(upstream, upstream.name == entry.upstream)))",
    "models: upstreamModel names an upstream that upstreams does not hold: write one of their names, or remove the entry",
))]
pub struct ClaudeGatewaySpec {
    /// The origin that developers and the identity provider see, such as `https://claude.example.com`. Sign-in redirects and
    /// tokens are bound to it; no forwarded header ever stands in for it.
    #[schemars(schema_with = "text::public_url")]
    pub public_url: String,
    /// How many pods there are; 2 unless said. Not together with `autoscaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub replicas: Option<i32>,
    /// Between how many pods the load decides. Not together with `replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<scaling::Autoscaling>,
    /// The image of the pods; the one of the operator's own version unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<image::Image>,
    /// How `publicUrl` reaches the pods.
    pub exposure: exposure::Exposure,
    /// The Postgres database that the gateway keeps its state in.
    pub database: database::Database,
    /// The company's OpenID Connect provider and who may sign in.
    pub oidc: oidc::Oidc,
    /// How long a sign-in lasts. The keys that sign are made and rotated by the operator.
    #[serde(default)]
    pub session: session::Session,
    /// Where inference goes.
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub upstreams: Vec<upstream::Upstream>,
    /// What is added to the built-in list of models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub models: Vec<model::Model>,
    /// Serve the built-in list of models too.
    #[serde(default = "yes")]
    pub auto_include_builtin_models: bool,
    /// The largest request that is read.
    #[serde(default)]
    pub limits: door::Limits,
    /// How long the gateway waits for others.
    #[serde(default)]
    pub timeouts: door::Timeouts,
    /// Limits per client address on the sign-in pages, which nobody has to sign in for.
    #[serde(default)]
    pub rate_limits: door::RateLimits,
    /// Which client addresses are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_control: Option<door::AccessControl>,
    /// The admin API; present, it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<admin::Admin>,
    /// What limits do while the database does not answer.
    #[serde(default)]
    pub enforcement: admin::Enforcement,
    /// Prometheus metrics of the pods.
    #[serde(default)]
    pub metrics: observation::Metrics,
    /// How much the pods log.
    #[serde(default)]
    pub log_level: observation::LogLevel,
    /// What of the pods is yours to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<pod::PodTemplate>,
    /// What may connect to the pods, and what they may connect to.
    #[serde(default)]
    pub network_policy: network::NetworkPolicy,
    /// The proxy through which the pods reach the world, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<network::Proxy>,
    /// Which UserPolicies of other namespaces are accepted. Those of the gateway's own always are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<policies::Policies>,
    /// For trying things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<Development>,
}

/// For trying things out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Development {
    /// `oidc.issuer`, `oidc.discoveryUrl` and the upstreams' `baseUrl` may be http: whoever is on the way reads credentials
    /// and can sign in as anyone.
    #[serde(default)]
    pub allow_plain_http: bool,
}

pub(crate) fn yes() -> bool {
    true
}

impl JsonSchema for ClaudeGateway {
    fn schema_name() -> Cow<'static, str> {
        "ClaudeGateway".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::object::<ClaudeGatewaySpec, ClaudeGatewayStatus>(
            "A self-hosted gateway for Claude Code: sign-in with the company's identity provider, policies, limits, and the \
             way to the model providers. Strings in it are never expanded.",
            schema::Strings::WithoutReferences,
        )
    }
}
