//! `state_dir`: the folder in which this process keeps what must outlive it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

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
