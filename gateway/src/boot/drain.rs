//! Going away without anyone noticing.
//!
//! At the first signal readiness goes off and replies say `Connection: close`, but the port stays open: a load balancer needs
//! a moment to notice, and what it sends until then is served, also over the connections that it kept: those end when nobody
//! has asked for anything for [`QUIET`]. The process ends when no reply is due besides; at the deadline open streams get a last
//! event and end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::door::{activity::Activity, connection::Closing};

/// Nothing came for so long: whoever sends has noticed.
pub const QUIET: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);
/// A cut stream's last event needs a moment to leave.
const LAST_WORDS: Duration = Duration::from_millis(2500);

/// The process's way out, shared by all who must know.
pub struct Lifecycle {
    pub draining: Arc<AtomicBool>,
    pub activity: Arc<Activity>,
    closing: watch::Sender<Closing>,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self { draining: Arc::default(), activity: Arc::default(), closing: watch::Sender::new(Closing::Open) }
    }

    pub fn follow(&self) -> watch::Receiver<Closing> {
        self.closing.subscribe()
    }

    /// Returns when nobody is served any more.
    pub async fn drain(&self, timeout: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        self.closing.send_replace(Closing::Draining);
        let deadline = Instant::now() + timeout;
        let (mut arrived, mut last_arrival) = (self.activity.arrived(), Instant::now());
        while Instant::now() < deadline {
            if self.activity.arrived() != arrived {
                (arrived, last_arrival) = (self.activity.arrived(), Instant::now());
            }
            if last_arrival.elapsed() >= QUIET {
                self.closing.send_if_modified(|phase| std::mem::replace(phase, Closing::Quiet) != Closing::Quiet);
                if self.activity.busy() == 0 {
                    return self.end().await;
                }
            }
            sleep(LOOK).await;
        }
        let open = self.activity.busy();
        tracing::warn!(open, "the drain's deadline has come; open replies are ended");
        self.closing.send_replace(Closing::Cut);
        self.end().await;
    }

    /// What was answered may not have left yet: the connections are waited for, a moment.
    async fn end(&self) {
        let last = Instant::now() + LAST_WORDS;
        while self.activity.connections() > 0 && Instant::now() < last {
            sleep(LOOK).await;
        }
        self.end_now();
    }

    /// The threads end; what is still open is dropped.
    pub fn end_now(&self) {
        self.closing.send_replace(Closing::Gone);
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_replies_and_for_quiet() {
        let lifecycle = Arc::new(Lifecycle::new());
        lifecycle.activity.begin();
        let draining = tokio::spawn({
            let lifecycle = lifecycle.clone();
            async move { lifecycle.drain(Duration::from_secs(60)).await }
        });
        sleep(QUIET + Duration::from_millis(300)).await;
        assert!(!draining.is_finished() && lifecycle.draining.load(Ordering::Relaxed));
        lifecycle.activity.end();
        tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap().unwrap();
        assert_eq!(*lifecycle.follow().borrow(), Closing::Gone);
    }

    #[tokio::test]
    async fn a_drain_ends_at_its_deadline_and_cuts_first() {
        let lifecycle = Arc::new(Lifecycle::new());
        lifecycle.activity.begin();
        let open = lifecycle.activity.open();
        let mut closing = lifecycle.follow();
        let draining = tokio::spawn({
            let lifecycle = lifecycle.clone();
            async move { lifecycle.drain(Duration::from_millis(50)).await }
        });
        closing.wait_for(|phase| *phase == Closing::Cut).await.unwrap();
        drop(open);
        tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap().unwrap();
        assert_eq!(*lifecycle.follow().borrow(), Closing::Gone);
    }
}
