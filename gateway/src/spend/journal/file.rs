//! A living process's own journal.
//!
//! Invariant: the lock is kept as long as the process lives, also on a file that can no longer be written, because whoever
//! gets it takes the owner for dead. A file is locked before it gets its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{Line, Owner, SUFFIX, UNFINISHED};

/// A journal is written anew when it is larger than this and than [`GROWTH`] times what it was after the last time.
const LARGE: u64 = 4 * 1024 * 1024;
const GROWTH: u64 = 4;

pub struct Journal {
    directory: PathBuf,
    owner: Owner,
    file: Option<File>,
    /// Everything that was appended is in the file.
    sound: bool,
    length: u64,
    length_when_new: u64,
}

impl Journal {
    /// Where no file can be made, there is a journal all the same, which is not sound.
    pub fn open(directory: &Path, owner: Owner) -> Self {
        let mut journal =
            Self { directory: directory.to_owned(), owner, file: None, sound: true, length: 0, length_when_new: 0 };
        journal.rewrite(std::iter::empty());
        journal
    }

    /// One small write of a [`Line::text`]. What fails leaves a torn line, so nothing is appended after it.
    pub fn append(&mut self, line: sonic_rs::Result<Vec<u8>>) {
        let Some(file) = self.file.as_mut().filter(|_| self.sound) else { return };
        match line.map_err(io::Error::other).and_then(|line| file.write_all(&line).map(|()| line.len())) {
            Ok(length) => self.length += length as u64,
            Err(error) => self.failed(&error),
        }
    }

    /// False: what is counted is only in memory, and a kill would lose what is not flushed.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Whether it should be written anew: it failed, grew large, or somebody deleted it.
    pub fn needs_rewriting(&self) -> bool {
        let deleted = || self.file.as_ref().is_none_or(|file| file.metadata().is_ok_and(|file| file.nlink() == 0));
        !self.sound || self.length > LARGE.max(GROWTH * self.length_when_new) || deleted()
    }

    /// Puts a file with just these lines in the place of the old one. A failure leaves the old one as it is.
    pub fn rewrite<'l>(&mut self, lines: impl Iterator<Item = Line<'l>>) {
        let mut text = Vec::new();
        for line in lines {
            if let Err(error) = line.write(&mut text) {
                return self.failed(&io::Error::other(error));
            }
        }
        match self.replace(&text) {
            Ok(file) => {
                if !self.sound {
                    tracing::info!("the usage journal is written again");
                }
                self.file = Some(file);
                self.sound = true;
                self.length = text.len() as u64;
                self.length_when_new = self.length;
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Nothing in it is needed any more.
    pub fn remove(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(self.path(SUFFIX));
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        let unfinished = self.path(UNFINISHED);
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&unfinished)?;
        file.lock()?;
        // What an earlier try left.
        file.set_len(0)?;
        file.write_all(text)?;
        fs::rename(&unfinished, self.path(SUFFIX))?;
        Ok(file)
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.owner.file(&self.directory, suffix)
    }

    fn failed(&mut self, error: &io::Error) {
        if self.sound {
            let directory = self.directory.display();
            tracing::warn!(%error, %directory, "store.journal_dir cannot be written: usage is kept in memory only, and a kill would lose what is not flushed");
        }
        self.sound = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spend::journal::abandoned;

    fn one() -> Owner {
        Owner::new("https://gateway.example", "one")
    }

    fn lines(directory: &Path) -> Vec<Line<'static>> {
        abandoned(directory, &mut Default::default()).unwrap().iter().flat_map(|file| file.lines().unwrap()).collect()
    }

    #[test]
    fn a_living_journal_is_nobodys_and_a_dead_one_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), one());
        journal.append(Line::Flush(1).text());
        assert!(abandoned(directory.path(), &mut Default::default()).unwrap().is_empty());
        drop(journal);
        assert_eq!(lines(directory.path()), [Line::Flush(1)]);
    }

    #[test]
    fn a_full_disk_stops_the_journal_until_it_can_be_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), one());
        journal.append(Line::Flush(1).text());
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let real = journal.file.replace(full);
        journal.append(Line::Flush(2).text());
        assert!(!journal.is_sound() && journal.needs_rewriting());
        journal.file = real;
        journal.append(Line::Flush(3).text());
        assert!(abandoned(directory.path(), &mut Default::default()).unwrap().is_empty(), "its lock is kept");
        journal.rewrite([Line::Base(3)].into_iter());
        assert!(journal.is_sound() && !journal.needs_rewriting());
        journal.append(Line::Flush(4).text());
        drop(journal);
        assert_eq!(lines(directory.path()), [Line::Base(3), Line::Flush(4)]);
    }

    #[test]
    fn a_directory_that_cannot_be_used_leaves_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a file");
        fs::write(&file, "").unwrap();
        let mut journal = Journal::open(&file.join("below"), one());
        assert!(!journal.is_sound());
        journal.append(Line::Flush(1).text());
        fs::remove_file(&file).unwrap();
        journal.rewrite(std::iter::empty());
        assert!(journal.is_sound());
    }

    #[test]
    fn a_deleted_journal_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), one());
        assert!(!journal.needs_rewriting());
        fs::remove_file(journal.path(SUFFIX)).unwrap();
        assert!(journal.needs_rewriting());
        journal.rewrite(std::iter::empty());
        assert!(!journal.needs_rewriting() && journal.path(SUFFIX).exists());
    }

    #[test]
    fn a_large_journal_asks_to_be_written_anew_and_does_not_ask_at_once_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), one());
        journal.length = LARGE + 1;
        assert!(journal.needs_rewriting());
        journal.length_when_new = LARGE;
        assert!(!journal.needs_rewriting());
    }
}
