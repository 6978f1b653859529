//! Notifications: they only make things sooner, the tick is what can be relied on.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::Store;

const BEFORE_LISTENING_AGAIN: Duration = Duration::from_secs(1);

impl Store {
    /// Calls `ring` whenever something may have been revoked, for ever. A lost connection is made again, and rings, because
    /// something may have been said meanwhile.
    pub async fn listen(&self, ring: impl Fn()) {
        let Some(ears) = &self.ears else { return std::future::pending().await };
        loop {
            if let Ok(mut listener) = PgListener::connect_with(ears).await
                && listener.listen(&self.channel).await.is_ok()
            {
                listener.ignore_pool_close_event(false);
                ring();
                while let Ok(Some(_)) = listener.try_recv().await {
                    ring();
                }
            }
            tokio::time::sleep(BEFORE_LISTENING_AGAIN).await;
        }
    }
}
