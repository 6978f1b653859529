//! What a reply cost in tokens, as the provider reports it (Messages API, `usage`).

use serde::{Deserialize, Serialize};

use crate::spend::Counts;

/// No reply comes to more: a provider that says so is not believed, and no sum overflows.
const MOST: u64 = 1 << 40;

/// Later reports replace earlier ones field by field: `message_start` opens, the last `message_delta` closes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_creation_input_tokens: Option<u64>,
    pub cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    pub cache_creation: Option<CacheCreation>,
    #[serde(default)]
    pub server_tool_use: Option<ServerToolUse>,
}

/// Cache writes by how long they are kept; they are priced apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct CacheCreation {
    pub ephemeral_5m_input_tokens: Option<u64>,
    pub ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ServerToolUse {
    pub web_search_requests: Option<u64>,
}

impl Usage {
    pub fn update(&mut self, later: &Self) {
        let Self {
            input_tokens,
            output_tokens,
            cache_creation_input_tokens,
            cache_read_input_tokens,
            cache_creation,
            server_tool_use,
        } = later;
        self.input_tokens = input_tokens.or(self.input_tokens);
        self.output_tokens = output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = cache_creation.or(self.cache_creation);
        self.server_tool_use = server_tool_use.or(self.server_tool_use);
    }

    /// For the ledger: a reply, and what it has come to. Cache writes that say nothing of how long they are kept are kept for
    /// five minutes.
    pub fn counts(&self) -> Counts {
        let count = |reported: Option<u64>| reported.unwrap_or_default().min(MOST).cast_signed();
        let kept = self.cache_creation.unwrap_or_default();
        let cache_write_1h_tokens = count(kept.ephemeral_1h_input_tokens);
        let others = count(self.cache_creation_input_tokens) - cache_write_1h_tokens;
        Counts {
            requests: 1,
            input_tokens: count(self.input_tokens),
            output_tokens: count(self.output_tokens),
            cache_read_tokens: count(self.cache_read_input_tokens),
            cache_write_5m_tokens: others.max(count(kept.ephemeral_5m_input_tokens)),
            cache_write_1h_tokens,
            web_search_requests: count(self.server_tool_use.and_then(|used| used.web_search_requests)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(usage: &str) -> Counts {
        serde_json::from_str::<Usage>(usage).unwrap().counts()
    }

    #[test]
    fn each_kind_counts_apart_and_nothing_twice() {
        let all = r#"{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3,"cache_creation_input_tokens":9,
            "cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5},"server_tool_use":{"web_search_requests":6}}"#;
        let expected = Counts {
            requests: 1,
            input_tokens: 1,
            output_tokens: 2,
            cache_read_tokens: 3,
            cache_write_5m_tokens: 4,
            cache_write_1h_tokens: 5,
            web_search_requests: 6,
        };
        assert_eq!(counts(all), expected);
    }

    #[test]
    fn cache_writes_without_a_kind_are_of_five_minutes() {
        assert_eq!(counts(r#"{"cache_creation_input_tokens":9}"#).cache_write_5m_tokens, 9);
        let only_kinds = counts(r#"{"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}}"#);
        assert_eq!((only_kinds.cache_write_5m_tokens, only_kinds.cache_write_1h_tokens), (4, 5));
    }

    #[test]
    fn an_absurd_count_is_not_believed() {
        assert_eq!(counts(r#"{"output_tokens":18446744073709551615}"#).output_tokens, 1 << 40);
    }
}
