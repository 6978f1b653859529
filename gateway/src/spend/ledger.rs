//! Counts what replies use, by key, until the store has been told.
//!
//! Invariant: one lock covers the journal's line and the sum, and the journal's boundary and what is taken, so that at every
//! moment the file says what the memory says. A count that was taken stays here until it is acknowledged.

use std::{
    borrow::Cow,
    collections::HashMap,
    iter,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Counts, Held, Reach, UsageDelta, UsageKey,
    accumulators::{Accumulators, Tallies},
    escrow::Report,
    journal::{Journal, Line, Owner},
    tally::Tally,
};
use crate::{clock::Clock, identity::Subject};

/// About the most keys of one flush: with a report for each limit of these people, a statement that the store answers well
/// within its time limit.
pub const LARGEST_FLUSH: usize = 1_000;

pub struct Ledger {
    inner: Mutex<Inner>,
    numbers: Numbers,
    clock: Arc<dyn Clock>,
}

/// Of replies, in the journal's lines.
#[derive(Clone, Default)]
struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct Inner {
    journal: Journal,
    counted: Accumulators,
    /// In the flush that is under way.
    taken: Option<Taken>,
    /// The store refuses it, which waiting does not mend.
    is_refused: bool,
    largest_flush: usize,
    acknowledged: i64,
    /// Replies that have a line and go on: a journal that is written anew needs them.
    open: HashMap<u64, Open>,
    numbers: Numbers,
}

struct Open {
    key: Arc<UsageKey>,
    tally: Tally,
}

struct Taken {
    sequence: i64,
    tallies: Tallies,
    since: Option<Instant>,
}

/// What one flush tells the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub usage: Vec<UsageDelta>,
    pub reports: Vec<Report>,
}

/// For metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unflushed {
    pub keys: usize,
    /// How long the oldest count has waited.
    pub age: Duration,
    /// False: a kill would lose it.
    pub in_journal: bool,
    /// The store is there and refuses it.
    pub is_refused: bool,
}

impl Ledger {
    pub fn open(directory: &Path, owner: Owner, clock: Arc<dyn Clock>) -> Arc<Self> {
        let numbers = Numbers::default();
        let inner = Inner {
            journal: Journal::open(directory, owner),
            counted: Accumulators::default(),
            taken: None,
            is_refused: false,
            largest_flush: LARGEST_FLUSH,
            acknowledged: 0,
            open: HashMap::new(),
            numbers: numbers.clone(),
        };
        Arc::new(Self { inner: Mutex::new(inner), numbers, clock })
    }

    /// A reply whose upstream is known. Nothing is counted before its first [`OpenReply::record`].
    /// `held` is settled as the reply is counted.
    pub fn reply(self: &Arc<Self>, subject: Subject, model: String, upstream: String, held: Option<Held>) -> OpenReply {
        let key = Arc::new(UsageKey::at(self.clock.now(), subject, model, upstream));
        OpenReply { ledger: self.clone(), own: Part::of(key), beside: Vec::new(), held }
    }

    /// Takes what the flush of this number tells; `None` where there is nothing to tell, or the last one is not acknowledged.
    /// `reports` is called under the ledger's lock and speaks of those whose counts are taken, not of those whose counts stay,
    /// so that limits are charged for exactly what is counted.
    pub fn take(&self, sequence: i64, reports: impl FnOnce(&Reach) -> Vec<Report>) -> Option<Told> {
        self.inner().take(sequence, reports)
    }

    /// The store knows what was taken under this number.
    pub fn acknowledge(&self, sequence: i64) {
        let mut inner = self.inner();
        inner.acknowledged = sequence;
        inner.is_refused = false;
        inner.journal.append(Line::Acknowledged(sequence).text());
        inner.taken.take_if(|taken| taken.sequence <= sequence);
    }

    /// The store has refused what was taken; it is kept.
    pub fn refuse(&self) {
        self.inner().is_refused = true;
    }

    /// Whether there is another flush's worth of counts: a store that was away has much to hear.
    pub fn has_backlog(&self) -> bool {
        let inner = self.inner();
        inner.counted.len() >= inner.largest_flush
    }

    /// Writes the journal anew where that heals or shortens it. To be called now and then, off the requests' path.
    pub fn tend(&self) {
        let mut inner = self.inner();
        if inner.journal.needs_rewriting() {
            inner.rewrite();
        }
    }

    #[cfg(test)]
    pub(super) fn flush_at_most(&self, keys: usize) {
        self.inner().largest_flush = keys;
    }

    #[cfg(test)]
    pub(super) fn rewrite_now(&self) {
        self.inner().rewrite();
    }

    /// The journal goes, if the store knows everything and nobody is served any more.
    pub fn close(&self) {
        let mut inner = self.inner();
        if inner.counted.is_empty() && inner.taken.is_none() && inner.open.is_empty() {
            inner.journal.remove();
        }
    }

    pub fn unflushed(&self, now: Instant) -> Unflushed {
        let inner = self.inner();
        let since = inner.taken.as_ref().and_then(|taken| taken.since).or(inner.counted.since());
        Unflushed {
            keys: inner.counted.len() + inner.taken.as_ref().map_or(0, |taken| taken.tallies.len()),
            age: since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            in_journal: inner.journal.is_sound(),
            is_refused: inner.is_refused,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reply that goes on. Dropped, it is over; what was recorded stays counted.
pub struct OpenReply {
    ledger: Arc<Ledger>,
    own: Part,
    /// What other models used for it.
    beside: Vec<Part>,
    held: Option<Held>,
}

/// Of a reply, what one key counts.
struct Part {
    key: Arc<UsageKey>,
    /// With its first line.
    number: Option<u64>,
    tally: Tally,
}

impl OpenReply {
    /// What the reply has come to so far, as a whole. To be called before the bytes that say so are passed on.
    pub fn record(&mut self, counts: Counts) {
        self.own.record(&self.ledger, &mut self.held, counts);
    }

    /// The same of what another model used for it, which the same limits are charged for.
    pub fn record_beside(&mut self, model: &str, counts: Counts) {
        let place = self.beside.iter().position(|part| part.key.model == model).unwrap_or_else(|| {
            let key = UsageKey { model: model.to_owned(), ..(*self.own.key).clone() };
            self.beside.push(Part::of(Arc::new(key)));
            self.beside.len() - 1
        });
        self.beside[place].record(&self.ledger, &mut self.held, counts);
    }
}

impl Part {
    fn of(key: Arc<UsageKey>) -> Self {
        Self { key, number: None, tally: Tally::default() }
    }

    fn record(&mut self, ledger: &Ledger, held: &mut Option<Held>, counts: Counts) {
        let charged_tokens = held.as_ref().map_or(0, |held| held.tokens_of(&counts));
        let tally = Tally { counts, charged_tokens };
        let difference = tally - self.tally;
        if difference.is_zero() {
            return;
        }
        let now = Instant::now();
        self.tally = tally;
        let (is_new, reply) = match self.number {
            Some(reply) => (false, reply),
            None => (true, ledger.numbers.next()),
        };
        self.number = Some(reply);
        // Before the lock, which everybody needs.
        let line = match is_new {
            true => Line::Opened { reply, key: Cow::Borrowed(&self.key), tally },
            false => Line::Counted { reply, tally },
        }
        .text();
        let mut inner = ledger.inner();
        inner.journal.append(line);
        match inner.open.get_mut(&reply) {
            Some(open) => open.tally = tally,
            None => drop(inner.open.insert(reply, Open { key: self.key.clone(), tally })),
        }
        inner.counted.add(&self.key, difference, now);
        if let Some(held) = held {
            held.charge(&difference, now);
        }
    }
}

impl Drop for OpenReply {
    fn drop(&mut self) {
        let mut numbers = iter::once(&self.own).chain(&self.beside).filter_map(|part| part.number).peekable();
        if numbers.peek().is_some() {
            let mut inner = self.ledger.inner();
            numbers.for_each(|number| drop(inner.open.remove(&number)));
        }
    }
}

impl Inner {
    fn take(&mut self, sequence: i64, reports: impl FnOnce(&Reach) -> Vec<Report>) -> Option<Told> {
        if self.taken.is_some() {
            return None;
        }
        let since = self.counted.since();
        let tallies = self.counted.take(self.largest_flush);
        let told = tallies.iter().map(|(key, _)| &key.subject);
        let reports = reports(&Reach::new(told, self.counted.iter().map(|(key, _)| &key.subject)));
        if tallies.is_empty() && reports.is_empty() {
            return None;
        }
        let delta = |(key, tally): &(Arc<UsageKey>, Tally)| UsageDelta { key: (**key).clone(), counts: tally.counts };
        let usage = tallies.iter().map(delta).collect();
        self.taken = Some(Taken { sequence, tallies, since });
        match self.counted.is_empty() {
            true => self.journal.append(Line::Flush(sequence).text()),
            // What stays has its lines above the boundary, so it needs new ones below.
            false => self.rewrite(),
        }
        Some(Told { usage, reports })
    }

    /// The same in fewer lines: what open replies had come to is known, and what is unflushed stands as if it were a reply
    /// for each key.
    fn rewrite(&mut self) {
        let Self { journal, counted, taken, acknowledged, open, numbers, is_refused: _, largest_flush: _ } = self;
        let anonymous = |key, tally| Line::Opened { reply: numbers.next(), key: Cow::Borrowed(key), tally };
        let opened = open.iter().map(|(reply, Open { key, tally })| Line::Opened {
            reply: *reply,
            key: Cow::Borrowed(key),
            tally: *tally,
        });
        let mut lines: Vec<Line<'_>> = opened.collect();
        lines.push(Line::Base(*acknowledged));
        if let Some(Taken { sequence, tallies, since: _ }) = taken {
            lines.extend(tallies.iter().map(|(key, tally)| anonymous(key, *tally)));
            lines.push(Line::Flush(*sequence));
        }
        lines.extend(counted.iter().map(|(key, tally)| anonymous(key, tally)));
        journal.rewrite(lines.into_iter());
    }
}
