//! What reading one PDF file may take. A small file may ask for very much: streams that grow a thousandfold, forms
//! within forms, tables that repeat each other.

use std::cell::Cell;
use std::time::Instant;

/// Bytes that are taken out of streams and read as content, all in all.
const MOST_BYTES: u64 = if cfg!(test) { 8 << 20 } else { 512 << 20 };
/// Objects read, all in all, those of content streams included.
const MOST_OBJECTS: u64 = 64 << 20;
/// Letters of the text.
const MOST_LETTERS: u64 = 32 << 20;

/// A bound was met; everything ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PdfLimitExceeded;

#[derive(Debug)]
pub(super) struct PdfBudget {
    bytes: Cell<u64>,
    objects: Cell<u64>,
    letters: Cell<u64>,
    deadline: Instant,
}

impl PdfBudget {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { bytes: Cell::new(0), objects: Cell::new(0), letters: Cell::new(0), deadline }
    }

    pub(super) fn bytes(&self, more: usize) -> Result<(), PdfLimitExceeded> {
        spend(&self.bytes, more, MOST_BYTES)
    }

    pub(super) fn object(&self) -> Result<(), PdfLimitExceeded> {
        spend(&self.objects, 1, MOST_OBJECTS)?;
        // The clock is not asked each time.
        if self.objects.get().is_multiple_of(4096) && Instant::now() > self.deadline {
            Err(PdfLimitExceeded)
        } else {
            Ok(())
        }
    }

    pub(super) fn letters(&self, more: usize) -> Result<(), PdfLimitExceeded> {
        spend(&self.letters, more, MOST_LETTERS)
    }
}

fn spend(spent: &Cell<u64>, more: usize, most: u64) -> Result<(), PdfLimitExceeded> {
    spent.set(spent.get().saturating_add(more as u64));
    if spent.get() > most { Err(PdfLimitExceeded) } else { Ok(()) }
}
