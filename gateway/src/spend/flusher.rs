//! Tells the store what was counted and what shares need, and learns what is granted.
//!
//! Invariant: one flush is under way at a time; until it is acknowledged it is sent again under its number, with the same
//! counts, so an answer that was lost counts nothing twice.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{broadcast, oneshot},
    task::JoinHandle,
    time::{sleep, sleep_until},
};

use super::{
    Book, Ledger, Reach,
    escrow::{Report, Trip},
};
use crate::store::{Store, StoreError, flush::Flush};

/// How often the other pods are counted.
const BETWEEN_CENSUSES: Duration = Duration::from_secs(10);
/// How long a pod that goes away begins to tell the store once more, each time for one call; what it cannot tell is in its
/// journal.
pub const LAST_TRIES: Duration = Duration::from_secs(2);
const BETWEEN_LAST_TRIES: Duration = Duration::from_millis(100);

pub struct Flusher {
    pub ledger: Arc<Ledger>,
    pub book: Arc<Book>,
    pub store: Arc<Store>,
    pub incarnation: String,
}

/// The flusher at work.
struct Rounds {
    parts: Flusher,
    sequence: i64,
    /// The flush that is not acknowledged yet.
    under_way: Option<Flush>,
    rings: broadcast::Receiver<Arc<str>>,
    last: Instant,
    crowd: Crowd,
    has_complained: bool,
}

/// Whether more pods live than may flush every second.
struct Crowd {
    is_large: bool,
    next_census: Instant,
}

/// Ends when told to, or when nobody holds it any more.
pub struct Flushing {
    going: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Flushing {
    /// Nobody is served any more: returns when the store knows everything, or cannot be told.
    pub async fn end(self) {
        drop(self.going);
        let _ = self.task.await;
    }
}

impl Flusher {
    pub fn start(self) -> Flushing {
        let (going, gone) = oneshot::channel();
        let task = tokio::spawn(self.run(async move { drop(gone.await) }));
        Flushing { going, task }
    }

    /// Flushes until `going` ends, which is when nobody is served any more; then tells the store the rest.
    async fn run(self, going: impl Future<Output = ()>) {
        let now = Instant::now();
        let crowd = Crowd { is_large: false, next_census: now };
        let rings = self.store.limit_rings();
        let mut rounds =
            Rounds { parts: self, sequence: 0, under_way: None, rings, last: now, crowd, has_complained: false };
        let mut going = std::pin::pin!(going);
        loop {
            tokio::select! {
                () = rounds.due() => {}
                () = &mut going => break,
            }
            rounds.round().await;
        }
        rounds.end().await;
    }
}

impl Rounds {
    /// Returns when the next flush is due.
    async fn due(&mut self) {
        let at = self.last + self.interval();
        let Flusher { book, incarnation, .. } = &self.parts;
        loop {
            tokio::select! {
                () = sleep_until(at.into()) => return,
                () = book.urgent() => return sleep(book.pace().gather).await,
                Ok(said) = self.rings.recv() => book.ring(&said, incarnation),
            }
        }
    }

    fn interval(&self) -> Duration {
        let pace = self.parts.book.pace();
        match self.parts.book.is_near_edge() {
            true => pace.flush_near_edge,
            false if self.crowd.is_large => pace.flush_in_crowd,
            false => pace.flush,
        }
    }

    async fn round(&mut self) {
        self.last = Instant::now();
        let book = self.parts.book.clone();
        // A store that was away has much to hear.
        while self.flush(|reach, now| book.reports_within(reach, now)).await {
            self.census().await;
            if !self.parts.ledger.has_backlog() {
                break;
            }
        }
        self.parts.ledger.tend();
    }

    /// Sends what is under way, or else what there is to say. True if something was told.
    async fn flush(&mut self, reports: impl FnOnce(&Reach, Instant) -> Vec<Report>) -> bool {
        let Flusher { ledger, book, store, incarnation } = &self.parts;
        let now = Instant::now();
        let flush = match self.under_way.take() {
            Some(mut flush) => {
                book.again(&mut flush.reports);
                flush
            }
            None => {
                let sequence = self.sequence + 1;
                let Some(told) = ledger.take(sequence, |reach| reports(reach, now)) else { return false };
                self.sequence = sequence;
                Flush { incarnation: incarnation.clone(), sequence, usage: told.usage, reports: told.reports }
            }
        };
        // Kept before it is sent: a round that is given up in the middle has not answered it.
        let flush = &*self.under_way.insert(flush);
        match store.flush(flush, book.pace()).await {
            Ok(answers) => {
                ledger.acknowledge(flush.sequence);
                book.learn(&answers, Trip { sent_at: now, answered_at: Instant::now() });
                let unanswered = book.pass_over(&flush.reports);
                if unanswered > 0 {
                    tracing::error!(unanswered, "the store did not answer all reports of a flush");
                }
                self.under_way = None;
                self.has_complained = false;
                true
            }
            Err(error) => {
                self.complain(&error);
                false
            }
        }
    }

    /// The store's health has logged that it is away; a statement that it refused is our own fault, said once.
    fn complain(&mut self, error: &StoreError) {
        if error.is_unavailable() {
            return;
        }
        self.parts.ledger.refuse();
        if !self.has_complained {
            self.has_complained = true;
            tracing::error!(?error, "usage cannot be told to the store; it is kept");
        }
    }

    async fn census(&mut self) {
        let now = Instant::now();
        if now < self.crowd.next_census {
            return;
        }
        if let Ok(pods) = self.parts.store.live_pods().await {
            let is_large = pods > i64::from(self.parts.book.pace().crowd);
            self.crowd = Crowd { is_large, next_census: now + BETWEEN_CENSUSES };
        }
    }

    /// Every share is given back, everything counted is told.
    async fn end(&mut self) {
        let book = self.parts.book.clone();
        let until = Instant::now() + LAST_TRIES;
        while Instant::now() < until {
            let has_told = self.flush(|reach, _| book.last_reports(reach)).await;
            match (has_told, &self.under_way) {
                (true, _) => {}
                (false, None) => break,
                (false, Some(_)) => sleep(BETWEEN_LAST_TRIES).await,
            }
        }
        self.parts.ledger.close();
    }
}
