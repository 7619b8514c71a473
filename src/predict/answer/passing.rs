//! A stream that passes, as its client may see it.

use bytes::Bytes;

use super::filter::Allowed;
use super::rename::Renamer;
use super::writer::EventWriter;
use crate::predict::events::{Records, error_and_end};

/// Bytes of Flowise's on their way.
#[derive(Debug)]
pub(crate) struct StreamView {
    pub(super) records: RecordView,
    pub(super) renamer: Renamer,
}

/// What becomes of its records.
#[derive(Debug)]
pub(super) enum RecordView {
    /// They pass unread.
    All,
    /// Some do.
    Some(Records, Allowed),
    /// They are told in another shape.
    Told(Records, EventWriter),
}

impl StreamView {
    /// What of this piece, and of what was held, goes on now.
    pub(crate) fn take(&mut self, piece: Bytes) -> Bytes {
        let shown = match &mut self.records {
            RecordView::All => piece,
            RecordView::Some(records, allowed) => {
                records.take(piece, |record| allowed.record(record), |name| allowed.early(name))
            }
            // It is told of whole records.
            RecordView::Told(records, writer) => records.take(piece, |record| writer.record(record), |_| None),
        };
        self.renamer.take(shown)
    }

    /// Bytes that are looked at if a record that has been held ends with this piece, which only a line's end can do.
    pub(crate) fn awaited(&self, piece: &[u8]) -> usize {
        let held = match &self.records {
            RecordView::All => 0,
            RecordView::Some(records, _) | RecordView::Told(records, _) => records.held(),
        };
        if held > 0 && memchr::memchr(b'\n', piece).is_some() { held + piece.len() } else { 0 }
    }

    /// How it ends behind what it has shown, if no more is shown of what it was given.
    pub(crate) fn failure(&self, sentence: &str) -> Bytes {
        match &self.records {
            RecordView::Told(_, writer) => writer.failure(sentence).into(),
            RecordView::All | RecordView::Some(..) => error_and_end(sentence).into(),
        }
    }

    /// What is still held at the stream's end.
    pub(crate) fn end(&mut self) -> Bytes {
        self.renamer.end()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.renamer.is_empty()
    }
}
