//! `state_dir`: the folder in which this process keeps what must outlive it.
//!
//! A file there is replaced as a whole: a temporary one, synced, renamed over the old one. One that cannot be understood
//! is kept aside.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What of a folder is this process's alone, for as long as this lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    folder: PathBuf,
    /// The file's name, and the lock on it.
    name: &'static str,
    file: File,
}

impl FolderLock {
    /// Takes it, in a folder that is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has it.
    pub(super) fn take(folder: &Path, name: &'static str) -> io::Result<Self> {
        make(folder)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(name))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another process keeps its counts there, and each needs a folder of its own";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(folder = %folder.display(), "this file system has no locks: a second process is not noticed");
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { folder: folder.to_owned(), name, file })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is that folder's. It may have been removed, and made anew.
    pub(super) fn is_of(&self, folder: &Path) -> bool {
        let identity = |file: &Metadata| (file.dev(), file.ino());
        let held = self.file.metadata().map(|held| identity(&held)).ok();
        *folder == self.folder
            && held.is_some()
            && held == fs::metadata(folder.join(self.name)).map(|now| identity(&now)).ok()
    }
}

/// What a file in that folder says; the default if there is none. One that cannot be understood is kept aside, and its
/// loss logged; `what`: what was in it. `Err`: it cannot be read at all.
pub(super) fn read_json<T>(folder: &Path, name: &str, longest: u64, what: &str) -> io::Result<T>
where
    T: Default + serde::de::DeserializeOwned,
{
    let path = folder.join(name);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(longest).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).or_else(|error| {
        let aside = folder.join(format!("{name}.bad"));
        fs::rename(&path, &aside)?;
        tracing::error!(
            file = %path.display(), kept_as = %aside.display(), %error,
            "{what} are damaged: all of them start from zero"
        );
        Ok(T::default())
    })
}

/// Replaces a file in that folder, which is made if it is not there.
pub(super) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    make(folder)?;
    let temporary = folder.join(format!(".{name}.tmp"));
    // Left behind by a crash.
    remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    // The name is on disk only once the folder is.
    File::open(folder)?.sync_all()
}

/// Makes the folder if it is not there, for its owner alone.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether something could be kept there, without making the folder: whoever asks may not be who will run the gateway.
pub(crate) fn probe(folder: &Path) -> io::Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let probe: PathBuf = existing.join(format!(".flowgate-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    remove(&probe)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_is_found_out_without_making_one() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        probe(&folder.path().join("a/b")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("file"), "").unwrap();
        for path in ["file", "file/state"] {
            assert!(probe(&folder.path().join(path)).is_err(), "{path}");
            assert!(make(&folder.path().join(path)).is_err(), "{path}");
        }
    }
}
