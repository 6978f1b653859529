//! Once a second: say that this pod lives and what it serves; learn what was revoked and which policies hold; tell the store
//! what it missed. Halfway between, only look: what nobody was notified of is so known within the second. A notification only
//! makes the next look come sooner.
//!
//! Invariant: while the store is away everything stays as it was last seen, and the first look that succeeds catches up.

use std::{sync::Arc, time::Duration};

use chrono::Months;
use serde_json::Value;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{
    clock::Clock,
    policy::{Applications, Applied, LivePolicies, StoredPolicies},
    session::Sessions,
    store::{
        AT_ONCE, Store, StoreError,
        pod::{Condition, Heads, Pod},
    },
};

const BETWEEN_SWEEPS: Duration = Duration::from_secs(30);
/// People in one statement.
const TOLD_AT_ONCE: usize = 1000;

/// Ends when it is dropped.
pub struct Pulse {
    _tasks: JoinSet<()>,
}

/// Whom the pulse speaks for.
pub struct Body {
    pub pod: Pod,
    pub store: Arc<Store>,
    pub sessions: Arc<Sessions>,
    pub policies: Arc<LivePolicies>,
    /// Where policies are rows.
    pub stored: Option<StoredPolicies>,
    pub applied: Option<Arc<Applied>>,
    pub clock: Arc<dyn Clock>,
    /// How long rows of usage are kept.
    pub usage_kept: Months,
    /// How the upstreams fare.
    pub upstreams: Box<dyn Fn() -> Value + Send + Sync>,
}

impl Pulse {
    /// Returns when everything that was revoked so far is known: only then may a pod admit anybody.
    pub async fn start(body: Body) -> Result<Self, StoreError> {
        let bell = Arc::new(Notify::new());
        body.beat().await?;
        let mut tasks = JoinSet::new();
        let (store, rung) = (body.store.clone(), bell.clone());
        tasks.spawn(async move { store.listen(|| rung.notify_one()).await });
        let (clock, usage_kept) = (body.clock.clone(), body.usage_kept);
        tasks.spawn(Broom { store: body.store.clone(), clock, usage_kept }.live());
        tasks.spawn(body.live(bell));
        Ok(Self { _tasks: tasks })
    }
}

impl Body {
    async fn live(self, bell: Arc<Notify>) {
        let mut ticks = interval(self.sessions.tick() / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_beat = false;
        let mut next_sweep = Instant::now() + BETWEEN_SWEEPS;
        loop {
            let looked = tokio::select! {
                _ = ticks.tick() => {
                    is_beat = !is_beat;
                    if is_beat { self.beat().await } else { self.look().await }
                }
                () = bell.notified() => self.look().await,
                () = sleep_until(next_sweep) => {
                    next_sweep = Instant::now() + BETWEEN_SWEEPS;
                    self.sweep().await;
                    continue;
                }
            };
            // The store's health has logged that it is away; a statement that it refused is our own fault.
            if let Err(error @ StoreError::Refused(_)) = looked {
                tracing::error!(?error, "this pod could not learn what is newest");
            }
        }
    }

    /// Says that this pod lives, follows what is newest, and tells what was missed.
    async fn beat(&self) -> Result<(), StoreError> {
        let heads = self.store.beat(&self.pod, &self.condition()).await?;
        let followed = self.follow(&heads).await;
        followed.and(self.sessions.tell_store().await)
    }

    /// Only follows what is newest. That the store is back is for the beat to find out.
    async fn look(&self) -> Result<(), StoreError> {
        match self.store.health().is_reachable() {
            true => self.follow(&self.store.heads().await?).await,
            false => self.beat().await,
        }
    }

    /// Revocations first: whatever becomes of the rest, they hold.
    async fn follow(&self, heads: &Heads) -> Result<(), StoreError> {
        let learned = self.sessions.learn_revoked(heads.revocations).await;
        if let Some(stored) = &self.stored
            && stored.catch_up(&heads.policies).await
        {
            // Whoever waits for this revision to be served everywhere need not wait for the next beat.
            self.store.beat(&self.pod, &self.condition()).await?;
        }
        learned
    }

    fn condition(&self) -> Condition {
        Condition {
            session_keys: self.sessions.key_ids(),
            policies: self.policies.revision(),
            upstreams: (self.upstreams)(),
        }
    }

    /// Each part whatever became of the others.
    async fn sweep(&self) {
        let parts = [
            self.tell_applied().await,
            self.sessions.sweep().await,
            self.store.forget_applied_before_three_days().await.map(drop),
            self.store.delete_pods_unseen_for_a_day().await.map(drop),
        ];
        for error in parts.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "what is over stays in the store until the next sweep");
        }
    }

    /// In statements of a bounded size: the first hour of a day brings everybody.
    async fn tell_applied(&self) -> Result<(), StoreError> {
        let Some(applied) = &self.applied else { return Ok(()) };
        let Some(Applications { day, mut people }) = applied.take() else { return Ok(()) };
        while !people.is_empty() {
            let rest = people.split_off(people.len().min(TOLD_AT_ONCE));
            let told = Applications { day, people };
            if let Err(error) = self.store.note_applied(&told).await {
                let people = told.people.into_iter().chain(rest).collect();
                applied.put_back(Applications { day, people });
                return Err(error);
            }
            people = rest;
        }
        Ok(())
    }
}

/// Sweeps the ledger: it can be large, and no beat waits for it.
struct Broom {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    usage_kept: Months,
}

impl Broom {
    async fn live(self) {
        loop {
            sleep(BETWEEN_SWEEPS).await;
            if let Err(error) = self.sweep().await {
                tracing::debug!(%error, "what is over stays in the ledger until the next sweep");
            }
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        while self.store.delete_limits_that_are_over().await? >= AT_ONCE.cast_unsigned() {}
        if let Some(kept_from) = self.clock.now().checked_sub_months(self.usage_kept) {
            while self.store.delete_usage_before(kept_from).await? >= AT_ONCE.cast_unsigned() {}
        }
        Ok(())
    }
}
