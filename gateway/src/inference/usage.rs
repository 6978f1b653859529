//! What a reply cost in tokens, as the provider reports it (Messages API, `usage`).

use std::{collections::BTreeMap, sync::LazyLock};

use memchr::memmem;
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

/// What the provider did for a reply beside it, which the totals of `usage` leave out: the steps of `usage.iterations` in which
/// another model gave advice, or the reply's own made the conversation shorter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Steps")]
pub struct Beside {
    /// By the model, as the provider calls it; `None`: the reply's own.
    by_model: BTreeMap<Option<String>, Counts>,
}

/// So many models, and no more, give advice on one reply.
const MOST_MODELS: usize = 8;

#[derive(Deserialize)]
struct Steps {
    iterations: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type", default)]
    kind: StepKind,
    model: Option<String>,
    #[serde(flatten)]
    usage: Usage,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepKind {
    AdvisorMessage,
    Compaction,
    /// In the totals.
    #[default]
    #[serde(other)]
    Other,
}

impl Beside {
    /// Whether it is worth looking: most replies have none.
    pub fn may_be_in(text: &[u8]) -> bool {
        static ITERATIONS: LazyLock<memmem::Finder<'_>> = LazyLock::new(|| memmem::Finder::new("\"iterations\""));
        ITERATIONS.find(text).is_some()
    }

    /// Of the text of a `usage` object.
    pub fn in_usage(text: &[u8]) -> Self {
        let is_there = Self::may_be_in(text);
        is_there.then(|| serde_json::from_slice(text).ok()).flatten().unwrap_or_default()
    }

    /// A later report says it all again.
    pub fn update(&mut self, later: Self) {
        if !later.by_model.is_empty() {
            *self = later;
        }
    }

    /// By canonical ids. What is of no model that is known is the reply's own `model`'s.
    pub fn told_apart(&self, model: &str, canonical: impl Fn(&str) -> Option<String>) -> BTreeMap<String, Counts> {
        let mut told = BTreeMap::new();
        for (name, counts) in &self.by_model {
            let name = name.as_deref().and_then(&canonical).unwrap_or_else(|| model.to_owned());
            let sum: &mut Counts = told.entry(name).or_default();
            *sum = *sum + *counts;
        }
        told
    }
}

impl From<Steps> for Beside {
    fn from(Steps { iterations }: Steps) -> Self {
        let mut by_model = BTreeMap::new();
        for Step { kind, model, usage } in iterations.unwrap_or_default() {
            let model = match kind {
                StepKind::AdvisorMessage => model,
                StepKind::Compaction => None,
                StepKind::Other => continue,
            };
            let is_one_too_many = by_model.len() >= MOST_MODELS && !by_model.contains_key(&model);
            let sum: &mut Counts = by_model.entry(model.filter(|_| !is_one_too_many)).or_default();
            // A step is no request of its own.
            *sum = *sum + Counts { requests: 0, ..usage.counts() };
        }
        Self { by_model }
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

    /// As the Messages API shows it for the advisor tool (beta `advisor-tool-2026-03-01`) and for compaction.
    #[test]
    fn advice_and_compaction_stand_beside_the_totals_and_are_told_apart_by_model() {
        let usage = br#"{"input_tokens":412,"output_tokens":531,"iterations":[
            {"type":"message","input_tokens":412,"output_tokens":89},
            {"type":"advisor_message","model":"claude-opus-5","input_tokens":823,"output_tokens":1612,"cache_read_input_tokens":5},
            {"type":"message","input_tokens":1348,"cache_read_input_tokens":412,"output_tokens":442},
            {"type":"advisor_message","model":"claude-opus-5","input_tokens":7,"output_tokens":8},
            {"type":"advisor_message","model":"who-is-this","output_tokens":1},
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"one_day","model":"claude-opus-5","output_tokens":9}]}"#;
        let beside = Beside::in_usage(usage);
        let known = |name: &str| (name == "claude-opus-5").then(|| "claude-opus-5".to_owned());
        let told = beside.told_apart("claude-sonnet-5", known);
        let counts = |input_tokens, output_tokens, cache_read_tokens| Counts {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            ..Counts::default()
        };
        let expected = [
            ("claude-opus-5".to_owned(), counts(830, 1_620, 5)),
            ("claude-sonnet-5".to_owned(), counts(180_000, 3_501, 0)),
        ];
        assert_eq!(told, BTreeMap::from(expected));
        let plain = br#"{"input_tokens":1,"iterations":[{"type":"message","input_tokens":1,"output_tokens":2}]}"#;
        assert_eq!(Beside::in_usage(plain), Beside::default());
        assert_eq!(Beside::in_usage(br#"{"iterations":null}"#), Beside::default());
    }

    #[test]
    fn many_models_that_nobody_knows_are_no_memory() {
        let steps: Vec<_> = (0..100)
            .map(|n| serde_json::json!({"type": "advisor_message", "model": format!("model {n}"), "output_tokens": 1}))
            .collect();
        let beside = Beside::in_usage(serde_json::json!({"iterations": steps}).to_string().as_bytes());
        assert!(beside.by_model.len() <= MOST_MODELS + 1);
        assert_eq!(beside.told_apart("own", |_| None)["own"].output_tokens, 100);
    }

    #[test]
    fn an_absurd_count_is_not_believed() {
        assert_eq!(counts(r#"{"output_tokens":18446744073709551615}"#).output_tokens, 1 << 40);
    }
}
