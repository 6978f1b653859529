//! Limits that the gateway enforces.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Per person. Input, cache writes and output count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenLimits {
    /// Largest input of one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub max_input_tokens: Option<u64>,
    /// Largest output that one request may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub max_output_tokens: Option<u64>,
    /// Tokens in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub tokens_per_day: Option<u64>,
    /// Tokens in a month, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub tokens_per_month: Option<u64>,
    /// Requests in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub requests_per_minute: Option<u64>,
    /// Requests at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_u64, max = 1_000_000_000_000_000_u64))]
    pub concurrent_requests: Option<u64>,
    /// Count tokens read from the cache as well; false unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_cache_reads: Option<bool>,
}
