//! Why a limit refuses a request, in one sentence that names it, and when the same request would pass.
//!
//! The first two begin as the Messages API's own refusals do: by these words Claude Code knows that it has to compact the
//! conversation, or to ask for less.

use std::fmt;

use super::{Amount, Meter, Unit, meter::Period};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    #[error("prompt is too long: {estimate} tokens > {most} maximum ({limit}; the tokens are an estimate)")]
    Prompt { estimate: u64, most: u64, limit: PromptLimit },
    #[error(
        "max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens \
         (max_output_tokens of the policy that applies to you)"
    )]
    Output { asked: u64, most: u64 },
    /// No waiting helps: only a smaller request, or one of somebody who has used nothing for a while.
    #[error("this request takes about {needed} tokens, more than all of {}; make it smaller", Named(*.meter, *.limit))]
    Larger { meter: Meter, limit: Amount, needed: Amount },
    #[error("{} is reached; {}", Named(*.meter, *.limit), Again(*.meter, *.retry_after))]
    Reached { meter: Meter, limit: Amount, retry_after: u64 },
    /// The store is away, and the operator wants nobody to pass unchecked.
    #[error("{} cannot be checked at the moment; ask the operator of this gateway", Named(*.meter, *.limit))]
    Unchecked { meter: Meter, limit: Amount },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptLimit {
    Policy,
    /// The model's own.
    Context,
}

/// How a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The same request can never pass.
    Change,
    /// The same request passes after so many seconds, if nothing else is asked for.
    Wait(u64),
    /// Nobody knows when it passes; asking again and again does not help.
    Stop,
}

impl OverLimit {
    pub fn advice(&self) -> Advice {
        match self {
            Self::Prompt { .. } | Self::Output { .. } => Advice::Change,
            Self::Reached { retry_after, .. } => Advice::Wait(*retry_after),
            Self::Larger { .. } | Self::Unchecked { .. } => Advice::Stop,
        }
    }

    /// The key in the policy: a label of metrics and audit.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Prompt { limit: PromptLimit::Policy, .. } => "max_input_tokens",
            Self::Prompt { limit: PromptLimit::Context, .. } => "model_context",
            Self::Output { .. } => "max_output_tokens",
            Self::Larger { meter, .. } | Self::Reached { meter, .. } | Self::Unchecked { meter, .. } => meter.word(),
        }
    }
}

impl fmt::Display for PromptLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "max_input_tokens of the policy that applies to you",
            Self::Context => "the model's context",
        })
    }
}

/// "your limit of 2000 tokens per minute (tokens_per_minute)"
struct Named(Meter, Amount);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(meter, limit) = self;
        let (unit, per) = match (meter.unit(), meter.period()) {
            (Unit::Tokens, period) => ("token", period),
            (Unit::Requests | Unit::Places, period) => ("request", period),
        };
        let plural = if *limit == 1 { "" } else { "s" };
        let per = match per {
            Period::Minute => "per minute",
            Period::Day => "per day",
            Period::Month => "per month",
            Period::Always => "at a time",
        };
        write!(f, "your limit of {limit} {unit}{plural} {per} ({})", meter.word())
    }
}

/// "try again in 40 seconds"
struct Again(Meter, u64);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let Self(meter, seconds) = *self;
        match meter.period() {
            Period::Minute => write!(f, "try again in {seconds} s"),
            Period::Always => f.write_str("try again when another of your requests has ended"),
            Period::Day | Period::Month => match seconds {
                0..MINUTE => write!(f, "it starts anew in {seconds} s"),
                MINUTE..HOUR => write!(f, "it starts anew in {} min", seconds.div_ceil(MINUTE)),
                HOUR..DAY => write!(f, "it starts anew in {} h {} min", seconds / HOUR, seconds % HOUR / MINUTE),
                DAY.. => write!(f, "it starts anew in {} d {} h", seconds / DAY, seconds % DAY / HOUR),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_a_sentence_that_names_the_limit_and_the_numbers() {
        let reached = |meter, limit, retry_after| OverLimit::Reached { meter, limit, retry_after }.to_string();
        assert_eq!(
            reached(Meter::TokensPerMinute, 2_000, 12),
            "your limit of 2000 tokens per minute (tokens_per_minute) is reached; try again in 12 s"
        );
        assert_eq!(
            reached(Meter::TokensPerMonth, 9, 200_000),
            "your limit of 9 tokens per month (tokens_per_month) is reached; it starts anew in 2 d 7 h"
        );
        assert_eq!(
            reached(Meter::ConcurrentRequests, 1, 1),
            "your limit of 1 request at a time (concurrent_requests) is reached; try again when another of your requests \
             has ended"
        );
        assert_eq!(
            OverLimit::Larger { meter: Meter::TokensPerDay, limit: 100, needed: 4_100 }.to_string(),
            "this request takes about 4100 tokens, more than all of your limit of 100 tokens per day (tokens_per_day); make \
             it smaller"
        );
        let unchecked = OverLimit::Unchecked { meter: Meter::RequestsPerMinute, limit: 10 };
        assert!(unchecked.to_string().starts_with("your limit of 10 requests per minute (requests_per_minute) cannot"));
    }

    /// `prompt is too long[^0-9]*(\d+)\s*tokens?\s*>\s*(\d+)` is what Claude Code looks for.
    #[test]
    fn a_prompt_that_is_too_long_is_refused_in_the_words_that_make_claude_code_compact() {
        let refusal = OverLimit::Prompt { estimate: 60_123, most: 50_000, limit: PromptLimit::Policy };
        let text = refusal.to_string();
        assert!(text.starts_with("prompt is too long: 60123 tokens > 50000 maximum (max_input_tokens"), "{text}");
        let refusal = OverLimit::Output { asked: 64_000, most: 8_192 };
        assert!(
            refusal.to_string().starts_with("max_tokens: 64000 > 8192, which is the maximum allowed number of output")
        );
    }
}
