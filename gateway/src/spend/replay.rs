//! Tells the store what dead processes had counted.
//!
//! Invariant: what a journal has left is told under the dead process's own name and a number after all of its own, and only
//! if the store has since heard nothing under that name: a statement that it sent before it died may still arrive.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use super::{
    LeftOver, Pace,
    escrow::Report,
    journal::{Abandoned, abandoned},
};
use crate::store::{Store, StoreError, flush::Flush, limit::ShareOf};

/// A process that shares the directory may die at any time.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

pub struct Replay {
    pub directory: PathBuf,
    pub store: Arc<Store>,
    pub pace: Pace,
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("a journal cannot be read: {0}")]
    Journal(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replay {
    /// Never ends.
    pub async fn run(self) {
        // A file is read again and again until the store has heard: with its lock held, nobody else does.
        let mut held = BTreeMap::new();
        loop {
            match abandoned(&self.directory) {
                Ok(found) => held.extend(found.into_iter().map(|file| (file.incarnation.clone(), file))),
                Err(error) => tracing::debug!(%error, "store.journal_dir cannot be read"),
            }
            self.tell(&mut held).await;
            tokio::time::sleep(if held.is_empty() { BETWEEN_LOOKS } else { BETWEEN_TRIES }).await;
        }
    }

    async fn tell(&self, held: &mut BTreeMap<String, Abandoned>) {
        while let Some(file) = held.first_entry() {
            match self.one(file.get()).await {
                Ok(()) => file.remove().remove(),
                Err(error) => {
                    if !matches!(&error, ReplayError::Store(error) if error.is_unavailable()) {
                        tracing::error!(?error, "what a dead process had counted cannot be told to the store");
                    }
                    return;
                }
            }
        }
    }

    async fn one(&self, file: &Abandoned) -> Result<(), ReplayError> {
        loop {
            let lines = file.lines()?;
            let last = self.store.last_sequence_of(&file.incarnation).await?;
            let left = LeftOver::of(lines, last);
            let shares = self.store.shares_of(&file.incarnation).await?;
            if left.is_empty() && shares.is_empty() {
                return Ok(());
            }
            let usage = left.usage();
            let keys = usage.len();
            let reports = shares.into_iter().map(|share| closing(share, &left)).collect();
            let flush = Flush { incarnation: file.incarnation.clone(), sequence: left.sequence(), usage, reports };
            if self.store.flush_for_the_dead(last, &flush, &self.pace).await? {
                tracing::info!(incarnation = file.incarnation, keys, "told the store what a dead process had counted");
                return Ok(());
            }
        }
    }
}

/// The process is gone, and with it what it held.
fn closing(share: ShareOf, left: &LeftOver) -> Report {
    let ShareOf { key, limit, granted: _, held: _, charged: _ } = share;
    let spent = left.charged(&key.subject, key.meter.unit());
    Report { key, limit, spent, held: 0, given_back: 0, wanted: 0, needed: 0, closed: true }
}
