//! What sessions need every now and then: to learn what was revoked, to tell the store what it missed, to delete what is over.

use std::time::Duration;

use super::Sessions;
use crate::store::StoreError;

impl Sessions {
    /// How often the newest has to be learned.
    pub fn tick(&self) -> Duration {
        self.lifetimes.tick
    }

    /// The ids of the keys that sign and verify here, the signing one first.
    pub fn key_ids(&self) -> Vec<String> {
        self.keys.ids()
    }

    /// Reads what was revoked up to `head`. A head behind what this pod has read is a database that was restored: everything is
    /// read again.
    pub async fn learn_revoked(&self, head: i64) -> Result<(), StoreError> {
        let known = self.revocations.sequence();
        let mut after = if head < known { 0 } else { known };
        if head == known {
            return Ok(());
        }
        loop {
            let page = self.store.revocations_after(after).await?;
            after = page.rows.last().map_or(after, |row| row.sequence);
            let read_up_to = if page.is_last { after.max(head) } else { after };
            self.revocations.learn(page.rows, read_up_to);
            if page.is_last {
                return Ok(());
            }
        }
    }

    /// The store answers, and knows what happened while it did not.
    pub async fn tell_store(&self) -> Result<(), StoreError> {
        self.catch_up().await?;
        self.outage.over();
        Ok(())
    }

    /// Deletes what is over. Any pod may, several at once too.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let (store, lifetimes) = (&self.store, self.lifetimes);
        self.revocations.forget_up_to(self.clock.now() - lifetimes.session);
        store.forget_successors_after(lifetimes.grace).await?;
        store.delete_sessions_older_than(lifetimes.session).await?;
        store.delete_sessions_that_ended_with_all().await?;
        store.delete_revocations_before(lifetimes.session).await?;
        store.delete_grants_ended_an_hour_ago().await?;
        store.delete_rate_windows_that_ended().await?;
        Ok(())
    }
}
