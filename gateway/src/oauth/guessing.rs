//! How much guessing of user codes the gateway bears, all addresses and pods together.
//!
//! There are 20^8 codes. A wrong try while `live` codes could be hit had a chance of live / 20^8, so the chances of a day add
//! up to (sum of live over the day's wrong tries) / 20^8. We keep that sum (a right try is given back), and hold it at
//! 20^8 / 2^20 = 24,414: the chance that a day's guessing hits anybody's code stays at 2^-20. With 10 codes waiting that
//! leaves 2,441 wrong tries a day, with 43,000 none.
//!
//! Past the bound nobody is shut out: a code then counts only when it is entered from the network of the device that asked
//! for it, where most people are and a guesser is not.

use std::time::Duration;

use super::user_code::CODES;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const BOUND: u64 = CODES >> 20;

/// Whether codes still count from anywhere, after a try that brought the day's sum to this.
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
            let mut sum = 0;
            let mut chance = 0.0;
            for _try in 0..100_000 {
                sum += live;
                if open_to_anyone(sum) {
                    chance += live as f64 / CODES as f64;
                }
            }
            assert!(chance <= 2f64.powi(-20), "{live} live codes: {chance}");
        }
    }

    #[test]
    fn an_ordinary_day_never_meets_the_bound() {
        assert!(open_to_anyone(0) && open_to_anyone(1_000 * 20) && open_to_anyone(-5));
        assert!(!open_to_anyone(24_415));
    }
}
