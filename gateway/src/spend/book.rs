//! This pod's shares of every limit in use, and who waits for more.
//!
//! Invariant: a share's lock is held for a moment and never while anything is awaited. Where the ledger's lock is taken too,
//! it is taken first.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use tokio::sync::{Notify, watch};

use super::{
    Amount, LimitKey, Meter, Pace, Reach,
    escrow::{Answer, Heard, Report, Share, Short, Trip},
};
use crate::identity::Subject;

const SHELVES: usize = 32;
/// The most reports of one flush for people of whom it counts nothing.
const MOST_REPORTS: usize = 4_000;

type Shelf = HashMap<LimitKey, Entry>;

struct Entry {
    share: Share,
    word: Word,
}

/// What the store calls a limit when it rings: anybody on the database can listen, so nobody is named.
type Word = [u8; 16];

pub struct Book {
    shelves: [Mutex<Shelf>; SHELVES],
    hasher: RandomState,
    pace: Pace,
    /// Where the next reports begin, so that nobody is always the one for whom there was no place.
    turn: AtomicUsize,
    urgent: Notify,
    answers: watch::Sender<u64>,
}

impl Book {
    pub fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            shelves: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            pace,
            turn: AtomicUsize::new(0),
            urgent: Notify::new(),
            answers: watch::Sender::new(0),
        })
    }

    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Holds `amount` (more than 0) of this limit, or says why not. A hold ends with [`settle`](Self::settle);
    /// [`Held`](super::Held) sees to that.
    pub fn try_hold(&self, key: &LimitKey, limit: Amount, amount: Amount, now: Instant) -> Result<(), Short> {
        self.on_share(key, limit, now, |share| share.try_hold(amount, now))
    }

    /// Holds without asking whether there is room: for requests that pass because the store cannot be asked.
    pub fn hold_regardless(&self, key: &LimitKey, limit: Amount, amount: Amount, now: Instant) {
        self.on_share(key, limit, now, |share| share.hold_regardless(amount, now));
    }

    /// Ends `held` of what is held, of which `spent` was used up. What comes back goes on at once where another pod waits.
    pub fn settle(&self, key: &LimitKey, held: Amount, spent: Amount, now: Instant) {
        if let Some(entry) = self.shelf(&key.subject).get_mut(key) {
            entry.share.settle(held, spent, now);
            if entry.share.is_urgent() {
                self.urgent.notify_one();
            }
        }
    }

    /// Asks for more share, at once. Whoever wants it waits for [`news`](Self::news), drops the [`Want`] and tries again.
    pub fn want(self: &Arc<Self>, key: &LimitKey, limit: Amount, amount: Amount, now: Instant) -> Want {
        self.on_share(key, limit, now, |share| share.want(amount, now));
        self.urgent.notify_one();
        Want { book: self.clone(), key: key.clone(), amount }
    }

    /// Changes whenever the store has answered. To be taken before a hold is tried, so that no answer is missed.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    /// How the limit stood for everybody when the store last answered; `None` where this pod has not asked lately.
    pub fn heard(&self, key: &LimitKey) -> Option<Heard> {
        self.shelf(&key.subject).get(key).and_then(|entry| entry.share.heard().copied())
    }

    /// Returns when a flush should not be put off.
    pub async fn urgent(&self) {
        self.urgent.notified().await;
    }

    /// Whether any limit in use is so far used up that others should hear of it sooner.
    pub fn is_near_edge(&self) -> bool {
        self.shelves.iter().any(|shelf| lock(shelf).values().any(|entry| entry.share.is_near_edge()))
    }

    pub fn len(&self) -> usize {
        self.shelves.iter().map(|shelf| lock(shelf).len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the next flush says, of everybody.
    pub fn reports(&self, now: Instant) -> Vec<Report> {
        self.reports_within(&Reach::default(), now)
    }

    /// What the next flush says. Shares that are nothing any more are dropped.
    pub fn reports_within(&self, reach: &Reach, now: Instant) -> Vec<Report> {
        self.collect(reach, |key, share| share.report(key, now, &self.pace), |share| share.is_memory(now))
    }

    /// What the last flush says: every share is given back.
    pub fn last_reports(&self, reach: &Reach) -> Vec<Report> {
        self.collect(reach, |key, share| share.close(key), |_| false)
    }

    /// Makes the reports of a flush that was not answered what they are when it is sent again.
    pub fn again(&self, reports: &mut [Report]) {
        for report in reports {
            if let Some(Entry { share, word: _ }) = self.shelf(&report.key.subject).get(&report.key) {
                *report = share.again(report);
            }
        }
    }

    /// The answers to the reports of a flush.
    pub fn learn(&self, answers: &[Answer], trip: impl Into<Trip>) {
        let (trip, mut is_urgent) = (trip.into(), false);
        for answer in answers {
            if let Some(Entry { share, word: _ }) = self.shelf(&answer.key.subject).get_mut(&answer.key) {
                share.learn(answer, trip, &self.pace);
                is_urgent |= share.is_urgent();
            }
        }
        self.answers.send_modify(|answers| *answers += 1);
        if is_urgent {
            self.urgent.notify_one();
        }
    }

    /// After [`learn`](Self::learn): these were reported in the same flush. How many of them it did not answer.
    pub fn pass_over(&self, reported: &[Report]) -> usize {
        let is_passed_over = |report: &&Report| {
            let mut shelf = self.shelf(&report.key.subject);
            shelf.get_mut(&report.key).is_some_and(|entry| entry.share.was_passed_over())
        };
        reported.iter().filter(is_passed_over).count()
    }

    /// The store rang: of the limits that it names, somebody elsewhere waits for share, or what is waited for here may be
    /// there. What it says begins with the incarnation that made it ring.
    pub fn ring(&self, said: &str, incarnation: &str) {
        let mut words = said.split(' ');
        if words.next() == Some(incarnation) {
            return;
        }
        let words: HashSet<Word> =
            words.filter_map(|word| u128::from_str_radix(word, 16).ok()).map(u128::to_be_bytes).collect();
        let mut is_urgent = false;
        for shelf in &self.shelves {
            for Entry { share, word: _ } in lock(shelf).values_mut().filter(|entry| words.contains(&entry.word)) {
                share.ring();
                is_urgent |= share.is_urgent();
            }
        }
        if is_urgent {
            self.urgent.notify_one();
        }
    }

    fn collect(
        &self,
        reach: &Reach,
        report: impl Fn(&LimitKey, &mut Share) -> Option<Report>,
        is_worth_keeping: impl Fn(&Share) -> bool,
    ) -> Vec<Report> {
        let (mut reports, first) = (Vec::new(), self.turn.fetch_add(1, Ordering::Relaxed));
        for shelf in (0..SHELVES).map(|n| &self.shelves[first.wrapping_add(n) % SHELVES]) {
            lock(shelf).retain(|key, Entry { share, word: _ }| {
                let has_place = reports.len() < MOST_REPORTS || reach.takes(&key.subject);
                if reach.leaves(&key.subject) || !has_place {
                    return true;
                }
                reports.extend(report(key, share));
                !share.is_empty() || is_worth_keeping(share)
            });
        }
        if reports.len() >= MOST_REPORTS {
            self.urgent.notify_one();
        }
        reports
    }

    fn on_share<T>(&self, key: &LimitKey, limit: Amount, now: Instant, act: impl FnOnce(&mut Share) -> T) -> T {
        let mut shelf = self.shelf(&key.subject);
        if let Some(Entry { share, word: _ }) = shelf.get_mut(key) {
            if share.set_limit(limit, now) {
                self.urgent.notify_one();
            }
            return act(share);
        }
        let entry = Entry { share: Share::new(limit, now), word: word(key) };
        act(&mut shelf.entry(key.clone()).or_insert(entry).share)
    }

    /// All limits of a person are on one shelf.
    fn shelf(&self, subject: &Subject) -> MutexGuard<'_, Shelf> {
        // The remainder is less than `SHELVES`.
        let place = usize::try_from(self.hasher.hash_one(subject) % SHELVES as u64).unwrap_or_default();
        lock(&self.shelves[place])
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the store's `flush` makes it.
fn word(key: &LimitKey) -> Word {
    let hash = digest::digest(&digest::SHA256, format!("{} {}", key.subject.0, key.meter.word()).as_bytes());
    let mut word = Word::default();
    let length = word.len();
    word.copy_from_slice(&hash.as_ref()[..length]);
    word
}

/// A request waits for more share, until this is dropped.
pub struct Want {
    book: Arc<Book>,
    key: LimitKey,
    amount: Amount,
}

impl Want {
    pub fn meter(&self) -> Meter {
        self.key.meter
    }

    /// Asks once more where the store's last answer is so old: a bucket refills, and not every bell is heard.
    pub fn insist(&self, age: Duration, now: Instant) {
        let mut shelf = self.book.shelf(&self.key.subject);
        let Some(Entry { share, word: _ }) = shelf.get_mut(&self.key) else { return };
        if share.heard().is_some_and(|heard| now.saturating_duration_since(heard.sent_at) >= age) {
            share.want(self.amount, now);
            share.unwant(self.amount);
            self.book.urgent.notify_one();
        }
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        if let Some(entry) = self.book.shelf(&self.key.subject).get_mut(&self.key) {
            entry.share.unwant(self.amount);
        }
    }
}
