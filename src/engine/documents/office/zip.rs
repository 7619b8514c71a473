//! Files in a ZIP folder, taken out one by one and never more than so many bytes of them.

use std::cell::Cell;
use std::collections::HashMap;

use memchr::memmem;

use crate::engine::documents::inflate::{InflateEnd, inflated};

/// Of one file, and of all that are taken out.
const LONGEST: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };
const MOST_BYTES: usize = 2 * LONGEST;
const MOST_FILES: usize = 1 << 16;

/// Where a file lies, packed.
#[derive(Debug)]
struct ZipEntry {
    is_packed: bool,
    length: usize,
    at: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ZipFolder<'b> {
    bytes: &'b [u8],
    entries: HashMap<String, ZipEntry>,
    /// In the order of the folder.
    names: Vec<String>,
    room: Cell<usize>,
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

impl<'b> ZipFolder<'b> {
    /// `None`: it is no such folder.
    pub(super) fn open(bytes: &'b [u8]) -> Option<Self> {
        let tail = bytes.len().saturating_sub(66_000);
        let end = tail + memmem::rfind(bytes.get(tail..)?, b"PK\x05\x06")?;
        let count = number(bytes, end + 10, 2)?;
        let mut at = number(bytes, end + 16, 4)?;
        let mut folder = Self { bytes, entries: HashMap::new(), names: Vec::new(), room: Cell::new(MOST_BYTES) };
        for _ in 0..count.min(MOST_FILES) {
            if bytes.get(at..at + 4)? != b"PK\x01\x02" {
                break;
            }
            let method = number(bytes, at + 10, 2)?;
            let length = number(bytes, at + 20, 4)?;
            let [name, extra, comment] = [28, 30, 32].map(|place| number(bytes, at + place, 2).unwrap_or(0));
            let begin = number(bytes, at + 42, 4)?;
            let named = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned();
            if matches!(method, 0 | 8) {
                folder.names.push(named.clone());
                folder.entries.insert(named, ZipEntry { is_packed: method == 8, length, at: begin });
            }
            at += 46 + name + extra + comment;
        }
        Some(folder)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A file; `None`: it is not there, or broken.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let too_large = || "the file unpacks to too many bytes".to_owned();
        let Some(packed) = self.entries.get(name).and_then(|entry| Some((entry, self.packed(entry)?))) else {
            return Ok(None);
        };
        let most = LONGEST.min(self.room.get());
        let bytes = match packed {
            (ZipEntry { is_packed: false, .. }, packed) => packed.to_vec(),
            (_, packed) => match inflated(packed, false, most) {
                (bytes, InflateEnd::Whole) => bytes,
                (_, InflateEnd::TooLong) => return Err(too_large()),
                (_, InflateEnd::Broken) => return Ok(None),
            },
        };
        self.room.set(self.room.get().checked_sub(bytes.len()).ok_or_else(too_large)?);
        Ok(Some(bytes))
    }

    fn packed(&self, entry: &ZipEntry) -> Option<&'b [u8]> {
        let name = number(self.bytes, entry.at.checked_add(26)?, 2)?;
        let extra = number(self.bytes, entry.at.checked_add(28)?, 2)?;
        let begin = entry.at + 30 + name + extra;
        self.bytes.get(begin..begin.checked_add(entry.length)?)
    }

    /// The text of a file.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(mut bytes) = self.read(name)? else { return Ok(None) };
        if bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(..3);
        }
        // Nearly all are UTF-8, and are not held twice.
        Ok(Some(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }
}

/// A folder with these files, for tests.
#[cfg(test)]
pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let packed = miniz_oxide::deflate::compress_to_vec(bytes, 6);
        let number = |value: usize, length: usize| value.to_le_bytes()[..length].to_vec();
        let begin = number(out.len(), 4);
        let sizes = [number(packed.len(), 4), number(bytes.len(), 4), number(name.len(), 2)].concat();
        out.extend_from_slice(&[b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".as_slice(), &sizes, b"\0\0"].concat());
        out.extend_from_slice(&[name.as_bytes(), &packed].concat());
        let head = b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".as_slice();
        list.extend_from_slice(&[head, &sizes, &[0; 12], &begin, name.as_bytes()].concat());
    }
    let count = u8::try_from(files.len()).unwrap();
    let (at, length) = (u32::try_from(out.len()).unwrap(), u32::try_from(list.len()).unwrap());
    out.extend_from_slice(&list);
    out.extend_from_slice(&[b"PK\x05\x06\0\0\0\0".as_slice(), &[count, 0, count, 0]].concat());
    out.extend_from_slice(&[length.to_le_bytes(), at.to_le_bytes()].concat());
    out.extend_from_slice(&[0, 0]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_out() {
        let bytes = zipped(&[("a/b.txt", b"one"), ("c", b"two two two two two two")]);
        let folder = ZipFolder::open(&bytes).unwrap();
        assert_eq!(folder.names().collect::<Vec<_>>(), ["a/b.txt", "c"]);
        assert_eq!(folder.text("a/b.txt").unwrap().as_deref(), Some("one"));
        assert_eq!(folder.text("c").unwrap().as_deref(), Some("two two two two two two"));
        assert_eq!(folder.text("d").unwrap(), None);
        assert!(ZipFolder::open(b"PK nothing").is_none());
        for end in 0..bytes.len() {
            if let Some(folder) = ZipFolder::open(&bytes[..end]) {
                let _ = folder.read("c");
            }
        }
    }

    #[test]
    fn bombs_end() {
        let bytes = zipped(&[("a", &vec![0; LONGEST + 1])]);
        assert!(bytes.len() < LONGEST / 100);
        assert!(ZipFolder::open(&bytes).unwrap().read("a").is_err());
        let half = vec![0; LONGEST - 1];
        let bytes = zipped(&[("a", &half), ("b", &half), ("c", &half)]);
        let folder = ZipFolder::open(&bytes).unwrap();
        assert!(folder.read("a").is_ok() && folder.read("b").is_ok() && folder.read("c").is_err());
    }
}
