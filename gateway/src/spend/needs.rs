//! What one request needs of each limit that its person has.

use gateway_config::TokenLimits;

use super::{Amount, Estimate, Meter, escrow::Heard, outlook::Outlook};

/// Never more than one of a meter. The longest period comes first: who has used up a month should not be told to come back
/// in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    all: [Option<Need>; 5],
    pub count_cache_reads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub meter: Meter,
    pub limit: Amount,
    /// More than 0.
    pub amount: Amount,
}

impl Need {
    pub(super) fn outlook(self, heard: &Heard) -> Outlook<'_> {
        let Self { meter, limit, amount: _ } = self;
        Outlook { meter, limit, heard }
    }
}

impl Needs {
    pub fn of(limits: &TokenLimits, estimate: Estimate) -> Self {
        let TokenLimits {
            max_input_tokens: _,
            max_output_tokens: _,
            tokens_per_minute,
            tokens_per_day,
            tokens_per_month,
            requests_per_minute,
            concurrent_requests,
            count_cache_reads,
        } = *limits;
        let count_cache_reads = count_cache_reads.unwrap_or(false);
        let tokens = estimate.tokens(count_cache_reads);
        let need = |meter, limit: Option<u64>, amount| {
            let limit = Amount::try_from(limit?).unwrap_or(Amount::MAX);
            Some(Need { meter, limit, amount })
        };
        let all = [
            need(Meter::TokensPerMonth, tokens_per_month, tokens),
            need(Meter::TokensPerDay, tokens_per_day, tokens),
            need(Meter::TokensPerMinute, tokens_per_minute, tokens),
            need(Meter::RequestsPerMinute, requests_per_minute, 1),
            need(Meter::ConcurrentRequests, concurrent_requests, 1),
        ];
        Self { all, count_cache_reads }
    }

    pub fn iter(&self) -> impl Iterator<Item = Need> {
        self.all.iter().flatten().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
