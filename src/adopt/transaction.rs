//! Files that lie aside until all of them are there, and are then moved in one by one: what was there before stays until
//! the new is in its place, and comes back if one of them cannot be moved.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::folder::{FolderError, NOTES};
use crate::engine::{self, CHATS_FILE, ImportedChat, ImportedRecords, RECORDS_FILE};

/// Where files lie until all of them are there.
const STAGE: &str = ".adopting";
/// Where the engine keeps chats.
pub(super) const STATE: &str = "state";
/// For its owner alone.
const SECRET: u32 = 0o600;

/// See the module.
pub(super) struct FolderTransaction {
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

/// The folder in which something lies.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl FolderTransaction {
    pub(super) fn new(target: &Path, is_new: bool) -> Result<Self, FolderError> {
        let parent = folder_of(target);
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

    /// A file that stands for another has its owner and its mode, so that whoever reads it still can; of one that is
    /// secret nobody but its group may.
    pub(super) fn write(&mut self, path: &str, content: &[u8], is_secret: bool) -> Result<(), FolderError> {
        let place = self.new_path(path);
        let there = self.target.join(path);
        let write = || {
            fs::create_dir_all(folder_of(&place))?;
            let mode = if is_secret { SECRET } else { 0o644 };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&place)?;
            file.write_all(content)?;
            if let Ok(old) = fs::metadata(&there) {
                let kept = if is_secret { old.mode() & 0o640 | SECRET } else { old.mode() & 0o777 };
                // What cannot be given to somebody else stays with whoever runs this.
                let _ = chown(&place, Some(old.uid()), Some(old.gid()));
                file.set_permissions(fs::Permissions::from_mode(kept))?;
            }
            // What nobody could write again.
            if is_secret { file.sync_all() } else { Ok(()) }
        };
        write().map_err(|source| FolderError::Io { path: there.clone(), source })?;
        self.staged.insert(path.to_owned());
        Ok(())
    }

    /// Adds chats to a copy of the file that is there.
    pub(super) fn import_chats(&mut self, chats: &[ImportedChat]) -> Result<usize, FolderError> {
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
        let changed = engine::import_chats(&folder, chats).map_err(failed)?;
        if changed == 0 {
            fs::remove_file(&copy).map_err(failed)?;
        } else {
            self.staged.insert(name);
        }
        Ok(changed)
    }

    /// Writes what record managers have noted, unless records are kept there already: those know better.
    pub(super) fn import_records(&mut self, records: &ImportedRecords) -> Result<u64, FolderError> {
        let name = format!("{STATE}/{RECORDS_FILE}");
        let (there, new) = (self.target.join(&name), self.new_path(&name));
        if fs::symlink_metadata(&there).is_ok() {
            return Ok(0);
        }
        let failed = |source| FolderError::Io { path: there.clone(), source };
        let count = engine::import_records(folder_of(&new), records).map_err(failed)?;
        self.staged.insert(name);
        Ok(count)
    }

    /// Moves all of it in, and takes away what is no longer.
    pub(super) fn finish(&mut self, removed: &[String]) -> Result<(), FolderError> {
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
        fs::create_dir_all(folder_of(&old))?;
        let folder = folder_of(&place);
        if !folder.exists() {
            // As the new one is: what chats remember is for its owner alone.
            let mode = new.and_then(|new| fs::metadata(folder_of(new)).ok()).map_or(0o755, |made| made.mode() & 0o777);
            DirBuilder::new().recursive(true).mode(mode).create(folder)?;
        }
        let was_there = fs::symlink_metadata(&place).is_ok();
        match new {
            // The old one stays in its place until the new one is there: whatever ends this run loses neither.
            Some(_) if was_there && fs::hard_link(&place, &old).is_ok() => {}
            _ if was_there => fs::rename(&place, &old)?,
            _ => {}
        }
        self.moved.push((PathBuf::from(path), was_there));
        new.map_or(Ok(()), |new| fs::rename(new, &place))
    }

    /// As it was before.
    pub(super) fn undo(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_between_two_files_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("keys.yaml");
        fs::write(&place, "old").unwrap();
        let mut transaction = FolderTransaction::new(folder.path(), false).unwrap();
        transaction.write("keys.yaml", b"new", true).unwrap();
        // The last moment before the new file is moved in.
        let new = transaction.new_path("keys.yaml");
        fs::rename(&new, folder.path().join("aside")).unwrap();
        assert!(transaction.exchange("keys.yaml", Some(&new)).is_err());
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
        transaction.undo();
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
    }

    #[test]
    fn whoever_could_read_a_file_still_can() {
        let folder = tempfile::tempdir().unwrap();
        for (name, before, is_secret, after) in
            [("a", 0o640, true, 0o640), ("b", 0o666, true, 0o640), ("c", 0o660, false, 0o660), ("d", 0, true, 0o600)]
        {
            let place = folder.path().join(name);
            if before > 0 {
                fs::write(&place, "old").unwrap();
                fs::set_permissions(&place, fs::Permissions::from_mode(before)).unwrap();
            }
            let mut transaction = FolderTransaction::new(folder.path(), false).unwrap();
            transaction.write(name, b"new", is_secret).unwrap();
            transaction.finish(&[]).unwrap();
            assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, after, "{name}");
            assert_eq!(fs::read_to_string(&place).unwrap(), "new");
        }
    }
}
