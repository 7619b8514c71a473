//! Puts files into place: all of them or none, and none over what somebody else wrote.
//!
//! What was written is noted by digest in [`NOTES`], in the folder itself. So a later run tells its own files from those
//! that somebody has changed since, and gives flows and keys the names that they had.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::transaction::{FolderTransaction, STATE, folder_of};
use crate::config::content::{self, MOST_EXPORT};
use crate::engine::{CHATS_FILE, ImportedChat, ImportedRecords, RECORDS_FILE};

/// What was written, by whom, and under which names.
pub(super) const NOTES: &str = ".adopted.json";

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is there and no folder", .0.display())]
    NoFolder(PathBuf),
    #[error(
        "nothing was written: {} would be overwritten, and somebody else wrote or changed it: \
         adopt into another folder (--into) and take over what is new in it by hand, or overwrite with --force",
        .0.join(", ")
    )]
    Conflicts(Vec<String>),
    #[error("nothing was written: {0} is there and cannot be read, or not be added to")]
    Unreadable(String),
    #[error("nothing was written: a gateway has {} open; stop it, so that chats can be brought along", .0.display())]
    ChatsInUse(PathBuf),
    #[error("nothing was written: another run is at work in {}", .0.display())]
    Busy(PathBuf),
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// A file that is to be.
#[derive(Debug)]
pub(super) struct PlannedFile {
    /// In the folder, with `/` between.
    pub(super) path: String,
    content: Vec<u8>,
    /// For its owner alone.
    is_secret: bool,
    /// What was there is in it already.
    is_merged: bool,
    /// It is noted nowhere, so that it may go.
    is_forgotten: bool,
}

impl PlannedFile {
    pub(super) fn open(path: impl Into<String>, text: String) -> Self {
        Self::bytes(path, text.into_bytes())
    }

    pub(super) fn bytes(path: impl Into<String>, content: Vec<u8>) -> Self {
        Self { path: path.into(), content, is_secret: false, is_merged: false, is_forgotten: false }
    }

    pub(super) fn secret(path: impl Into<String>, text: String) -> Self {
        Self { is_secret: true, ..Self::open(path, text) }
    }

    pub(super) fn merged(self) -> Self {
        Self { is_merged: true, ..self }
    }

    pub(super) fn forgotten(self) -> Self {
        Self { is_forgotten: true, ..self }
    }
}

/// What is done about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileAction {
    Write,
    Leave,
    Refuse,
}

/// What a run has written, for the next.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Adopted {
    /// Digests by path.
    files: BTreeMap<String, String>,
    /// Public names of flows, by Flowise's ids.
    pub(super) names: BTreeMap<String, String>,
    /// Ids of keys, by Flowise's.
    pub(super) keys: BTreeMap<String, String>,
}

impl Adopted {
    pub(super) fn of(names: BTreeMap<String, String>, keys: BTreeMap<String, String>) -> Self {
        Self { files: BTreeMap::new(), names, keys }
    }
}

/// What has become of the folder.
#[derive(Debug, Default, Serialize)]
pub(crate) struct FolderReport {
    pub(crate) written: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// How many are as they were.
    pub(crate) unchanged: usize,
    /// Chats to which something was added.
    pub(crate) chats: usize,
    /// Records of what was put into databases.
    pub(crate) records: u64,
}

/// What the engine remembers of before.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImportedState<'a> {
    pub(super) chats: &'a [ImportedChat],
    pub(super) records: &'a ImportedRecords,
}

/// See the module.
pub(super) struct TargetFolder {
    path: PathBuf,
    is_new: bool,
    /// What the run before has written.
    pub(super) before: Adopted,
    /// Held so that no other run changes the folder meanwhile; of a new one its parent is.
    _lock: Option<File>,
}

impl TargetFolder {
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let is_new = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => false,
            Ok(_) => return Err(FolderError::NoFolder(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(source) => return Err(FolderError::Io { path: path.to_owned(), source }),
        };
        let lock = locked(if is_new { folder_of(path) } else { path })?;
        let mut target = Self { path: path.to_owned(), is_new, before: Adopted::default(), _lock: lock };
        if let Some(notes) = target.content(NOTES) {
            target.before = serde_json::from_slice(&notes).map_err(|_| FolderError::Unreadable(NOTES.to_owned()))?;
            // Whoever gave the folder away has not written elsewhere.
            target.before.files.retain(|path, _| is_inside(path));
        }
        Ok(target)
    }

    /// Where files of a flow lie that whoever runs this has put there.
    pub(super) fn files_of(&self, chatflow: &str) -> PathBuf {
        self.path.join("flows").join(chatflow)
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        content::read(&self.path.join(path), MOST_EXPORT).ok()
    }

    /// A file as it is there.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.content(path).and_then(|content| String::from_utf8(content).ok())
    }

    /// Whether a file is as a run before has written it.
    pub(super) fn is_ours(&self, path: &str) -> bool {
        self.content(path).is_some_and(|content| self.before.files.get(path) == Some(&hex(&content)))
    }

    fn action_forced(&self, file: &PlannedFile, new: &str) -> FileAction {
        match fs::metadata(self.path.join(&file.path)) {
            // A folder with what is in it is not a file that could be overwritten.
            Ok(there) if !there.is_file() => FileAction::Refuse,
            Ok(_) if self.content(&file.path).is_some_and(|there| hex(&there) == new) => FileAction::Leave,
            _ => FileAction::Write,
        }
    }

    /// What somebody else wrote stays, unless it would have to change.
    fn action(&self, file: &PlannedFile, new: &str) -> FileAction {
        let noted = self.before.files.get(&file.path).map(String::as_str);
        let Some(there) = self.content(&file.path).map(|there| hex(&there)) else {
            // A folder, a pipe, or what may not be read.
            let is_there = fs::symlink_metadata(self.path.join(&file.path)).is_ok();
            return if is_there { FileAction::Refuse } else { FileAction::Write };
        };
        if there == new {
            FileAction::Leave
        } else if file.is_merged || noted == Some(&*there) {
            FileAction::Write
        } else if noted == Some(new) {
            FileAction::Leave
        } else {
            FileAction::Refuse
        }
    }

    /// Writes what has changed.
    pub(super) fn place(
        &self,
        files: Vec<PlannedFile>,
        mut adopted: Adopted,
        state: ImportedState<'_>,
        force: bool,
        dry_run: bool,
    ) -> Result<FolderReport, FolderError> {
        let mut placed = FolderReport::default();
        let mut conflicts = Vec::new();
        let mut writing = Vec::new();
        for file in files {
            let new = hex(&file.content);
            let action = if force { self.action_forced(&file, &new) } else { self.action(&file, &new) };
            match action {
                FileAction::Refuse => {
                    conflicts.push(file.path);
                    continue;
                }
                FileAction::Leave => placed.unchanged += 1,
                FileAction::Write => placed.written.push(file.path.clone()),
            }
            // What somebody else wrote into it is theirs from then on: noted as ours, it would be written anew without it.
            let is_shared = file.is_merged && self.content(&file.path).is_some() && !self.is_ours(&file.path);
            if !file.is_forgotten && !is_shared {
                adopted.files.insert(file.path.clone(), new);
            }
            if action == FileAction::Write {
                writing.push(file);
            }
        }
        if !conflicts.is_empty() {
            return Err(FolderError::Conflicts(conflicts));
        }
        let gone = self.before.files.keys().filter(|path| !adopted.files.contains_key(*path) && self.is_ours(path));
        placed.removed = gone.cloned().collect();
        if dry_run {
            return Ok(placed);
        }
        let mut transaction = FolderTransaction::new(&self.path, self.is_new)?;
        let outcome = self.write(&mut transaction, &writing, &mut placed, &adopted, state);
        match outcome.and_then(|()| transaction.finish(&placed.removed)) {
            Ok(()) => Ok(placed),
            Err(error) => {
                transaction.undo();
                Err(error)
            }
        }
    }

    fn write(
        &self,
        transaction: &mut FolderTransaction,
        writing: &[PlannedFile],
        placed: &mut FolderReport,
        adopted: &Adopted,
        state: ImportedState<'_>,
    ) -> Result<(), FolderError> {
        for file in writing {
            transaction.write(&file.path, &file.content, file.is_secret)?;
        }
        if !state.chats.is_empty() {
            placed.chats = transaction.import_chats(state.chats)?;
            if placed.chats > 0 {
                placed.written.push(format!("{STATE}/{CHATS_FILE}"));
            }
        }
        if !state.records.is_empty() {
            placed.records = transaction.import_records(state.records)?;
            if placed.records > 0 {
                placed.written.push(format!("{STATE}/{RECORDS_FILE}"));
            }
        }
        if *adopted != self.before {
            let notes = serde_json::to_vec_pretty(adopted).unwrap_or_default();
            transaction.write(NOTES, &notes, true)?;
        }
        Ok(())
    }
}

/// Keeps other runs out of a folder for as long as the file lives; `None`: it is not there, or the file system has no
/// locks.
fn locked(folder: &Path) -> Result<Option<File>, FolderError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy(folder.to_owned())),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Whether a path leads to a place in the folder.
fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether what is at a path, wherever links lead, is in that folder.
pub(super) fn lies_in(path: &Path, folder: &Path) -> bool {
    matches!((path.canonicalize(), folder.canonicalize()), (Ok(path), Ok(folder)) if path.starts_with(&folder))
}

fn hex(content: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    digest(&SHA256, content).as_ref().iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
    text
}
