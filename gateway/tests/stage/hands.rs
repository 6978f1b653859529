//! The machine's clock, moved.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use e2e::cast::openid::OpenIdProvider;
use gateway::clock::{Clock, SystemClock};

#[derive(Default)]
pub(crate) struct Hands(Mutex<TimeDelta>);

impl Hands {
    /// Both clocks, ours and the provider's.
    pub(crate) fn turn(&self, provider: &OpenIdProvider, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
        provider.behave(|behaviour| behaviour.clock_ahead += by.num_seconds());
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + *self.0.lock().unwrap()
    }
}
