//! Pages of a file, and what its header says of them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::SqliteError;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes of a file's header, before its first page's own.
pub(super) const HEADER: usize = 100;

/// How texts are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// See the module. Numbered from 1.
pub(super) struct Pages {
    source: PageSource,
    size: usize,
    /// Bytes of a page that are used.
    pub(super) usable: usize,
    pub(super) count: u32,
    pub(super) encoding: TextEncoding,
}

enum PageSource {
    File(File),
    #[cfg(test)]
    Bytes(Vec<u8>),
}

/// Whether a journal says in its first bytes that it holds nothing.
pub(super) fn is_blank(path: &Path) -> Result<bool, SqliteError> {
    let mut first = [0; 28];
    let length = File::open(path)?.take(28).read(&mut first)?;
    Ok(first.iter().take(length).all(|byte| *byte == 0))
}

impl Pages {
    pub(super) fn open(path: &Path) -> Result<Self, SqliteError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(SqliteError::NotSqlite);
        }
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).map_err(|_| SqliteError::NotSqlite)?;
        Self::of(PageSource::File(file), &header, metadata.len())
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, SqliteError> {
        let header = bytes.first_chunk().ok_or(SqliteError::NotSqlite)?;
        Self::of(PageSource::Bytes(bytes.to_vec()), header, bytes.len() as u64)
    }

    fn of(source: PageSource, header: &[u8; HEADER], length: u64) -> Result<Self, SqliteError> {
        if !header.starts_with(MAGIC) {
            return Err(SqliteError::NotSqlite);
        }
        let size = match u16_at(header, 16)? {
            1 => 65_536,
            size if size.is_power_of_two() && size >= 512 => usize::from(size),
            _ => return Err(SqliteError::Damaged("its pages have no size")),
        };
        let reserved = usize::from(header.get(20).copied().unwrap_or_default());
        let usable = size - reserved;
        if usable < 480 {
            return Err(SqliteError::Damaged("its pages have no room"));
        }
        let encoding = match u32_at(header, 56)? {
            0 | 1 => TextEncoding::Utf8,
            2 => TextEncoding::Utf16Le,
            3 => TextEncoding::Utf16Be,
            _ => return Err(SqliteError::Damaged("its texts are of no encoding")),
        };
        let count = u32::try_from(length / size as u64).unwrap_or(u32::MAX);
        Ok(Self { source, size, usable, count, encoding })
    }

    /// One page, as far as it is used.
    pub(super) fn page(&self, number: u32) -> Result<Vec<u8>, SqliteError> {
        if number == 0 || number > self.count {
            return Err(SqliteError::Damaged("a page is not there"));
        }
        let mut page = vec![0; self.usable];
        let start = u64::from(number - 1) * self.size as u64;
        match &self.source {
            PageSource::File(file) => file.read_exact_at(&mut page, start)?,
            #[cfg(test)]
            PageSource::Bytes(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..self.usable));
                page.copy_from_slice(found.ok_or(SqliteError::Damaged("a page is not there"))?);
            }
        }
        Ok(page)
    }
}

const CUT: SqliteError = SqliteError::Damaged("something is cut off");

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, SqliteError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(CUT)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, SqliteError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(CUT)
}

/// A number of one to nine bytes, taken off the front.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, SqliteError> {
    let mut value = 0_u64;
    for index in 0..9 {
        let (byte, rest) = bytes.split_first().ok_or(CUT)?;
        *bytes = rest;
        if index == 8 {
            return Ok(value << 8 | u64::from(*byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(value)
}
