//! The one way to read a file that somebody configured: a regular one, or a link to one, of bounded size.
//!
//! To open a pipe is to wait for whoever writes to it, a device may have no end, and a file with holes is as large as its
//! author says. None of these may hold up a reload or fill the memory.

use std::fmt;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read as _, Take};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::OFlags;

const MIB: usize = 1024 * 1024;
/// Bytes of a configuration, a certificate, a key or a credential.
pub(crate) const MOST_SETTINGS: usize = 16 * MIB;
/// Bytes of a keys file; with a hundred thousand keys it has about thirty million.
pub(crate) const MOST_KEYS: usize = 128 * MIB;
/// Bytes of an export. Those of everything have the chats in them, if their author wants.
pub(crate) const MOST_EXPORT: usize = 256 * MIB;
/// Bytes of a file that a flow brings along.
pub(crate) const MOST_DOCUMENT: usize = 16 * MIB;

/// Bytes of a file that is not held as a whole.
const PIECE: usize = 64 * 1024;

/// Why a file is not read although it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum UnreadableFile {
    #[error("expected a file, found {0}")]
    Kind(&'static str),
    #[error("the file is larger than {} MiB", .0 / MIB)]
    Size(usize),
}

impl From<UnreadableFile> for io::Error {
    fn from(refused: UnreadableFile) -> Self {
        let kind = match refused {
            UnreadableFile::Kind(_) => ErrorKind::InvalidInput,
            UnreadableFile::Size(_) => ErrorKind::FileTooLarge,
        };
        Self::new(kind, refused)
    }
}

/// Whether a file is there and is not read for what it is; the error says so in a sentence.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<UnreadableFile>())
}

/// What is in a file of at most so many bytes.
///
/// # Errors
/// It is no regular file, it is larger, or the system says no.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let (file, size) = open(path, most)?;
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // It may grow meanwhile, and what /proc shows has no size.
    file.take(most as u64 + 1).read_to_end(&mut content)?;
    if content.len() > most { Err(UnreadableFile::Size(most).into()) } else { Ok(content) }
}

/// The same of a text.
///
/// # Errors
/// As [`read`], and it is not UTF-8.
pub(crate) fn text(path: &Path, most: usize) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "the file is not valid UTF-8"))
}

/// Its content piece by piece, and how long it is; at most one byte more than `most`.
///
/// # Errors
/// As [`read`].
pub(crate) fn pieces(path: &Path, most: usize) -> io::Result<(BufReader<Take<File>>, usize)> {
    let (file, size) = open(path, most)?;
    let pieces = BufReader::with_capacity(PIECE, file.take(most as u64 + 1));
    Ok((pieces, usize::try_from(size).unwrap_or_default()))
}

/// The SHA-256 of what is in it, without holding it.
///
/// # Errors
/// As [`read`].
pub(crate) fn digest(path: &Path, most: usize) -> io::Result<[u8; 32]> {
    let (file, _) = open(path, most)?;
    let mut file = file.take(most as u64 + 1);
    let mut content = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        content.update(piece.get(..length).unwrap_or_default());
    }
    if file.limit() == 0 {
        return Err(UnreadableFile::Size(most).into());
    }
    Ok(content.finish().as_ref().try_into().unwrap_or_default())
}

/// Whether that is a file which would be read.
///
/// # Errors
/// Why not.
pub(crate) fn check(path: &Path, most: usize) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    accept(metadata.file_type(), metadata.len(), most)
}

fn open(path: &Path, most: usize) -> io::Result<(File, u64)> {
    // To open a device can have effects already.
    check(path, most)?;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // It may be another one by now.
    let metadata = file.metadata()?;
    accept(metadata.file_type(), metadata.len(), most)?;
    Ok((file, metadata.len()))
}

fn accept(kind: FileType, size: u64, most: usize) -> io::Result<()> {
    if !kind.is_file() {
        return Err(UnreadableFile::Kind(name(kind)).into());
    }
    if size > most as u64 { Err(UnreadableFile::Size(most).into()) } else { Ok(()) }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// A bound as messages say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLarge(pub(crate) usize);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UnreadableFile::Size(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn said<T: fmt::Debug>(read: io::Result<T>) -> String {
        let error = read.unwrap_err();
        assert!(is_refused(&error), "{error}");
        error.to_string()
    }

    /// What each reader says; all say the same.
    fn refusal(path: &Path, most: usize) -> String {
        let all = [
            said(read(path, most)),
            said(text(path, most)),
            said(pieces(path, most)),
            said(digest(path, most)),
            said(check(path, most)),
        ];
        assert!(all.iter().all(|other| *other == all[0]), "{all:?}");
        all[0].clone()
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink("pipe", at("link")).unwrap();
        for (name, found) in
            [("pipe", "a pipe"), ("link", "a pipe"), ("socket", "a socket"), ("zero", "a device"), (".", "a folder")]
        {
            assert_eq!(refusal(&at(name), MOST_SETTINGS), format!("expected a file, found {found}"));
        }
    }

    #[test]
    fn a_file_above_the_bound_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        // With holes: more than any memory and any patience.
        File::create(&file).unwrap().set_len(1 << 43).unwrap();
        assert_eq!(refusal(&file, MOST_EXPORT), "the file is larger than 256 MiB");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(said(read(&file, 4)), "the file is larger than 0 MiB");
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        // No size, and an end.
        assert!(!read(Path::new("/proc/self/status"), MOST_SETTINGS).unwrap().is_empty());
        assert!(is_refused(&read(Path::new("/proc/self/status"), 4).unwrap_err()));
        assert!(is_refused(&digest(Path::new("/proc/self/status"), 4).unwrap_err()));
    }

    #[test]
    fn a_link_to_a_file_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("..2026")).unwrap();
        std::fs::write(at("..2026/keys.yaml"), "keys").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/keys.yaml", at("keys.yaml")).unwrap();
        assert_eq!(text(&at("keys.yaml"), 4).unwrap(), "keys");
        let whole = aws_lc_rs::digest::digest(&SHA256, b"keys");
        assert_eq!(digest(&at("keys.yaml"), 4).unwrap(), whole.as_ref());
        assert_eq!(text(&at("none"), 4).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(at("bytes"), [0xff]).unwrap();
        assert!(text(&at("bytes"), 4).unwrap_err().to_string().contains("UTF-8"));
    }
}
