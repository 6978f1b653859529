//! Tells the store what dead processes had counted.
//!
//! Invariant: what a journal has left is told under the dead process's own name and a number after all of its own, and only
//! if the store has since heard nothing under that name: a statement that it sent before it died may still arrive.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Amount, LeftOver, LimitKey, Pace,
    escrow::Report,
    journal::{Abandoned, Owner, abandoned},
};
use crate::store::{Store, StoreError, flush::Flush};

/// A process that shares the directory may die at any time.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

pub struct Replay {
    pub directory: PathBuf,
    /// This process: journals of its gateway are told though the store has forgotten their processes.
    pub owner: Owner,
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

/// What became of a journal.
enum Outcome {
    /// The store knows all of it.
    Told,
    /// Its process is none of this store's.
    Foreign,
}

/// Held by its lock until the store has heard.
struct Found {
    file: Abandoned,
    has_complained: bool,
}

impl Replay {
    /// Never ends.
    pub async fn run(self) {
        let mut held = BTreeMap::new();
        loop {
            match abandoned(&self.directory) {
                Ok(found) => held.extend(found.into_iter().map(|file| (file.owner.clone(), Found::new(file)))),
                Err(error) => tracing::debug!(%error, "store.journal_dir cannot be read"),
            }
            held = self.tell(held).await;
            tokio::time::sleep(if held.is_empty() { BETWEEN_LOOKS } else { BETWEEN_TRIES }).await;
        }
    }

    /// What is left could not be told.
    async fn tell(&self, held: BTreeMap<Owner, Found>) -> BTreeMap<Owner, Found> {
        let mut left = BTreeMap::new();
        for (owner, mut found) in held {
            match self.one(&found.file).await {
                Ok(Outcome::Told) => found.file.remove(),
                Ok(Outcome::Foreign) => {}
                Err(error) => {
                    found.complain(&error);
                    left.insert(owner, found);
                }
            }
        }
        left
    }

    async fn one(&self, file: &Abandoned) -> Result<Outcome, ReplayError> {
        let incarnation = file.owner.incarnation();
        loop {
            let last = self.store.last_sequence_of(incarnation).await?;
            if last.is_none() && !file.owner.is_of_same_gateway(&self.owner) {
                return Ok(Outcome::Foreign);
            }
            let left = LeftOver::of(file.lines()?, last);
            let limits = self.store.limits_of_the_dead(incarnation, &left.people()).await?;
            if left.is_empty() && limits.is_empty() {
                return Ok(Outcome::Told);
            }
            let usage = left.usage();
            let keys = usage.len();
            let reports = limits.into_iter().map(|(key, limit)| closing(key, limit, &left)).collect();
            let flush = Flush { incarnation: incarnation.to_owned(), sequence: left.sequence(), usage, reports };
            if self.store.flush_for_the_dead(last, &flush, &self.pace).await? {
                tracing::info!(incarnation, keys, "told the store what a dead process had counted");
                return Ok(Outcome::Told);
            }
        }
    }
}

impl Found {
    fn new(file: Abandoned) -> Self {
        Self { file, has_complained: false }
    }

    /// The store's health has logged that it is away; anything else is said once.
    fn complain(&mut self, error: &ReplayError) {
        let is_away = matches!(error, ReplayError::Store(error) if error.is_unavailable());
        if !is_away && !self.has_complained {
            self.has_complained = true;
            tracing::error!(?error, "what a dead process had counted cannot be told to the store; its journal is kept");
        }
    }
}

/// The process is gone, and with it what it held.
fn closing(key: LimitKey, limit: Amount, left: &LeftOver) -> Report {
    let spent = left.charged(&key.subject, key.meter.unit());
    Report { key, limit, spent, held: 0, given_back: 0, wanted: 0, needed: 0, closed: true }
}
