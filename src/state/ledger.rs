//! Quota counts on disk, so that they survive a restart: `quota.json` in `state_dir`.
//!
//! Written off the request path, at most once a second and only if something was counted: a temporary file, synced,
//! renamed over the old one. So a crash loses what was counted in the last second or so, and a clean stop nothing. The
//! file is plain JSON: whoever stops the gateway may edit it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::folder;
pub(crate) use super::limits::QuotaCount;

const FILE: &str = "quota.json";
const TEMPORARY: &str = ".quota.json.tmp";
/// Where a file goes that nobody can read.
const ASIDE: &str = "quota.json.bad";
/// Held while a process keeps its counts in the folder.
const LOCK: &str = "quota.lock";
/// Far more than full tables of several plans take.
const LONGEST: u64 = 64 << 20;

/// What has been counted: requests, and tokens where some plan limits them.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaCounts {
    pub(crate) keys: BTreeMap<String, QuotaCount>,
    pub(crate) visitors: VisitorCounts,
    /// Left out where there are none, as before there was such a limit.
    #[serde(default, skip_serializing_if = "CallerCounts::is_empty")]
    pub(crate) tokens: CallerCounts,
}

/// Of keys, and of visitors.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerCounts {
    pub(crate) keys: BTreeMap<String, QuotaCount>,
    pub(crate) visitors: VisitorCounts,
}

/// By plan and visitor.
type VisitorCounts = BTreeMap<String, BTreeMap<String, QuotaCount>>;

impl CallerCounts {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.visitors.is_empty()
    }
}

/// The counts in one folder, which are this process's alone for as long as this lives.
#[derive(Debug)]
pub(crate) struct Ledger {
    folder: PathBuf,
    lock: File,
}

impl Ledger {
    /// Takes the folder, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be used, or another process has it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        folder::make(folder)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        match lock.try_lock() {
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
        Ok(Self { folder: folder.to_owned(), lock })
    }

    /// Whether these are the counts of that folder. It may have been removed, and made anew.
    pub(crate) fn is_of(&self, folder: &Path) -> bool {
        let identity = |file: &Metadata| (file.dev(), file.ino());
        let held = self.lock.metadata().map(|held| identity(&held)).ok();
        *folder == self.folder
            && held.is_some()
            && held == fs::metadata(folder.join(LOCK)).map(|now| identity(&now)).ok()
    }

    /// # Errors
    /// They cannot be read at all. What cannot be understood is kept aside, and its loss logged.
    pub(crate) fn read(&self) -> io::Result<QuotaCounts> {
        read(&self.folder)
    }

    /// Replaces the counts.
    pub(crate) fn write(&self, counts: &QuotaCounts) -> io::Result<()> {
        write(&self.folder, counts)
    }
}

/// The counts in that folder; none if there is no file. One that cannot be understood is kept aside, and its loss
/// logged. `Err`: it cannot be read at all.
fn read(folder: &Path) -> io::Result<QuotaCounts> {
    let path = folder.join(FILE);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(LONGEST).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(QuotaCounts::default()),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).or_else(|error| {
        let aside = folder.join(ASIDE);
        fs::rename(&path, &aside)?;
        tracing::error!(
            file = %path.display(), kept_as = %aside.display(), %error,
            "the counts of quotas are damaged: all of them start from zero"
        );
        Ok(QuotaCounts::default())
    })
}

/// Replaces the counts in that folder, which is made if it is not there.
fn write(folder: &Path, counts: &QuotaCounts) -> io::Result<()> {
    folder::make(folder)?;
    let temporary = folder.join(TEMPORARY);
    // Left behind by a crash.
    folder::remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec(counts)?)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(FILE))?;
    // The name is on disk only once the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn counts() -> QuotaCounts {
        let text = r#"{"keys":{"app":{"period":20261123,"count":3}},
            "visitors":{"anonymous":{"192.0.2.7":{"period":202611,"count":1}}}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/state");
        assert_eq!(read(&state).unwrap(), QuotaCounts::default());
        let tokens = serde_json::from_str(r#"{"keys":{"app":{"period":202611,"count":7}},"visitors":{}}"#).unwrap();
        for counts in [counts(), QuotaCounts::default(), QuotaCounts { tokens, ..counts() }, counts()] {
            write(&state, &counts).unwrap();
            assert_eq!(read(&state).unwrap(), counts);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_folder_is_one_ledgers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = Ledger::open(&state).unwrap();
        first.write(&counts()).unwrap();
        assert_eq!(Ledger::open(&state).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(first.is_of(&state) && !first.is_of(folder.path()));
        fs::remove_dir_all(&state).unwrap();
        assert!(!first.is_of(&state));
        let second = Ledger::open(&state).unwrap();
        assert!(second.is_of(&state) && !first.is_of(&state), "the folder was made anew");
        second.write(&counts()).unwrap();
        drop((first, second));
        assert_eq!(Ledger::open(&state).unwrap().read().unwrap(), counts());
    }

    #[test]
    fn what_a_crash_left_behind_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TEMPORARY), "half").unwrap();
        write(folder.path(), &counts()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), counts());
        assert!(!folder.path().join(TEMPORARY).exists());
    }

    #[test]
    fn a_damaged_file_is_kept_aside() {
        let whole = serde_json::to_string(&counts()).unwrap();
        for damaged in ["", "{}", "nonsense", &whole[..whole.len() - 1], &whole.replace("3}", "-3}")] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), damaged).unwrap();
            assert_eq!(read(folder.path()).unwrap(), QuotaCounts::default(), "{damaged}");
            assert_eq!(fs::read_to_string(folder.path().join(ASIDE)).unwrap(), damaged);
            write(folder.path(), &counts()).unwrap();
            assert_eq!(read(folder.path()).unwrap(), counts());
        }
    }
}
