//! What the door lets in: addresses, sizes, rates, and how long it waits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// The largest request that is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Largest body in bytes; a larger one gets 413 before it is read.
    #[serde(default = "body_bytes")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_request_bytes: u64,
    /// Largest sum of header bytes, else 431.
    #[serde(default = "header_bytes")]
    #[schemars(range(min = 1, max = 262_144))]
    pub max_request_header_bytes: u32,
    /// Longest request target in bytes, else 414.
    #[serde(default = "url_length")]
    #[schemars(range(min = 1, max = 65_534))]
    pub max_url_length: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_request_bytes: body_bytes(), max_request_header_bytes: header_bytes(), max_url_length: url_length() }
    }
}

/// How long the gateway waits for others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// How long an upstream may take to begin its answer, in milliseconds. The answer itself may take any time.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub upstream_ttfb_ms: u32,
    /// How long a pod that ends lets its streams run on, in seconds.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1, max = 3_600))]
    pub drain_seconds: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { upstream_ttfb_ms: two_minutes(), drain_seconds: ten_minutes() }
    }
}

/// Limits per client address on the sign-in pages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// Requests for a sign-in code.
    #[serde(default)]
    pub device_authorization: DeviceAuthorization,
    /// Codes typed into the verification page.
    #[serde(default)]
    pub device_verify: DeviceVerify,
}

/// Requests for a sign-in code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceAuthorization {
    /// How many an address may make within the window.
    #[serde(default = "thirty")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// Length of the window.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1, max = 86_400))]
    pub window_seconds: u32,
}

impl Default for DeviceAuthorization {
    fn default() -> Self {
        Self { max: thirty(), window_seconds: ten_minutes() }
    }
}

/// Codes typed into the verification page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceVerify {
    /// How many an address may make within the window.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// Length of the window.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1, max = 86_400))]
    pub window_seconds: u32,
}

impl Default for DeviceVerify {
    fn default() -> Self {
        Self { max: ten(), window_seconds: ten_minutes() }
    }
}

/// Which client addresses are served, after `exposure.trustedProxies` has been taken into account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessControl {
    /// Only these addresses and ranges are served; empty: all. Probes are always answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::networks")]
    pub allow_cidrs: Vec<String>,
    /// These addresses and ranges are refused, even where `allowCidrs` holds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::networks")]
    pub deny_cidrs: Vec<String>,
}

fn body_bytes() -> u64 {
    32 << 20
}

fn header_bytes() -> u32 {
    256 << 10
}

fn url_length() -> u32 {
    65_534
}

fn two_minutes() -> u32 {
    120_000
}

fn ten_minutes() -> u32 {
    600
}

fn thirty() -> u32 {
    30
}

fn ten() -> u32 {
    10
}
