//! An answer in one piece as it is written, with the client's own ids in it.
//!
//! It may be as long as all that its flow was given, several times. So no more of it is there at a time than need be: what
//! is written is let go of, and ids are put in on the way.

use std::io::{self, Write};

use bytes::Bytes;

use super::rename::{Rename, Renamer};

/// Bytes that are looked at together for ids.
const PIECE: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct AnswerOutput {
    /// `None`: there is no id to put in.
    renaming: Option<Renaming>,
    out: Vec<u8>,
}

#[derive(Debug)]
struct Renaming {
    renamer: Renamer,
    piece: Vec<u8>,
}

impl AnswerOutput {
    pub(super) fn new(renames: Vec<Rename>) -> Self {
        let renaming = (!renames.is_empty()).then(|| Renaming { renamer: Renamer::new(renames), piece: Vec::new() });
        Self { renaming, out: Vec::new() }
    }

    /// It will be about so many bytes.
    pub(super) fn reserve(&mut self, around: usize) {
        self.out.reserve(around);
    }

    pub(super) fn done(mut self) -> Bytes {
        if let Some(mut renaming) = self.renaming {
            renaming.pass(&mut self.out);
            self.out.extend_from_slice(&renaming.renamer.end());
        }
        self.out.into()
    }
}

impl Renaming {
    fn pass(&mut self, out: &mut Vec<u8>) {
        let piece = std::mem::take(&mut self.piece);
        out.extend_from_slice(&self.renamer.take(piece.into()));
    }
}

impl Write for AnswerOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.renaming {
            None => self.out.extend_from_slice(bytes),
            Some(renaming) => {
                renaming.piece.extend_from_slice(bytes);
                if renaming.piece.len() >= PIECE {
                    renaming.pass(&mut self.out);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
