//! Once a second: say that this pod lives, learn what was revoked, tell the store what it missed. A notification only makes
//! the next look come sooner.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::Sessions;
use crate::store::{StoreError, pod::Pod};

const BETWEEN_SWEEPS: Duration = Duration::from_secs(30);

/// Ends when it is dropped.
pub struct Watch {
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Returns when everything that was revoked so far is known: only then may a pod admit anybody.
    pub async fn start(sessions: Arc<Sessions>, pod: Pod) -> Result<Self, StoreError> {
        look(&sessions, &pod).await?;
        let mut tasks = JoinSet::new();
        let bell = Arc::new(Notify::new());
        let (listening, rung) = (sessions.clone(), bell.clone());
        tasks.spawn(async move { listening.store.listen(|| rung.notify_one()).await });
        tasks.spawn(watch(sessions, pod, bell));
        Ok(Self { _tasks: tasks })
    }
}

async fn watch(sessions: Arc<Sessions>, pod: Pod, bell: Arc<Notify>) {
    let mut ticks = interval(sessions.lifetimes.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_sweep = Instant::now() + BETWEEN_SWEEPS;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = bell.notified() => {}
            () = sleep_until(next_sweep) => {
                next_sweep = Instant::now() + BETWEEN_SWEEPS;
                if let Err(error) = sweep(&sessions).await {
                    tracing::debug!(%error, "what is over stays in the store until the next sweep");
                }
                continue;
            }
        }
        // The store's health has logged that it is away; a statement that it refused is our own fault.
        if let Err(error @ StoreError::Refused(_)) = look(&sessions, &pod).await {
            tracing::error!(?error, "this pod could not learn what was revoked");
        }
    }
}

async fn look(sessions: &Sessions, pod: &Pod) -> Result<(), StoreError> {
    let head = sessions.store.beat(pod, &sessions.keys.ids()).await?;
    learn(sessions, head).await?;
    sessions.catch_up().await?;
    sessions.outage.over();
    Ok(())
}

/// A head behind what this pod has read is a database that was restored: everything is read again.
async fn learn(sessions: &Sessions, head: i64) -> Result<(), StoreError> {
    let known = sessions.revocations.sequence();
    let mut after = if head < known { 0 } else { known };
    if head == known {
        return Ok(());
    }
    loop {
        let page = sessions.store.revocations_after(after).await?;
        after = page.rows.last().map_or(after, |row| row.sequence);
        let read_up_to = if page.is_last { after.max(head) } else { after };
        sessions.revocations.learn(page.rows, read_up_to);
        if page.is_last {
            return Ok(());
        }
    }
}

/// Deletes what is over. Any pod may, several at once too.
async fn sweep(sessions: &Sessions) -> Result<(), StoreError> {
    let store = &sessions.store;
    let lifetimes = sessions.lifetimes;
    sessions.revocations.forget_up_to(sessions.clock.now() - lifetimes.session);
    store.forget_successors_after(lifetimes.grace).await?;
    store.delete_sessions_older_than(lifetimes.session).await?;
    store.delete_revocations_before(lifetimes.session).await?;
    store.delete_grants_ended_an_hour_ago().await?;
    store.delete_rate_windows_that_ended().await?;
    store.delete_pods_unseen_for_a_day().await?;
    Ok(())
}
