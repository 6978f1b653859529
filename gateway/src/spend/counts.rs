//! The counters of what people use.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

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

/// The counters in one order, for whoever does the same with each.
impl From<Counts> for [i64; 7] {
    fn from(counts: Counts) -> Self {
        let Counts {
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        } = counts;
        [
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        ]
    }
}

impl From<[i64; 7]> for Counts {
    fn from(counters: [i64; 7]) -> Self {
        let [
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        ] = counters;
        Self {
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        }
    }
}

impl Counts {
    fn with(self, other: Self, join: impl Fn(i64, i64) -> i64) -> Self {
        let (mut joined, others): ([i64; 7], [i64; 7]) = (self.into(), other.into());
        joined.iter_mut().zip(others).for_each(|(counter, other)| *counter = join(*counter, other));
        joined.into()
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, i64::saturating_add)
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, i64::saturating_sub)
    }
}
