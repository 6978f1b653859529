//! What the ledger counts, and by what.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::Subject;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsageKey {
    pub subject: Subject,
    /// The canonical id: a closed set.
    pub model: String,
    pub upstream: String,
    /// The full hour, UTC, in which the reply began.
    pub hour: DateTime<Utc>,
}

/// Counters of one key; each is priced apart, so none is folded into another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    /// Cache writes kept for five minutes, and those that say nothing of it.
    pub cache_write_5m_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub web_search_requests: i64,
}

/// What was counted since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDelta {
    pub key: UsageKey,
    pub counts: Counts,
}
