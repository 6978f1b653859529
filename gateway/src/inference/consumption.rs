//! What a request has come to so far, by the models that used it.
//!
//! Invariant: amounts are wholes, never differences, and a model is named by its canonical id, so that the ledger's keys and a
//! metric's labels stay a closed set whatever a provider writes. What no known model used is the reply's own model's.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Models,
    usage::{Beside, Usage},
};
use crate::{
    spend::{Counts, OpenReply},
    telemetry::{Handles, metrics::Tokens},
};

#[derive(Default)]
pub struct Consumption {
    /// To tell the models apart; `None`: the request names none but its own.
    pub models: Option<Arc<Models>>,
    pub usage: Usage,
    beside: Beside,
    /// The same by canonical ids.
    pub aside: BTreeMap<String, Counts>,
}

impl Consumption {
    /// True where that is news. `model` is the reply's own.
    pub fn has_come_to(&mut self, usage: Usage, beside: &Beside, model: Option<&str>) -> bool {
        let is_news = usage != self.usage || *beside != self.beside;
        if *beside != self.beside {
            let canonical = |name: &str| self.models.as_ref()?.canonical(name).map(str::to_owned);
            self.aside = beside.told_apart(model.unwrap_or_default(), canonical);
            self.beside.clone_from(beside);
        }
        self.usage = usage;
        is_news
    }

    pub fn record(&self, reply: &mut OpenReply) {
        reply.record(self.usage.counts());
        for (model, counts) in &self.aside {
            reply.record_beside(model, *counts);
        }
    }

    /// Of all models.
    pub fn counts(&self) -> Counts {
        self.aside.values().fold(self.usage.counts(), |sum, counts| sum + *counts)
    }

    pub fn count(&self, model: &str, handles: &Handles) {
        handles.with_tokens_of(model, |tokens| count(self.usage.counts(), tokens));
        for (model, counts) in &self.aside {
            handles.with_tokens_of(model, |tokens| count(*counts, tokens));
        }
    }
}

fn count(counts: Counts, tokens: &Tokens) {
    let Tokens { input, output, cache_read, cache_write } = tokens;
    let kinds = [
        (input, counts.input_tokens),
        (output, counts.output_tokens),
        (cache_read, counts.cache_read_tokens),
        (cache_write, counts.cache_write_5m_tokens + counts.cache_write_1h_tokens),
    ];
    // Adding nothing takes the counter from other threads' caches all the same.
    for (counter, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
        counter.inc_by(u64::try_from(count).unwrap_or_default());
    }
}
