//! Notifications: they only make things sooner, the tick and the flush are what can be relied on.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;
use tokio::sync::broadcast;

use super::Store;

const BEFORE_LISTENING_AGAIN: Duration = Duration::from_secs(1);
/// Longer than a pool keeps a connection (30 minutes), so that the next one is a new one. Who listened for ever would stay
/// logged in by a login that has had its time, and hold up the next.
const LISTENS_FOR: Duration = Duration::from_secs(31 * 60);
/// Rings about limits that may wait to be heard; whoever is slower misses some.
pub(super) const RINGS: usize = 64;

impl Store {
    /// Calls `ring` whenever something may have been revoked, for ever. A lost connection is made again, and rings, because
    /// something may have been said meanwhile. What is said about limits goes to [`limit_rings`](Self::limit_rings).
    pub async fn listen(&self, ring: impl Fn()) {
        let Some(ears) = &self.ears else { return std::future::pending().await };
        loop {
            if let Ok(mut listener) = PgListener::connect_with(ears).await
                && listener.listen_all([self.channel.as_str(), &self.limit_channel]).await.is_ok()
            {
                listener.ignore_pool_close_event(false);
                ring();
                let heard = async {
                    while let Ok(Some(notification)) = listener.try_recv().await {
                        match notification.channel() == self.limit_channel {
                            true => drop(self.limit_rings.send(notification.payload().into())),
                            false => ring(),
                        }
                    }
                };
                let _ = tokio::time::timeout(LISTENS_FOR, heard).await;
            }
            tokio::time::sleep(BEFORE_LISTENING_AGAIN).await;
        }
    }

    /// Somebody waits for share of a limit, or share came free; in the words of the function `flush`.
    pub fn limit_rings(&self) -> broadcast::Receiver<Arc<str>> {
        self.limit_rings.subscribe()
    }
}
