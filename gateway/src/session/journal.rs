//! What happened to sessions while the store was away, until the store has been told.
//!
//! Invariant: entries are told in their order, each at least once, and telling one twice changes nothing. They are kept in
//! memory and, as far as the directory allows, in a file of this incarnation: a process that starts takes over every file
//! whose owner is gone. Only hashes and sealed texts are written.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SessionId;
use crate::store::session::Advance;

const PREFIX: &str = "sessions-";
const SUFFIX: &str = ".jsonl";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Advanced { advance: Advance, at: DateTime<Utc> },
    Ended { session: SessionId },
}

impl Entry {
    pub fn session(&self) -> &SessionId {
        match self {
            Self::Advanced { advance, .. } => &advance.session,
            Self::Ended { session } => session,
        }
    }
}

pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Entry>,
    file: Option<File>,
    /// Files of processes that are gone, held by their locks until their entries are told.
    inherited: Vec<(PathBuf, File)>,
}

impl Journal {
    /// Reads what earlier processes left. A directory that cannot be read is a reason to warn, not to stop.
    pub fn open(directory: &Path, incarnation: &str) -> Self {
        let mut inner = Inner::default();
        if let Err(error) = fs::create_dir_all(directory).and_then(|()| inner.inherit(directory)) {
            tracing::warn!(%error, directory = %directory.display(), "store.journal_dir cannot be used: what happens to sessions during an outage is kept in memory only");
        }
        Self { path: directory.join(format!("{PREFIX}{incarnation}{SUFFIX}")), inner: Mutex::new(inner) }
    }

    pub fn write(&self, entry: Entry) {
        let mut inner = self.inner();
        if let Err(error) = inner.append(&self.path, &entry) {
            tracing::warn!(%error, "a session's step is kept in memory only");
        }
        inner.waiting.push_back(entry);
    }

    /// The oldest entry that the store does not know.
    pub fn next(&self) -> Option<Entry> {
        self.inner().waiting.front().cloned()
    }

    /// The store knows it. The last one takes the files with it.
    pub fn told(&self) {
        let mut inner = self.inner();
        inner.waiting.pop_front();
        if inner.waiting.is_empty() {
            for (path, _) in inner.inherited.drain(..) {
                let _ = fs::remove_file(path);
            }
            if inner.file.take().is_some() {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.inner().waiting.is_empty()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, path: &Path, entry: &Entry) -> std::io::Result<()> {
        if self.file.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            file.lock()?;
            self.file = Some(file);
        }
        let mut line = serde_json::to_vec(&Line::from(entry))?;
        line.push(b'\n');
        match &mut self.file {
            Some(file) => file.write_all(&line),
            None => Ok(()),
        }
    }

    fn inherit(&mut self, directory: &Path) -> std::io::Result<()> {
        for found in fs::read_dir(directory)? {
            let path = found?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
                continue;
            }
            let file = File::open(&path)?;
            if file.try_lock().is_err() {
                continue; // its owner lives
            }
            // A line cut short by a kill is no line.
            let lines = BufReader::new(&file).lines().map_while(Result::ok);
            self.waiting.extend(lines.filter_map(|line| serde_json::from_str::<Line>(&line).ok()?.read()));
            self.inherited.push((path, file));
        }
        if self.waiting.is_empty() {
            for (path, _) in self.inherited.drain(..) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    session: SessionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advanced: Option<AdvancedLine>,
}

#[derive(Serialize, Deserialize)]
struct AdvancedLine {
    generation: i64,
    previous: String,
    token: String,
    successor: String,
    at: DateTime<Utc>,
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let advanced = match entry {
            Entry::Ended { .. } => None,
            Entry::Advanced { advance, at } => Some(AdvancedLine {
                generation: advance.generation,
                previous: encode(&advance.previous_hash),
                token: encode(&advance.token_hash),
                successor: encode(&advance.successor),
                at: *at,
            }),
        };
        Self { session: *entry.session(), advanced }
    }
}

impl Line {
    fn read(self) -> Option<Entry> {
        let Self { session, advanced } = self;
        let Some(AdvancedLine { generation, previous, token, successor, at }) = advanced else {
            return Some(Entry::Ended { session });
        };
        let decode = |text: String| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let advance = Advance {
            session,
            generation,
            previous_hash: decode(previous)?.try_into().ok()?,
            token_hash: decode(token)?.try_into().ok()?,
            successor: decode(successor)?,
        };
        Some(Entry::Advanced { advance, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> [Entry; 2] {
        let session = SessionId::from_bytes([9; 16]);
        let advance = Advance {
            session,
            generation: 3,
            previous_hash: [1; 32],
            token_hash: [2; 32],
            successor: b"sealed".to_vec(),
        };
        [Entry::Advanced { advance, at: DateTime::UNIX_EPOCH }, Entry::Ended { session }]
    }

    fn files(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_process_that_starts_takes_over_what_a_dead_one_left() {
        let directory = tempfile::tempdir().unwrap();
        let dead = Journal::open(directory.path(), "dead");
        entries().into_iter().for_each(|entry| dead.write(entry));
        drop(dead);
        let next = Journal::open(directory.path(), "next");
        for entry in entries() {
            assert_eq!(next.next(), Some(entry));
            next.told();
        }
        assert!(next.is_empty());
        assert_eq!(files(directory.path()), 0);
    }

    #[test]
    fn a_living_process_keeps_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let living = Journal::open(directory.path(), "living");
        entries().into_iter().for_each(|entry| living.write(entry));
        assert!(Journal::open(directory.path(), "next").is_empty());
        living.told();
        living.told();
        assert_eq!(files(directory.path()), 0);
    }

    #[test]
    fn a_line_cut_short_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let whole = serde_json::to_string(&Line::from(&entries()[1])).unwrap();
        fs::write(directory.path().join("sessions-dead.jsonl"), format!("{whole}\n{}", &whole[..9])).unwrap();
        let next = Journal::open(directory.path(), "next");
        assert_eq!(next.next(), Some(entries()[1].clone()));
        next.told();
        assert!(next.is_empty());
    }

    #[test]
    fn a_directory_that_cannot_be_used_leaves_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a file");
        fs::write(&file, "").unwrap();
        let journal = Journal::open(&file, "here");
        journal.write(entries()[1].clone());
        assert_eq!(journal.next(), Some(entries()[1].clone()));
    }
}
