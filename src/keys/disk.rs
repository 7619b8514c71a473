//! Replaces a file as a whole: readers see the old text or the new one, two writers at once lose nothing, and a crash
//! leaves one of the two.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::content::{self, MOST_KEYS};

/// A new file is for its owner only.
const MODE: u32 = 0o600;
/// Nobody else may read the keys file, whatever it was before; a group may, as the gateway's user often is one.
const KEPT_MODE_BITS: u32 = 0o660;

/// How often a link is followed that leads nowhere: it may be replaced in that moment.
const LOOKS_BEHIND_LINK: usize = 2;

/// What could not be done to the keys file.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is a link to a file that does not exist", path.display())]
    DanglingLink { path: PathBuf },
    #[error(
        "{}, its lock file or its folder cannot be written to; if it is mounted from a Kubernetes Secret, edit the Secret",
        path.display()
    )]
    ReadOnly { path: PathBuf, source: io::Error },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A file that no other [`LockedFile`] can change while this one lives.
pub(super) struct LockedFile {
    /// The file itself, not a link to it: a link is kept, and what it points to is replaced.
    path: PathBuf,
    folder: PathBuf,
    name: String,
    /// `None` if there is no file.
    text: Option<String>,
    /// Unlocked when it is closed. The lock file is left behind: if it were removed, a writer that waits for its lock
    /// and one that makes a new file would both go ahead.
    _lock: File,
}

impl LockedFile {
    /// Waits until no other writer has the file, then reads it.
    pub(super) fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |source| write_error(path, source);
        let path = target(path)?;
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let name = name.to_string_lossy().into_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.to_owned();
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .custom_flags(in_place())
            .open(folder.join(format!(".{name}.lock")))
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(failed)?;
        let text = read(&path)?;
        Ok(Self { path, folder, name, text, _lock: lock })
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Puts a new text in place of the old one.
    pub(super) fn replace(self, text: &str) -> Result<(), DiskError> {
        let temporary = self.folder.join(format!(".{}.tmp", self.name));
        let replaced = self.write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.path));
        if replaced.is_err() {
            // What matters is the first error.
            let _ = fs::remove_file(&temporary);
        }
        // The name is on disk only once the folder is.
        replaced.and_then(|()| File::open(&self.folder)?.sync_all()).map_err(|source| write_error(&self.path, source))
    }

    fn write(&self, temporary: &Path, text: &str) -> io::Result<()> {
        // Left behind by a crash: nobody else is writing, as we hold the lock.
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(temporary)?;
        if self.text.is_some() {
            // Run by root, the file must still be readable for the gateway's user.
            let (old, new) = (fs::metadata(&self.path)?, file.metadata()?);
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))
                    .map_err(|error| io::Error::other(format!("its owner cannot be kept: {error}")))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & KEPT_MODE_BITS | MODE))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// Flags for a file that is made beside the keys file, often by root: a link in its place, which whoever may write to the
/// folder could have put there, is not followed, and nothing is waited for.
pub(super) fn in_place() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default()
}

/// The text of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, DiskError> {
    match content::text(path, MOST_KEYS) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DiskError::Read { path: path.to_owned(), source }),
    }
}

/// The file behind all links.
fn target(path: &Path) -> Result<PathBuf, DiskError> {
    target_with(path, |path| fs::canonicalize(path))
}

fn target_with(path: &Path, follow: impl Fn(&Path) -> io::Result<PathBuf>) -> Result<PathBuf, DiskError> {
    let mut looks = 0;
    loop {
        match follow(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            target => return target.map_err(|source| DiskError::Read { path: path.to_owned(), source }),
        }
        match fs::symlink_metadata(path) {
            // Another writer has made the file since, or let the link point elsewhere.
            Ok(metadata) if !metadata.is_symlink() || looks < LOOKS_BEHIND_LINK => looks += 1,
            Ok(_) => return Err(DiskError::DanglingLink { path: path.to_owned() }),
            Err(_) => return Ok(path.to_owned()),
        }
    }
}

fn write_error(path: &Path, source: io::Error) -> DiskError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => DiskError::ReadOnly { path, source },
        _ => DiskError::Write { path, source },
    }
}

#[cfg(test)]
mod tests;
