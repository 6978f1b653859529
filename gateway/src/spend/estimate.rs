//! What a request is taken to use until its reply says what it did (`state.md`, "What a token limit counts").
//!
//! Invariant: a guess, never a charge: it decides what is held, and the reply settles it. What is remembered is bounded,
//! whatever people and models come.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Amount, Counts};
use crate::identity::Subject;

/// While nothing is known of a person and model.
const BYTES_PER_TOKEN: f32 = 4.0;
const FIRST_OUTPUT: u64 = 4096;
/// No text is shorter in tokens: a body made long by what is none must not make the next one look free.
const LEAST_PER_BYTE: f32 = 1.0 / 32.0;
/// The weight of the newest reply among the recent ones.
const NEWEST: f32 = 0.25;
const SHELVES: usize = 16;
/// A shelf remembers between one and two of these.
const GENERATION: usize = 2048;

/// What a request says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub subject: &'a Subject,
    /// The canonical id: a closed set.
    pub model: &'a str,
    pub text_bytes: usize,
    pub max_tokens: Option<u64>,
}

/// In tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// All of the input, whether or not the provider has it in its cache.
    pub prompt: u64,
    /// Of the prompt, what is not read from the cache.
    pub uncached: u64,
    pub output: u64,
}

/// What a reply reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub uncached: u64,
    pub cache_reads: u64,
    /// `None`: it was cut, so its output says nothing of the next one's.
    pub output: Option<u64>,
}

/// What people's replies came to lately, by person and model.
pub struct Recents {
    hasher: RandomState,
    shelves: [Mutex<Shelf>; SHELVES],
}

/// A request whose reply will teach something.
pub struct Lesson {
    recents: Arc<Recents>,
    about: u64,
    text_bytes: usize,
}

/// What is not asked for while a generation grows up is forgotten.
#[derive(Default)]
struct Shelf {
    young: HashMap<u64, Recent>,
    old: HashMap<u64, Recent>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Recent {
    prompt_per_byte: f32,
    uncached_per_byte: f32,
    output: f32,
}

impl Estimate {
    /// What token limits hold for it.
    pub fn tokens(self, count_cache_reads: bool) -> Amount {
        let input = if count_cache_reads { self.prompt } else { self.uncached };
        Amount::try_from(input.saturating_add(self.output)).unwrap_or(Amount::MAX).max(1)
    }
}

impl Seen {
    /// `is_whole`: the reply was not cut.
    pub fn of(counts: &Counts, is_whole: bool) -> Self {
        let tokens = |count: i64| u64::try_from(count).unwrap_or_default();
        let uncached = [counts.input_tokens, counts.cache_write_5m_tokens, counts.cache_write_1h_tokens];
        Self {
            uncached: uncached.into_iter().map(tokens).fold(0, u64::saturating_add),
            cache_reads: tokens(counts.cache_read_tokens),
            output: is_whole.then(|| tokens(counts.output_tokens)),
        }
    }
}

impl Recents {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { hasher: RandomState::new(), shelves: std::array::from_fn(|_| Mutex::default()) })
    }

    pub fn estimate(self: &Arc<Self>, asked: Asked<'_>) -> (Estimate, Lesson) {
        let Asked { subject, model, text_bytes, max_tokens } = asked;
        let about = self.hasher.hash_one((subject, model));
        let recent = self.shelf(about).get(about);
        let tokens = |per_byte: f32| (text_bytes as f32 * per_byte).ceil() as u64;
        let first = 1.0 / BYTES_PER_TOKEN;
        let estimate = Estimate {
            prompt: tokens(recent.map_or(first, |recent| recent.prompt_per_byte.max(LEAST_PER_BYTE))),
            uncached: tokens(recent.map_or(first, |recent| recent.uncached_per_byte)),
            output: recent
                .map_or(FIRST_OUTPUT, |recent| recent.output.ceil() as u64)
                .min(max_tokens.unwrap_or(u64::MAX)),
        };
        (estimate, Lesson { recents: self.clone(), about, text_bytes })
    }

    fn shelf(&self, about: u64) -> MutexGuard<'_, Shelf> {
        // The remainder is less than `SHELVES`.
        let place = usize::try_from(about % SHELVES as u64).unwrap_or_default();
        self.shelves[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lesson {
    /// To be called once, when the reply is over and said what it used.
    pub fn learn(self, seen: Seen) {
        let Seen { uncached, cache_reads, output } = seen;
        // A token is a byte at least; what is more was no text.
        let per_byte = |tokens: u64| (tokens as f32 / self.text_bytes.max(1) as f32).min(1.0);
        let mut shelf = self.recents.shelf(self.about);
        let before = shelf.get(self.about);
        let newest = Recent {
            prompt_per_byte: per_byte(uncached.saturating_add(cache_reads)),
            uncached_per_byte: per_byte(uncached),
            output: match (output, before) {
                (Some(output), _) => output as f32,
                (None, Some(before)) => before.output,
                (None, None) => FIRST_OUTPUT as f32,
            },
        };
        shelf.put(self.about, before.map_or(newest, |before| before.with(newest)));
    }
}

impl Recent {
    fn with(self, newest: Self) -> Self {
        let mean = |before: f32, newest: f32| before + (newest - before) * NEWEST;
        Self {
            prompt_per_byte: mean(self.prompt_per_byte, newest.prompt_per_byte),
            uncached_per_byte: mean(self.uncached_per_byte, newest.uncached_per_byte),
            output: mean(self.output, newest.output),
        }
    }
}

impl Shelf {
    fn get(&self, about: u64) -> Option<Recent> {
        self.young.get(&about).or_else(|| self.old.get(&about)).copied()
    }

    fn put(&mut self, about: u64, recent: Recent) {
        self.young.insert(about, recent);
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(
        recents: &Arc<Recents>,
        person: &str,
        text_bytes: usize,
        max_tokens: Option<u64>,
    ) -> (Estimate, Lesson) {
        let subject = Subject(person.to_owned());
        recents.estimate(Asked { subject: &subject, model: "claude-opus-4-8", text_bytes, max_tokens })
    }

    #[test]
    fn at_first_it_is_four_bytes_a_token_and_the_lesser_of_what_was_asked_for_and_4096() {
        let recents = Recents::new();
        let (first, _) = estimate(&recents, "alice", 4_001, Some(32_000));
        assert_eq!(first, Estimate { prompt: 1_001, uncached: 1_001, output: 4_096 });
        assert_eq!(estimate(&recents, "alice", 4_000, Some(64)).0.output, 64);
        assert_eq!(estimate(&recents, "alice", 4_000, None).0.output, 4_096);
    }

    #[test]
    fn then_it_is_what_the_persons_replies_came_to() {
        let recents = Recents::new();
        let (_, lesson) = estimate(&recents, "alice", 10_000, None);
        lesson.learn(Seen { uncached: 100, cache_reads: 2_900, output: Some(500) });
        let (next, lesson) = estimate(&recents, "alice", 20_000, None);
        assert_eq!(next, Estimate { prompt: 6_000, uncached: 200, output: 500 });
        assert_eq!((next.tokens(false), next.tokens(true)), (700, 6_500));
        lesson.learn(Seen { uncached: 1_000, cache_reads: 5_000, output: Some(900) });
        let (later, _) = estimate(&recents, "alice", 20_000, Some(550));
        assert_eq!(later, Estimate { prompt: 6_000, uncached: 400, output: 550 });
        assert_eq!(estimate(&recents, "bob", 400, None).0.uncached, 100, "somebody else is not meant");
    }

    #[test]
    fn a_reply_that_was_cut_teaches_its_input_only() {
        let recents = Recents::new();
        let (_, lesson) = estimate(&recents, "alice", 1_000, None);
        lesson.learn(Seen { uncached: 500, cache_reads: 0, output: None });
        assert_eq!(estimate(&recents, "alice", 1_000, None).0, Estimate { prompt: 500, uncached: 500, output: 4_096 });
    }

    #[test]
    fn a_reply_of_few_tokens_does_not_make_the_next_prompt_free() {
        let recents = Recents::new();
        let (_, lesson) = estimate(&recents, "alice", 1_000_000, None);
        lesson.learn(Seen { uncached: 10, cache_reads: 0, output: Some(1) });
        assert_eq!(estimate(&recents, "alice", 32_000, None).0.prompt, 1_000);
    }

    #[test]
    fn an_absurd_report_makes_no_absurd_estimate() {
        let recents = Recents::new();
        let (_, lesson) = estimate(&recents, "alice", 0, None);
        lesson.learn(Seen { uncached: u64::MAX, cache_reads: u64::MAX, output: Some(u64::MAX) });
        let (next, _) = estimate(&recents, "alice", 1_000, Some(100));
        assert_eq!(next, Estimate { prompt: 1_000, uncached: 1_000, output: 100 });
        assert_eq!(estimate(&recents, "alice", 1_000, None).0.tokens(false), Amount::MAX);
    }

    #[test]
    fn whoever_came_lately_is_remembered_and_the_rest_is_bounded() {
        let recents = Recents::new();
        let most = 2 * SHELVES * GENERATION;
        for n in 0..2 * most {
            let (_, lesson) = estimate(&recents, &format!("person-{n}"), 100, None);
            lesson.learn(Seen { uncached: 7, cache_reads: 0, output: Some(7) });
        }
        let kept = |shelf: &Mutex<Shelf>| {
            let shelf = shelf.lock().unwrap();
            shelf.young.len() + shelf.old.len()
        };
        assert!(recents.shelves.iter().map(kept).sum::<usize>() <= most);
        assert_eq!(estimate(&recents, &format!("person-{}", 2 * most - 1), 100, None).0.output, 7);
    }
}
