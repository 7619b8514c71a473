//! The history on disk: `usage.json` in `state_dir`, plain JSON, replaced as a whole.

use std::fs;
use std::io;
use std::path::Path;

use super::history::UsageHistory;
use crate::state::folder::{self, FolderLock};

const FILE: &str = "usage.json";
/// Held while a process keeps its history in the folder.
const LOCK: &str = "usage.lock";
/// Far more than a full history takes.
const LONGEST: u64 = 256 << 20;
const WHAT: &str = "the counts of what keys use";

/// The history in one folder, which is this process's alone for as long as this lives.
#[derive(Debug)]
pub(crate) struct UsageFile {
    lock: FolderLock,
    history: UsageHistory,
}

impl UsageFile {
    /// Takes the history that is there, or begins one; a damaged one is kept aside.
    ///
    /// # Errors
    /// It cannot be used, or another process has it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let lock = FolderLock::take(folder, LOCK)?;
        let history = folder::read_json(folder, FILE, LONGEST, WHAT)?;
        Ok(Self { lock, history })
    }

    /// Whether it is the history of that folder, see [`FolderLock::is_of`].
    pub(crate) fn is_of(&self, folder: &Path) -> bool {
        self.lock.is_of(folder)
    }

    pub(crate) fn history(&self) -> &UsageHistory {
        &self.history
    }

    /// Adds what was used, and writes all of it.
    ///
    /// # Errors
    /// It cannot be written; it is in the history nevertheless, and written with what is added next.
    pub(crate) fn add(&mut self, used: UsageHistory) -> io::Result<()> {
        self.history.merge(used);
        self.history.trim();
        folder::replace(self.lock.folder(), FILE, &serde_json::to_vec(&self.history)?)
    }
}

/// The history in a folder, whoever keeps it there.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn read(folder: &Path) -> io::Result<UsageHistory> {
    Ok(serde_json::from_slice(&fs::read(folder.join(FILE))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::usage::UsageTotals;

    fn history(requests: u64) -> UsageHistory {
        let mut history = UsageHistory::default();
        let used = UsageTotals { requests, ..UsageTotals::default() };
        history.add(&"2026-11-29".into(), "a", "x", used);
        history
    }

    #[test]
    fn what_is_added_is_found_again_by_the_next_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = UsageFile::open(folder.path()).unwrap();
        assert_eq!(UsageFile::open(folder.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        file.add(history(1)).unwrap();
        file.add(history(2)).unwrap();
        assert_eq!(read(folder.path()).unwrap(), history(3));
        assert!(file.is_of(folder.path()));
        drop(file);
        assert_eq!(*UsageFile::open(folder.path()).unwrap().history(), history(3));
    }

    #[test]
    fn what_cannot_be_written_is_written_with_the_next() {
        let (parent, moved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = parent.path().join("state");
        let mut file = UsageFile::open(&state).unwrap();
        fs::rename(&state, moved.path().join("state")).unwrap();
        fs::write(&state, "").unwrap();
        assert!(file.add(history(1)).is_err());
        fs::remove_file(&state).unwrap();
        fs::rename(moved.path().join("state"), &state).unwrap();
        file.add(history(2)).unwrap();
        assert_eq!(read(&state).unwrap(), history(3));
    }

    #[test]
    fn a_damaged_book_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"days\":{").unwrap();
        assert!(read(folder.path()).is_err());
        assert!(UsageFile::open(folder.path()).unwrap().history().is_empty());
        assert_eq!(fs::read_to_string(folder.path().join("usage.json.bad")).unwrap(), "{\"days\":{");
    }
}
