//! Lets a request pass if every limit of its person has room for it (`state.md`, "Escrow").
//!
//! Far from a limit that is a look at this pod's shares, and nothing is awaited. At a person's first request on a pod and at
//! the edge the store is asked, and the request waits a moment for what others give back.
//!
//! Invariant: a request holds all that it needs, or nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{
    Book, Held, LimitKey, Meter, OverLimit, Want,
    escrow::{Heard, Short},
    needs::{Need, Needs},
    outlook::Outlook,
};
use crate::identity::Subject;

/// How often a request that waits looks again.
const PULSE: Duration = Duration::from_millis(50);
/// So often is the store asked about a limit that is reached, however many requests need more of it: its last answer stands
/// for so long.
const BETWEEN_ASKS: Duration = Duration::from_millis(200);
/// Longer than any call of the store takes: what was not answered by then is not answered at all.
const UNANSWERED: Duration = Duration::from_millis(2_500);

pub struct Gate {
    book: Arc<Book>,
    /// Whether the store is known to be away, so that nobody waits for it.
    is_store_away: Box<dyn Fn() -> bool + Send + Sync>,
    fail_closed: bool,
    unchecked: Unchecked,
}

/// Requests that passed although some limit could not be checked.
#[derive(Default)]
struct Unchecked {
    count: AtomicU64,
    /// The number of the store's answer before the last of them, plus one; 0: there was none.
    after_answer: AtomicU64,
}

/// Limits without room.
type Shortages = Vec<(Need, Short)>;

/// A request at the gate.
#[derive(Clone, Copy)]
struct Visitor<'a> {
    subject: &'a Subject,
    needs: &'a Needs,
    since: Instant,
    /// It passes whatever is said, so it is none of those that pass unchecked.
    is_on_trial: bool,
}

impl Gate {
    pub fn new(book: Arc<Book>, fail_closed: bool, is_store_away: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { book, is_store_away: Box::new(is_store_away), fail_closed, unchecked: Unchecked::default() }
    }

    /// Dropped, what is held comes back.
    pub async fn pass(&self, subject: &Subject, needs: &Needs) -> Result<Held, OverLimit> {
        let visitor = Visitor { subject, needs, since: Instant::now(), is_on_trial: false };
        match self.try_hold(visitor, visitor.since) {
            Ok(held) => Ok(held),
            Err(_) => self.edge(visitor).await,
        }
    }

    /// Where this pod's shares have room for all of it.
    pub(super) fn hold_now(&self, subject: &Subject, needs: &Needs) -> Option<Held> {
        let now = Instant::now();
        self.try_hold(Visitor { subject, needs, since: now, is_on_trial: true }, now).ok()
    }

    /// As [`pass`](Self::pass), for one who passes whatever is said.
    pub(super) async fn would_pass(&self, subject: &Subject, needs: &Needs) -> Result<Held, OverLimit> {
        self.edge(Visitor { subject, needs, since: Instant::now(), is_on_trial: true }).await
    }

    /// The verdict of the store's last answer, without asking anybody; where there is none, that it passes.
    pub(super) fn by_what_is_known(&self, subject: &Subject, needs: &Needs, now: Instant) -> Result<Held, OverLimit> {
        let mut held = Held::new(self.book.clone(), needs.count_cache_reads);
        for need in needs.iter() {
            let key = key(subject, need.meter);
            let short = held.try_add(key.clone(), need.limit, need.amount, now).is_err();
            if short && let Some(over) = self.not_covered(&key, need, now, |outlook| outlook.covers(need.amount, now)) {
                return Err(over);
            }
            if short {
                held.add_regardless(key, need.limit, need.amount, now);
            }
        }
        Ok(held)
    }

    /// How many requests have passed unchecked since the start.
    pub fn unchecked(&self) -> u64 {
        self.unchecked.count.load(Ordering::Relaxed)
    }

    /// False from the first request that passed unchecked until the store answers again.
    pub fn holds_limits(&self) -> bool {
        self.unchecked.after_answer.load(Ordering::Relaxed) != *self.book.news().borrow() + 1
    }

    fn try_hold(&self, visitor: Visitor<'_>, now: Instant) -> Result<Held, Shortages> {
        let mut held = Held::new(self.book.clone(), visitor.needs.count_cache_reads);
        let mut shortages = Vec::new();
        for need in visitor.needs.iter() {
            if let Err(short) = held.try_add(key(visitor.subject, need.meter), need.limit, need.amount, now) {
                shortages.push((need, short));
            }
        }
        if shortages.is_empty() { Ok(held) } else { Err(shortages) }
    }

    /// Asks for more, and waits for what comes.
    async fn edge(&self, visitor: Visitor<'_>) -> Result<Held, OverLimit> {
        let until = visitor.since + self.book.pace().patience;
        let (mut news, mut wants) = (self.book.news(), Vec::<Want>::new());
        // What was answered between the first try and the line above is no news any more.
        let mut shortages = match self.try_hold(visitor, Instant::now()) {
            Ok(held) => return Ok(held),
            Err(shortages) => shortages,
        };
        loop {
            let now = Instant::now();
            let lacks_lease = shortages.iter().any(|(_, short)| *short == Short::Lease);
            if lacks_lease && (now >= visitor.since + UNANSWERED || (self.is_store_away)()) {
                return self.pass_without_store(visitor, now);
            }
            if let Some(why) = shortages.iter().find_map(|shortage| self.give_up(visitor, *shortage, now, until)) {
                return Err(why);
            }
            self.ask(visitor, &shortages, &mut wants, now);
            let _ = timeout_at((now + PULSE).into(), news.changed()).await;
            match self.try_hold(visitor, Instant::now()) {
                Ok(held) => return Ok(held),
                Err(still) => shortages = still,
            }
        }
    }

    /// Has the store asked for what is missing, but not more often than it helps.
    fn ask(&self, visitor: Visitor<'_>, shortages: &Shortages, wants: &mut Vec<Want>, now: Instant) {
        wants.retain(|want| shortages.iter().any(|(need, _)| want.meter() == need.meter));
        for (need, _) in shortages {
            let Need { meter, limit, amount } = *need;
            let key = key(visitor.subject, meter);
            let heard = self.book.heard(&key);
            let has_enough = |heard: &Heard| need.outlook(heard).covers(amount, now);
            let between_asks = if heard.as_ref().is_some_and(has_enough) { PULSE } else { BETWEEN_ASKS };
            match wants.iter().find(|want| want.meter() == meter) {
                Some(want) => want.insist(between_asks, now),
                None if heard.is_some_and(|heard| now < heard.sent_at + between_asks) => {}
                None => wants.push(self.book.want(&key, limit, amount, now)),
            }
        }
    }

    /// Whether waiting on is of no use.
    fn give_up(
        &self,
        visitor: Visitor<'_>,
        shortage: (Need, Short),
        now: Instant,
        until: Instant,
    ) -> Option<OverLimit> {
        let (need @ Need { meter, amount, .. }, short) = shortage;
        let heard = self.book.heard(&key(visitor.subject, meter)).filter(|_| short == Short::Room)?;
        let outlook = need.outlook(&heard);
        if now < until {
            let is_old = heard.sent_at + BETWEEN_ASKS < visitor.since;
            let may_come = outlook.covers(amount, now) || now + outlook.covers_in(amount, now) <= until;
            if is_old || may_come {
                return None;
            }
        }
        Some(outlook.refusal(amount, now))
    }

    /// The verdict when the store cannot be asked: what is still leased holds, the rest is as the operator says.
    fn pass_without_store(&self, visitor: Visitor<'_>, now: Instant) -> Result<Held, OverLimit> {
        let mut held = Held::new(self.book.clone(), visitor.needs.count_cache_reads);
        for need in visitor.needs.iter() {
            let Need { meter, limit, amount } = need;
            let key = key(visitor.subject, meter);
            match held.try_add(key.clone(), limit, amount, now) {
                Ok(()) => {}
                Err(Short::Room) => return Err(self.refusal(&key, need, now)),
                Err(Short::Lease) if self.fail_closed => return Err(OverLimit::Unchecked { meter, limit }),
                // Who only held then, places above all, may have given it back since.
                Err(Short::Lease) => {
                    match self.not_covered(&key, need, now, |outlook| outlook.covers_by_use(need.amount, now)) {
                        Some(why) => return Err(why),
                        None => held.add_regardless(key, limit, amount, now),
                    }
                }
            }
        }
        if !visitor.is_on_trial {
            self.unchecked.note(*self.book.news().borrow());
        }
        Ok(held)
    }

    /// The refusal that the store's last answer makes of it, where that does not cover it.
    fn not_covered(
        &self,
        key: &LimitKey,
        need: Need,
        now: Instant,
        covers: impl Fn(&Outlook<'_>) -> bool,
    ) -> Option<OverLimit> {
        let heard = self.book.heard(key)?;
        let outlook = need.outlook(&heard);
        (!covers(&outlook)).then(|| outlook.refusal(need.amount, now))
    }

    fn refusal(&self, key: &LimitKey, need: Need, now: Instant) -> OverLimit {
        let Need { meter, limit, amount } = need;
        match self.book.heard(key) {
            Some(heard) => need.outlook(&heard).refusal(amount, now),
            None => OverLimit::Reached { meter, limit, retry_after: 1 },
        }
    }
}

impl Unchecked {
    fn note(&self, answer: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.after_answer.store(answer + 1, Ordering::Relaxed);
    }
}

fn key(subject: &Subject, meter: Meter) -> LimitKey {
    LimitKey { subject: subject.clone(), meter }
}
