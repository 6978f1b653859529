//! How much guessing of user codes the gateway bears, all addresses and pods together.
//!
//! There are 20^8 codes. A wrong try while `live` codes could be hit had a chance of live / 20^8, so the chances add up to
//! (sum of live over the wrong tries) / 20^8. We keep that sum by the hour (a right try is given back), and hold it at
//! 20^8 / 2^20 / 24 = 1,017: the chance that 24 hours of guessing hit anybody's code stays at 2^-20. With 10 codes waiting
//! that leaves 101 wrong tries an hour, with more than 1,017 none. By the hour, so that one guesser narrows everybody's
//! sign-in for an hour at a time and has to come again for the next.
//!
//! Past the bound nobody is shut out: a code then counts only when it is entered from the network of the device that asked
//! for it, where most people are and a guesser is not.

use std::time::Duration;

use super::user_code::CODES;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
const BOUND: u64 = (CODES >> 20) / 24;

/// Whether codes still count from anywhere, after a try that brought the hour's sum to this.
pub(super) fn open_to_anyone(sum: i64) -> bool {
    u64::try_from(sum).unwrap_or_default() <= BOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catalogue S6: 43,000 live codes, a thousand addresses, sixteen pods, one day.
    #[test]
    fn a_day_of_guessing_succeeds_once_in_a_million_days_at_most() {
        for live in [1_i64, 10, 1_000, 43_000] {
            let mut chance = 0.0;
            for _hour in 0..24 {
                let mut sum = 0;
                for _try in 0..10_000 {
                    sum += live;
                    if open_to_anyone(sum) {
                        chance += live as f64 / CODES as f64;
                    }
                }
            }
            assert!(chance <= 2f64.powi(-20), "{live} live codes: {chance}");
        }
    }

    #[test]
    fn an_ordinary_hour_never_meets_the_bound() {
        assert!(open_to_anyone(0) && open_to_anyone(50 * 20) && open_to_anyone(-5));
        assert!(!open_to_anyone(1_018));
    }
}
