//! What one reply, or one key, has come to: what is counted for the people who pay, and what limits were charged for it.
//!
//! Both stand in one journal line, so that whoever takes over from a dead process agrees with it on both.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use super::{Amount, Counts};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "[i64; 8]", from = "Vec<i64>")]
pub struct Tally {
    pub counts: Counts,
    /// What token limits were charged: which counts they take depends on the person's policy at that moment.
    pub charged_tokens: Amount,
}

impl Tally {
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Self { counts, charged_tokens } = other;
        Self { counts: self.counts + counts, charged_tokens: self.charged_tokens.saturating_add(charged_tokens) }
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let Self { counts, charged_tokens } = other;
        Self { counts: self.counts - counts, charged_tokens: self.charged_tokens.saturating_sub(charged_tokens) }
    }
}

impl From<Tally> for [i64; 8] {
    fn from(tally: Tally) -> Self {
        let Tally { counts, charged_tokens } = tally;
        let [a, b, c, d, e, f, g]: [i64; 7] = counts.into();
        [a, b, c, d, e, f, g, charged_tokens]
    }
}

/// Another version of this program may have written more numbers, or fewer: they are only ever added at the end.
impl From<Vec<i64>> for Tally {
    fn from(numbers: Vec<i64>) -> Self {
        let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
        Self { counts: std::array::from_fn(number).into(), charged_tokens: number(7) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_read_as_it_was_written_by_this_and_other_versions() {
        let tally = Tally::from(vec![1, 2, 3, 4, 5, 6, 7, 8]);
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(text, "[1,2,3,4,5,6,7,8]");
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        assert_eq!(serde_json::from_str::<Tally>("[1,2,3,4,5,6,7,8,9]").unwrap(), tally);
        assert_eq!(serde_json::from_str::<Tally>("[1,2]").unwrap().counts.input_tokens, 2);
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let (one, other) = (Tally::from(vec![1, 2, 3, 4, 5, 6, 7, 8]), Tally::from(vec![9, 8, 7, 6, 5, 4, 3, 2]));
        assert_eq!(one + other - other, one);
        assert!((one - one).is_zero());
    }
}
