//! One watch, one task, one back-off: a kind that may not be watched, or is not there, delays no other.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;

use super::metrics::Metrics;

const FIRST: Duration = Duration::from_millis(500);
/// What came back is heard of within this.
const LONGEST: Duration = Duration::from_secs(10);
/// A watch that has gone on for this long is well again. That a list was read says nothing: the watch after it may fail at once.
const WELL: Duration = Duration::from_secs(20);

/// Hands every event to `hear`, for ever. A failure is logged when it begins, not each time it is tried again.
///
/// A watch that cannot be started begins anew with a list. Meanwhile the store may have been restored to an older state, and an
/// API server does not refuse to go on from a revision that its store has yet to reach: it says nothing until then, and what
/// happens on the way is never told.
pub async fn watch<K>(api: Api<K>, selection: watcher::Config, metrics: &Metrics, mut hear: impl FnMut(Event<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let resource = api.resource_url().rsplit('/').next().unwrap_or_default().to_owned();
    let mut events = watcher(api.clone(), selection.clone()).boxed();
    let mut wait = FIRST;
    let mut failed: Option<Instant> = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => hear(without_history(event)),
            Err(error) => {
                metrics.watch_failed(&resource);
                let begins_anew = matches!(error, watcher::Error::WatchStartFailed(_));
                if begins_anew {
                    // Not only when it is tried again: until then nobody is told anything.
                    hear(Event::Init);
                }
                if failed.is_none_or(|at| at.elapsed() >= WELL) {
                    tracing::warn!(%error, resource, "a watch failed and is tried again");
                    wait = FIRST;
                }
                tokio::time::sleep(wait).await;
                failed = Some(Instant::now());
                if begins_anew {
                    events = watcher(api.clone(), selection.clone()).boxed();
                }
                wait = (wait * 2).min(LONGEST);
            }
        }
    }
}

/// Who owns which field is as much again as the object itself, and nobody here asks a cache for it.
fn without_history<K: Resource>(mut event: Event<K>) -> Event<K> {
    if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event {
        object.meta_mut().managed_fields = None;
    }
    event
}
