//! A table's rows: a tree of pages, with long rows spread over further ones.

use std::collections::HashSet;

use super::page::{HEADER, Pages, u16_at, u32_at, varint};
use super::{MOST_ROW, SqliteError};

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// Gives each row of the table with that root to `take`, by row number.
pub(super) fn table(
    pages: &Pages,
    root: u32,
    mut take: impl FnMut(&[u8]) -> Result<(), SqliteError>,
) -> Result<(), SqliteError> {
    let mut seen = HashSet::new();
    // Rows are in pages of their own, so all of them together are smaller than the file.
    let mut left = pages.count as usize * pages.usable;
    // The next page is the last.
    let mut waiting = vec![root];
    while let Some(number) = waiting.pop() {
        if !seen.insert(number) {
            return Err(SqliteError::Damaged("a page is in a table twice"));
        }
        let page = pages.page(number)?;
        let start = if number == 1 { HEADER } else { 0 };
        let kind = page.get(start).copied();
        let count = usize::from(u16_at(&page, start + 3)?);
        let header = match kind {
            Some(INTERIOR) => 12,
            Some(LEAF) => 8,
            _ => return Err(SqliteError::Damaged("a table has a page of another kind")),
        };
        let cell = |index: usize| {
            let at = usize::from(u16_at(&page, start + header + 2 * index)?);
            page.get(at..).ok_or(SqliteError::Damaged("a row begins nowhere"))
        };
        if kind == Some(INTERIOR) {
            waiting.push(u32_at(&page, start + 8)?);
            for index in (0..count).rev() {
                waiting.push(u32_at(cell(index)?, 0)?);
            }
            continue;
        }
        for index in 0..count {
            let row = row(pages, cell(index)?)?;
            left = left.checked_sub(row.len()).ok_or(SqliteError::Damaged("rows share their pages"))?;
            take(&row)?;
        }
    }
    Ok(())
}

/// The whole of a row.
fn row(pages: &Pages, mut cell: &[u8]) -> Result<Vec<u8>, SqliteError> {
    let size = varint(&mut cell)?;
    let _number = varint(&mut cell)?;
    let most = MOST_ROW.min(u64::from(pages.count) * pages.usable as u64);
    let size = usize::try_from(size).ok().filter(|size| *size as u64 <= most);
    let size = size.ok_or(SqliteError::Damaged("a row is larger than any may be"))?;
    let here = local(size, pages.usable);
    let mut payload = cell.get(..here).ok_or(SqliteError::Damaged("a row is cut off"))?.to_vec();
    if here == size {
        return Ok(payload);
    }
    let mut next = u32_at(cell, here)?;
    // As many pages as its size says, so that it ends whatever they say.
    while payload.len() < size {
        let page = pages.page(next)?;
        next = u32_at(&page, 0)?;
        let rest = page.get(4..).unwrap_or_default();
        payload.extend(rest.iter().take(size - payload.len()));
    }
    Ok(payload)
}

/// Bytes of a row of that size that are in the tree itself.
fn local(size: usize, usable: usize) -> usize {
    let most = usable - 35;
    if size <= most {
        return size;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let kept = least + (size - least) % (usable - 4);
    if kept <= most { kept } else { least }
}
