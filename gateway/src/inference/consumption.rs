//! What a request has come to so far, by the models that used it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Models,
    usage::{Beside, Usage},
};
use crate::{
    spend::{Counts, OpenReply},
    telemetry::{
        Metrics,
        metrics::{TokenKind, Tokens},
    },
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

    pub fn count(&self, model: &str, metrics: &Metrics) {
        count(model, self.usage.counts(), metrics);
        for (model, counts) in &self.aside {
            count(model, *counts, metrics);
        }
    }
}

fn count(model: &str, counts: Counts, metrics: &Metrics) {
    let kinds = [
        (TokenKind::Input, counts.input_tokens),
        (TokenKind::Output, counts.output_tokens),
        (TokenKind::CacheRead, counts.cache_read_tokens),
        (TokenKind::CacheWrite, counts.cache_write_5m_tokens + counts.cache_write_1h_tokens),
    ];
    for (kind, count) in kinds {
        if count > 0 {
            metrics.tokens.get_or_create(&Tokens { model: model.to_owned(), kind }).inc_by(count.cast_unsigned());
        }
    }
}
