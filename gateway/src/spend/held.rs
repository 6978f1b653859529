//! What one request holds of its person's limits.
//!
//! Invariant: what is held is settled once: in parts as usage becomes known, the rest when this is dropped.

use std::{sync::Arc, time::Instant};

use super::{Amount, Book, Counts, LimitKey, Unit, escrow::Short, tally::Tally};

pub struct Held {
    book: Arc<Book>,
    parts: Vec<Part>,
    count_cache_reads: bool,
}

struct Part {
    key: LimitKey,
    left: Amount,
}

impl Held {
    /// Nothing so far. Dropped before a reply, it gives back all that it took.
    pub fn new(book: Arc<Book>, count_cache_reads: bool) -> Self {
        Self { book, parts: Vec::new(), count_cache_reads }
    }

    /// Holds `amount` (more than 0) of one more limit.
    pub fn try_add(&mut self, key: LimitKey, limit: Amount, amount: Amount, now: Instant) -> Result<(), Short> {
        self.book.try_hold(&key, limit, amount, now)?;
        self.parts.push(Part { key, left: amount });
        Ok(())
    }

    /// As [`try_add`](Self::try_add), for a request that passes because the store cannot be asked.
    pub fn add_regardless(&mut self, key: LimitKey, limit: Amount, amount: Amount, now: Instant) {
        self.book.hold_regardless(&key, limit, amount, now);
        self.parts.push(Part { key, left: amount });
    }

    /// What token limits take of these counts.
    pub fn tokens_of(&self, counts: &Counts) -> Amount {
        let Counts {
            requests: _,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests: _,
        } = *counts;
        let cache_reads = if self.count_cache_reads { cache_read_tokens } else { 0 };
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_reads
    }

    /// Turns what is held into what is used, by this much.
    pub(super) fn charge(&mut self, difference: &Tally, now: Instant) {
        let Self { book, parts, count_cache_reads: _ } = self;
        for Part { key, left } in parts {
            let spent = match key.meter.unit() {
                Unit::Tokens => difference.charged_tokens,
                Unit::Requests => difference.counts.requests,
                // Held until the end, and never used up.
                Unit::Places => 0,
            };
            if spent != 0 {
                let settled = spent.clamp(0, *left);
                *left -= settled;
                book.settle(key, settled, spent, now);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = Instant::now();
        for Part { key, left } in self.parts.iter().filter(|part| part.left > 0) {
            self.book.settle(key, *left, 0, now);
        }
    }
}
