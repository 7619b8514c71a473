//! The ways in which files get replaced.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// How a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Each file is opened and written over.
    Write,
    /// Each file is written beside and renamed over the old one.
    Rename,
    /// As Kubernetes mounts a Secret: each file links to `..data/FILE`, `..data` links to a folder, and
    /// a change is a new folder and a rename over `..data`.
    Swap,
}

pub(crate) const EVERY_WAY: [How; 3] = [How::Write, How::Rename, How::Swap];

/// A folder whose files change in one way.
pub(crate) struct Mounted {
    folder: PathBuf,
    how: How,
    version: Cell<usize>,
}

impl Mounted {
    pub(crate) fn new(folder: &Path, how: How) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        Self { folder: folder.to_owned(), how, version: Cell::new(0) }
    }

    /// Puts these files in place of their old versions. With [`How::Swap`] these are all files of the mount.
    pub(crate) fn put(&self, files: &[(&str, &str)]) {
        match self.how {
            How::Write => files.iter().for_each(|(name, text)| fs::write(self.folder.join(name), text).unwrap()),
            How::Rename => {
                for (name, text) in files {
                    let beside = self.folder.join(format!(".{name}.new"));
                    fs::write(&beside, text).unwrap();
                    fs::rename(beside, self.folder.join(name)).unwrap();
                }
            }
            How::Swap => self.swap(files),
        }
    }

    fn swap(&self, files: &[(&str, &str)]) {
        let version = self.version.get();
        self.version.set(version + 1);
        let data = format!("..2026_{version}");
        fs::create_dir(self.folder.join(&data)).unwrap();
        for (name, text) in files {
            fs::write(self.folder.join(&data).join(name), text).unwrap();
        }
        symlink(&data, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        for (name, _) in files {
            let link = self.folder.join(name);
            if !fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink()) {
                let _ = fs::remove_file(&link);
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        if version > 0 {
            fs::remove_dir_all(self.folder.join(format!("..2026_{}", version - 1))).unwrap();
        }
    }
}
