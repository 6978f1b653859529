//! One thread's own handles on counters: found once in their family, which all threads lock, and not at each request.
//!
//! Invariant: a handle counts the series that its family shows, because no family is ever cleared; and what it is found by
//! comes from closed sets, so that a thread keeps no more handles than there are series.

use std::{cell::RefCell, sync::Arc};

use super::metrics::{Answered, Counter, Endpoint, Metrics, Tokens};
use crate::hashing::Map;

pub struct Handles {
    metrics: Arc<Metrics>,
    answered: RefCell<Map<Answered, Counter>>,
    tokens: RefCell<Map<String, Tokens>>,
}

impl Handles {
    pub fn on(metrics: Arc<Metrics>) -> Self {
        Self { metrics, answered: RefCell::default(), tokens: RefCell::default() }
    }

    /// One more reply.
    pub fn answered(&self, endpoint: Endpoint, status: u16) {
        let mut known = self.answered.borrow_mut();
        let find = |answered: &Answered| self.metrics.answered.get_or_create(answered).clone();
        known.entry(Answered { endpoint, status }).or_insert_with_key(find).inc();
    }

    /// `model` is a catalogue or configured id, so bounded by the operator.
    pub fn with_tokens_of(&self, model: &str, count: impl FnOnce(&Tokens)) {
        let mut known = self.tokens.borrow_mut();
        match known.get(model) {
            Some(tokens) => count(tokens),
            None => count(known.entry(model.to_owned()).or_insert_with(|| self.metrics.tokens_of(model))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_the_same_series() {
        let metrics = Arc::new(Metrics::new());
        for thread in [Handles::on(metrics.clone()), Handles::on(metrics.clone())] {
            for _ in 0..2 {
                thread.answered(Endpoint::Messages, 200);
                thread.with_tokens_of("a-model", |tokens| {
                    tokens.input.inc_by(3);
                });
            }
        }
        let text = metrics.render();
        for line in [
            r#"claude_gateway_responses_total{endpoint="Messages",status="200"} 4"#,
            r#"claude_gateway_tokens_total{model="a-model",kind="Input"} 12"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
