//! Journals whose owners are dead.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Line, Owner, SUFFIX, UNFINISHED};

/// Held by its lock, so that no other process reads it at the same time.
pub struct Abandoned {
    pub owner: Owner,
    path: PathBuf,
    file: File,
}

/// Every journal in this directory whose lock is free. One that cannot be read is passed over, so that it keeps none of the
/// others back; `unreadable` are those of which that was said already.
pub fn abandoned(directory: &Path, unreadable: &mut BTreeSet<PathBuf>) -> io::Result<Vec<Abandoned>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match take_over(path.clone()) {
            Ok(abandoned) => found.extend(abandoned),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                if unreadable.insert(path.clone()) {
                    tracing::warn!(%error, path = %path.display(), "a dead process's usage journal cannot be read");
                }
            }
        }
    }
    Ok(found)
}

fn take_over(path: PathBuf) -> io::Result<Option<Abandoned>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(owner) = name.strip_suffix(SUFFIX).and_then(Owner::read) {
        return Ok(hold(&path)?.map(|file| Abandoned { owner, path, file }));
    }
    if name.strip_suffix(UNFINISHED).and_then(Owner::read).is_some() && hold(&path)?.is_some() {
        // Its owner died before it gave it a name; what counts is in the file that has one.
        fs::remove_file(&path)?;
    }
    Ok(None)
}

/// Locks a file that nobody holds. The one that was opened may meanwhile have been replaced by its owner, or removed by
/// another process that read it: then the lock is one on a file that is nowhere.
fn hold(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if file.try_lock().is_err() {
        return Ok(None);
    }
    let same = fs::metadata(path)
        .is_ok_and(|named| file.metadata().is_ok_and(|held| (held.dev(), held.ino()) == (named.dev(), named.ino())));
    Ok(same.then_some(file))
}

impl Abandoned {
    /// A line cut short by a kill is no line.
    pub fn lines(&self) -> io::Result<Vec<Line<'static>>> {
        let mut text = Vec::new();
        let mut file = &self.file;
        file.rewind()?;
        file.read_to_end(&mut text)?;
        let (mut lines, mut unreadable) = (Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            match serde_json::from_slice(line) {
                Ok(line) => lines.push(line),
                Err(_) => unreadable += 1,
            }
        }
        if unreadable > 0 {
            let path = self.path.display();
            tracing::warn!(%path, unreadable, "lines of a dead process's usage journal cannot be read");
        }
        Ok(lines)
    }

    /// The store knows what was in it.
    pub fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a usage journal that is done with cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spend::journal::Journal;

    #[test]
    fn a_line_cut_short_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("usage-0a-dead.jsonl"), "{\"flush\":1}\n{\"ba").unwrap();
        let found = abandoned(directory.path(), &mut Default::default()).unwrap();
        assert_eq!(found[0].owner.incarnation(), "dead");
        assert_eq!(found[0].lines().unwrap(), [Line::Flush(1)]);
    }

    #[test]
    fn a_journal_that_cannot_be_read_keeps_no_other_back() {
        let directory = tempfile::tempdir().unwrap();
        let circle = directory.path().join("usage-0a-circle.jsonl");
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        fs::write(directory.path().join("usage-0a-dead.jsonl"), "{\"flush\":1}\n").unwrap();
        let mut unreadable = BTreeSet::new();
        let found = abandoned(directory.path(), &mut unreadable).unwrap();
        assert_eq!(found.iter().map(|file| file.owner.incarnation()).collect::<Vec<_>>(), ["dead"]);
        assert_eq!(unreadable.into_iter().collect::<Vec<_>>(), [circle]);
    }

    #[test]
    fn two_processes_that_start_at_once_do_not_read_one_journal() {
        let directory = tempfile::tempdir().unwrap();
        drop(Journal::open(directory.path(), Owner::new("https://gateway.example", "dead")));
        let mut first = abandoned(directory.path(), &mut Default::default()).unwrap();
        assert!(abandoned(directory.path(), &mut Default::default()).unwrap().is_empty());
        first.remove(0).remove();
        assert!(abandoned(directory.path(), &mut Default::default()).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_its_owner_replaced_meanwhile_is_not_taken_for_a_dead_ones() {
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner::new("https://gateway.example", "one");
        let path = owner.file(directory.path(), SUFFIX);
        fs::write(&path, "").unwrap();
        let opened = File::open(&path).unwrap();
        let _living = Journal::open(directory.path(), owner);
        assert!(opened.try_lock().is_ok(), "the old file is free");
        assert!(hold(&path).unwrap().is_none());
    }

    #[test]
    fn what_was_never_given_a_name_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usage-0a-one.jsonl.new");
        fs::write(&path, "{\"flush\":1}\n").unwrap();
        assert!(abandoned(directory.path(), &mut Default::default()).unwrap().is_empty());
        assert!(!path.exists());
    }
}
