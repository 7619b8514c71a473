//! A provider's answer line by line, wherever the network cuts it.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};

use super::Incoming;
use super::incoming::too_long;
use crate::engine::contract::failure::Failure;

/// One event of a provider's stream.
const LONGEST_EVENT: usize = 4 * 1024 * 1024;

/// A whole stream, what nobody reads of it included: four times what may be gathered from it.
const LONGEST_STREAM: usize = 64 * 1024 * 1024;

/// For the end of a body whose last event has come.
const FAREWELL: Duration = Duration::from_millis(5);

/// What has come of a stream and not yet been read. Lines lie in the piece that they came in, but for those that are cut.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    /// The beginning of a line.
    held: BytesMut,
    /// What follows it.
    piece: Bytes,
}

impl LineBuffer {
    /// # Errors
    /// There is no line's end for too long.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), Failure> {
        if self.held.len() > LONGEST_EVENT {
            return Err(Failure::Unreachable("The provider's stream cannot be read.".to_owned()));
        }
        self.piece = if self.piece.is_empty() { piece } else { [&*self.piece, &*piece].concat().into() };
        Ok(())
    }

    /// The next line that is whole, without its end.
    pub(crate) fn line(&mut self) -> Option<Bytes> {
        let Some(at) = memchr::memchr(b'\n', &self.piece) else {
            self.held.extend_from_slice(&std::mem::take(&mut self.piece));
            return None;
        };
        let mut line = self.piece.split_to(at);
        self.piece.advance(1);
        if !self.held.is_empty() {
            self.held.extend_from_slice(&line);
            line = self.held.split().freeze();
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(line)
    }

    /// What is left at the end.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        self.held.extend_from_slice(&std::mem::take(&mut self.piece));
        Some(std::mem::take(&mut self.held).freeze()).filter(|rest| !rest.is_empty())
    }
}

/// The data that a line of an event stream holds; empty: it holds none.
pub(crate) fn data_of(mut line: Bytes) -> Bytes {
    let Some(data) = line.strip_prefix(b"data:") else { return Bytes::new() };
    let at = line.len() - data.strip_prefix(b" ").unwrap_or(data).len();
    line.advance(at);
    line
}

/// See [`Incoming::lines`].
#[derive(Debug)]
pub(crate) struct Lines {
    incoming: Incoming,
    buffer: LineBuffer,
    /// Bytes that may still come.
    room: usize,
}

impl Lines {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self { incoming, buffer: LineBuffer::default(), room: LONGEST_STREAM }
    }

    /// The next line without its end; `None` behind the last.
    ///
    /// # Errors
    /// The provider falls silent or breaks off, or there is no end to its answer or to a line of it.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(line) = self.buffer.line() {
                return Ok(Some(line));
            }
            match self.incoming.piece().await? {
                Some(piece) => {
                    self.room = self.room.checked_sub(piece.len()).ok_or_else(too_long)?;
                    self.buffer.push(piece)?;
                }
                None => return Ok(self.buffer.rest()),
            }
        }
    }

    /// Reads the end of the body, which comes with the last event: a connection whose answer was read to its end is
    /// used again.
    pub(crate) async fn farewell(&mut self) {
        let _ = tokio::time::timeout(FAREWELL, self.incoming.piece()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_they_are_cut() {
        let text = "data: {\"a\":1}\r\n\r\n: comment\ndata:[DONE]\nlast";
        for cut in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut buffer = LineBuffer::default();
            let mut lines = Vec::new();
            for piece in [first, second] {
                buffer.push(Bytes::copy_from_slice(piece)).unwrap();
                lines.extend(std::iter::from_fn(|| buffer.line()));
            }
            lines.extend(buffer.rest());
            assert_eq!(lines, ["data: {\"a\":1}", "", ": comment", "data:[DONE]", "last"]);
            assert_eq!(data_of(lines[0].clone()), "{\"a\":1}");
            assert_eq!(data_of(lines[3].clone()), "[DONE]");
            assert_eq!(data_of(lines[4].clone()), "");
        }
    }

    #[test]
    fn what_comes_before_lines_were_taken_follows_them() {
        let mut buffer = LineBuffer::default();
        for piece in ["a\nb", "c\nd", "", "e"] {
            buffer.push(Bytes::from(piece)).unwrap();
        }
        let mut lines: Vec<_> = std::iter::from_fn(|| buffer.line()).collect();
        lines.extend(buffer.rest());
        assert_eq!(lines, ["a", "bc", "de"]);
    }

    #[test]
    fn endless_lines_are_refused() {
        let mut buffer = LineBuffer::default();
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let refused = (0..8).any(|_| buffer.push(piece.clone()).is_err() || buffer.line().is_some());
        assert!(refused);
    }
}
