//! What a request leaves behind when its reply is over: a better estimate of the next one, and its count on limits that are
//! only watched.

use std::time::Instant;

use super::{Counts, Lesson, OverLimit, Seen, Trial, tally::Tally};

#[derive(Default)]
pub struct Aftermath {
    pub lesson: Option<Lesson>,
    /// One for each place where it was begun.
    pub trials: Vec<(usize, Trial)>,
}

impl Aftermath {
    /// `counts` is what the reply came to; `None`: it did not say, or there was none. `is_whole`: it was not cut. Returns
    /// where limits on trial would have refused it.
    pub fn conclude(self, counts: Option<Counts>, is_whole: bool) -> Vec<(usize, OverLimit)> {
        let Self { lesson, trials } = self;
        let mut refused = Vec::new();
        for (place, trial) in trials {
            match (trial.end(), counts) {
                (Ok(mut held), Some(counts)) => {
                    let charged_tokens = held.tokens_of(&counts);
                    held.charge(&Tally { counts, charged_tokens }, Instant::now());
                }
                (Ok(_), None) => {}
                (Err(over), _) => refused.push((place, over)),
            }
        }
        if let (Some(counts), Some(lesson)) = (counts, lesson)
            && (counts.input_tokens > 0 || counts.cache_read_tokens > 0)
        {
            lesson.learn(Seen::of(&counts, is_whole));
        }
        refused
    }
}
