//! What a request leaves behind when its reply is over: a better estimate of the next one, and its count on limits that are
//! only watched.

use std::time::Instant;

use super::{Counts, Held, Lesson, Seen, tally::Tally};

#[derive(Default)]
pub struct Aftermath {
    pub lesson: Option<Lesson>,
    pub watched: Vec<Held>,
}

impl Aftermath {
    /// `counts` is what the reply came to; `None`: it did not say. `is_whole`: it was not cut.
    pub fn conclude(self, counts: Option<Counts>, is_whole: bool) {
        let (Self { lesson, watched }, Some(counts)) = (self, counts) else { return };
        for mut held in watched {
            let charged_tokens = held.tokens_of(&counts);
            held.charge(&Tally { counts, charged_tokens }, Instant::now());
        }
        if let Some(lesson) = lesson.filter(|_| counts.input_tokens > 0 || counts.cache_read_tokens > 0) {
            lesson.learn(Seen::of(&counts, is_whole));
        }
    }
}
