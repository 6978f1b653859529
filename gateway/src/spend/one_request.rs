//! Limits on one request, whatever else its person uses.

use gateway_config::TokenLimits;

use super::{
    Estimate,
    over_limit::{OverLimit, PromptLimit},
};

/// What a request asks for, beside its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub max_tokens: Option<u64>,
    /// The model's, where it is known and the client does not ask for another one.
    pub context: Option<u64>,
}

/// A request without `max_tokens` passes: the Messages API refuses it.
pub fn check(limits: &TokenLimits, estimate: Estimate, wish: Wish) -> Result<(), OverLimit> {
    let Wish { max_tokens, context } = wish;
    if let (Some(asked), Some(most)) = (max_tokens, limits.max_output_tokens)
        && asked > most
    {
        return Err(OverLimit::Output { asked, most });
    }
    let Estimate { prompt: estimate, .. } = estimate;
    match (limits.max_input_tokens, context) {
        (Some(most), _) if estimate > most => Err(OverLimit::Prompt { estimate, most, limit: PromptLimit::Policy }),
        (_, Some(most)) if surely_exceeds(estimate, most) => {
            Err(OverLimit::Prompt { estimate, most, limit: PromptLimit::Context })
        }
        _ => Ok(()),
    }
}

/// The provider knows its context exactly, and refuses without a charge. An estimate must not refuse what fits.
fn surely_exceeds(estimate: u64, context: u64) -> bool {
    estimate / 2 > context
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(limits: TokenLimits, prompt: u64, max_tokens: u64) -> Result<(), OverLimit> {
        let wish = Wish { max_tokens: Some(max_tokens), context: Some(200_000) };
        check(&limits, Estimate { prompt, uncached: 1, output: 1 }, wish)
    }

    #[test]
    fn a_request_at_the_limit_passes_and_one_above_does_not() {
        let limits =
            || TokenLimits { max_input_tokens: Some(1_000), max_output_tokens: Some(64), ..TokenLimits::default() };
        assert_eq!(verdict(limits(), 1_000, 64), Ok(()));
        assert_eq!(verdict(limits(), 1_000, 65), Err(OverLimit::Output { asked: 65, most: 64 }));
        let too_long = OverLimit::Prompt { estimate: 1_001, most: 1_000, limit: PromptLimit::Policy };
        assert_eq!(verdict(limits(), 1_001, 64), Err(too_long));
    }

    #[test]
    fn the_context_refuses_only_what_cannot_fit_however_wrong_the_estimate_is() {
        let limits = || TokenLimits { tokens_per_day: Some(1_000_000_000), ..TokenLimits::default() };
        assert_eq!(verdict(limits(), 400_000, 64), Ok(()));
        let too_long = OverLimit::Prompt { estimate: 400_002, most: 200_000, limit: PromptLimit::Context };
        assert_eq!(verdict(limits(), 400_002, 64), Err(too_long));
    }
}
