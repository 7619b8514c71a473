//! Puts files into place: all of them or none, and none over what somebody else wrote.
//!
//! What was written is noted by digest in [`NOTES`], in the folder itself. So a later run tells its own files from those
//! that somebody has changed since, and gives flows and keys the names that they had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::config::content::{self, MOST_EXPORT};
use crate::engine::{self, BroughtChat, CHATS_FILE};

/// What was written, by whom, and under which names.
const NOTES: &str = ".adopted.json";
/// Where files lie until all of them are there.
const STAGE: &str = ".adopting";
/// Where the engine keeps chats.
const STATE: &str = "state";

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is there and no folder", .0.display())]
    NoFolder(PathBuf),
    #[error(
        "nothing was written: {} would be overwritten, and somebody else wrote or changed it; --force overwrites",
        .0.join(", ")
    )]
    Conflicts(Vec<String>),
    #[error("nothing was written: {0} is there and cannot be read, or not be added to")]
    Unreadable(String),
    #[error("nothing was written: a gateway has {} open; stop it, so that chats can be brought along", .0.display())]
    ChatsInUse(PathBuf),
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
pub(crate) struct Placed {
    pub(crate) written: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// How many are as they were.
    pub(crate) unchanged: usize,
    /// Chats to which something was added.
    pub(crate) chats: usize,
}

/// See the module.
pub(super) struct TargetFolder {
    path: PathBuf,
    is_new: bool,
    /// What the run before has written.
    pub(super) before: Adopted,
}

impl TargetFolder {
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let is_new = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => false,
            Ok(_) => return Err(FolderError::NoFolder(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(source) => return Err(FolderError::Io { path: path.to_owned(), source }),
        };
        let mut target = Self { path: path.to_owned(), is_new, before: Adopted::default() };
        if let Some(notes) = target.content(NOTES) {
            target.before = serde_json::from_slice(&notes).map_err(|_| FolderError::Unreadable(NOTES.to_owned()))?;
        }
        Ok(target)
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
        let is_same = self.content(&file.path).is_some_and(|there| hex(&there) == new);
        if is_same { FileAction::Leave } else { FileAction::Write }
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
        chats: &[BroughtChat],
        force: bool,
        dry_run: bool,
    ) -> Result<Placed, FolderError> {
        let mut placed = Placed::default();
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
            if !file.is_forgotten {
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
        let mut move_in = MoveIn::new(&self.path, self.is_new)?;
        let outcome = self.write(&mut move_in, &writing, &mut placed, &adopted, chats);
        match outcome.and_then(|()| move_in.finish(&placed.removed)) {
            Ok(()) => Ok(placed),
            Err(error) => {
                move_in.undo();
                Err(error)
            }
        }
    }

    fn write(
        &self,
        move_in: &mut MoveIn,
        writing: &[PlannedFile],
        placed: &mut Placed,
        adopted: &Adopted,
        chats: &[BroughtChat],
    ) -> Result<(), FolderError> {
        for file in writing {
            move_in.write(&file.path, &file.content, file.is_secret)?;
        }
        if !chats.is_empty() {
            placed.chats = move_in.bring(chats)?;
            if placed.chats > 0 {
                placed.written.push(format!("{STATE}/{CHATS_FILE}"));
            }
        }
        if *adopted != self.before {
            let notes = serde_json::to_vec_pretty(adopted).unwrap_or_default();
            move_in.write(NOTES, &notes, true)?;
        }
        Ok(())
    }
}

/// Files that lie aside until all of them are there.
struct MoveIn {
    target: PathBuf,
    stage: PathBuf,
    /// The folder is not there yet: the stage becomes it.
    is_new: bool,
    staged: BTreeSet<String>,
    /// What was moved in, and whether something was there before, which is in `old`.
    moved: Vec<(PathBuf, bool)>,
    /// Held while what chats remember is changed.
    chats: Option<File>,
}

impl MoveIn {
    fn new(target: &Path, is_new: bool) -> Result<Self, FolderError> {
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let stage = match target.file_name() {
            Some(name) if is_new => parent.join(format!(".{}{STAGE}", name.to_string_lossy())),
            _ => target.join(STAGE),
        };
        let failed = |source| FolderError::Io { path: stage.clone(), source };
        // Left behind by a run that was killed.
        match fs::remove_dir_all(&stage) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut made = DirBuilder::new();
        made.recursive(true).create(parent).map_err(failed)?;
        DirBuilder::new().mode(if is_new { 0o755 } else { 0o700 }).create(&stage).map_err(failed)?;
        Ok(Self { target: target.to_owned(), stage, is_new, staged: BTreeSet::new(), moved: Vec::new(), chats: None })
    }

    /// Where a new file lies.
    fn new_path(&self, path: &str) -> PathBuf {
        if self.is_new { self.stage.join(path) } else { self.stage.join("new").join(path) }
    }

    fn write(&mut self, path: &str, content: &[u8], is_secret: bool) -> Result<(), FolderError> {
        let place = self.new_path(path);
        let write = || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            let mode = if is_secret { 0o600 } else { 0o644 };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&place)?;
            file.write_all(content)
        };
        write().map_err(|source| FolderError::Io { path: self.target.join(path), source })?;
        self.staged.insert(path.to_owned());
        Ok(())
    }

    /// Adds chats to a copy of the file that is there.
    fn bring(&mut self, chats: &[BroughtChat]) -> Result<usize, FolderError> {
        let name = format!("{STATE}/{CHATS_FILE}");
        let (there, copy) = (self.target.join(&name), self.new_path(&name));
        let failed = |source| FolderError::Io { path: there.clone(), source };
        let folder = copy.parent().unwrap_or(&self.stage).to_owned();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        match OpenOptions::new().read(true).write(true).open(&there) {
            Ok(file) => {
                file.try_lock().map_err(|_| FolderError::ChatsInUse(there.clone()))?;
                self.chats = Some(file);
                fs::copy(&there, &copy).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let changed = engine::bring(&folder, chats).map_err(failed)?;
        if changed == 0 {
            fs::remove_file(&copy).map_err(failed)?;
        } else {
            self.staged.insert(name);
        }
        Ok(changed)
    }

    /// Moves all of it in, and takes away what is no longer.
    fn finish(&mut self, removed: &[String]) -> Result<(), FolderError> {
        if self.is_new {
            let failed = |source| FolderError::Io { path: self.target.clone(), source };
            return fs::rename(&self.stage, &self.target).map_err(failed);
        }
        // What was noted comes last: it says of the others that they are there.
        let staged: Vec<String> = std::mem::take(&mut self.staged).into_iter().collect();
        let (notes, files): (Vec<_>, Vec<_>) = staged.into_iter().partition(|path| path == NOTES);
        for path in files.iter().chain(removed).chain(&notes) {
            let new = Some(self.new_path(path)).filter(|new| new.exists());
            self.exchange(path, new.as_deref())
                .map_err(|source| FolderError::Io { path: self.target.join(path), source })?;
        }
        self.chats = None;
        let _ = fs::remove_dir_all(&self.stage);
        for folder in removed.iter().filter_map(|path| Path::new(path).parent()) {
            // Only if it is empty.
            let _ = fs::remove_dir(self.target.join(folder));
        }
        Ok(())
    }

    fn exchange(&mut self, path: &str, new: Option<&Path>) -> io::Result<()> {
        let (place, old) = (self.target.join(path), self.stage.join("old").join(path));
        for folder in [&place, &old].into_iter().filter_map(|path| path.parent()) {
            fs::create_dir_all(folder)?;
        }
        let was_there = fs::symlink_metadata(&place).is_ok();
        if was_there {
            fs::rename(&place, &old)?;
        }
        self.moved.push((PathBuf::from(path), was_there));
        new.map_or(Ok(()), |new| fs::rename(new, &place))
    }

    /// As it was before.
    fn undo(&mut self) {
        for (path, was_there) in self.moved.drain(..).rev() {
            let place = self.target.join(&path);
            let _ = fs::remove_file(&place);
            if was_there {
                let _ = fs::rename(self.stage.join("old").join(&path), &place);
            }
        }
        let _ = fs::remove_dir_all(&self.stage);
    }
}

fn hex(content: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    digest(&SHA256, content).as_ref().iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
    text
}
