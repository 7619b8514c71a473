//! Takes a stream apart into records, split anywhere.
//!
//! A client can do nothing with half a record, so one is looked at when it is whole; Flowise writes one at a time. A
//! long one is decided on as soon as its event is known, so that what is held has a bound.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// A record longer than this is passed on or dropped as it comes, if that can be.
const LONG: usize = 64 * 1024;
/// Bytes of a record in which its event's name stands, if anywhere.
const TELLING: usize = 1024;
/// One longer than this is dropped.
const LONGEST: usize = 16 * 1024 * 1024;

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordAction {
    Pass,
    Drop,
    Replace(Bytes),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Records {
    held: BytesMut,
    /// Bytes of `held` without the end of a record in them.
    searched: usize,
    /// Nothing is known of the record that is held until it is whole: its name has been looked at.
    is_awaited: bool,
    /// The rest of a long record, until its end: whether it passes, and what of an end has come.
    rest: Option<(bool, Tail)>,
}

/// How what has come of a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Line,
    /// Behind a line's end.
    LineEnd,
    /// Behind a line's end and half of the next.
    Return,
}

impl Records {
    /// What of a piece goes on; `early` decides on a long record by its event's name.
    pub(crate) fn take(
        &mut self,
        piece: Bytes,
        mut step: impl FnMut(&[u8]) -> RecordAction,
        early: impl Fn(&str) -> Option<bool>,
    ) -> Bytes {
        let mut shown = Shown::default();
        let mut piece = piece;
        if let Some((passes, tail)) = self.rest {
            let end = rest_end(&piece, tail);
            let part = piece.split_to(end.unwrap_or(piece.len()));
            self.rest = if end.is_some() { None } else { Some((passes, tail.then(&part))) };
            if passes {
                shown.push(part);
            }
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(&piece);
            let from = self.searched.saturating_sub(2);
            let searched = || empty_line(self.held.get(from..)?).map(|end| from + end);
            let Some(end) = blank_line(&self.held).or_else(searched) else {
                self.searched = self.held.len();
                self.decide_early(&mut shown, early);
                return shown.done();
            };
            let rest = self.held.split_off(end);
            let record = std::mem::replace(&mut self.held, BytesMut::new()).freeze();
            self.is_awaited = false;
            shown.step(record, &mut step);
            piece = rest.freeze();
        }
        while let Some(end) = record_end(&piece) {
            shown.step(piece.split_to(end), &mut step);
        }
        self.held = BytesMut::from(&*piece);
        self.searched = piece.len();
        self.decide_early(&mut shown, early);
        shown.done()
    }

    /// Bytes of a record that has not ended.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    fn decide_early(&mut self, shown: &mut Shown, early: impl Fn(&str) -> Option<bool>) {
        if self.held.len() <= LONG {
            return;
        }
        // Once: looking again at every piece would take as long as the record is, squared.
        let is_awaited = std::mem::replace(&mut self.is_awaited, true);
        let look = || self.held.get(..TELLING).and_then(event_name).and_then(early);
        let decision = if is_awaited { None } else { look() };
        if let Some(passes) = decision.or((self.held.len() > LONGEST).then_some(false)) {
            let part = self.held.split().freeze();
            self.is_awaited = false;
            self.rest = Some((passes, Tail::Line.then(&part)));
            if passes {
                shown.push(part);
            }
        }
    }
}

/// Slices that follow each other stay one.
#[derive(Default)]
struct Shown(Vec<Bytes>);

impl Shown {
    fn step(&mut self, record: Bytes, step: &mut impl FnMut(&[u8]) -> RecordAction) {
        match step(&record) {
            RecordAction::Pass => self.push(record),
            RecordAction::Drop => {}
            RecordAction::Replace(text) => self.push(text),
        }
    }

    fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    fn done(mut self) -> Bytes {
        match self.0.len() {
            0 => Bytes::new(),
            1 => self.0.pop().unwrap_or_default(),
            _ => self.0.concat().into(),
        }
    }
}

impl Tail {
    fn then(self, piece: &[u8]) -> Self {
        match (piece, self) {
            ([], _) => self,
            ([.., b'\n', b'\r'], _) | ([b'\r'], Self::LineEnd) => Self::Return,
            ([.., b'\n'], _) => Self::LineEnd,
            _ => Self::Line,
        }
    }
}

/// Bytes of the first record; an empty line by itself is one as well.
fn record_end(bytes: &[u8]) -> Option<usize> {
    blank_line(bytes).or_else(|| empty_line(bytes))
}

/// Bytes of the empty line that the bytes begin with.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// Bytes up to the end of a record of which some has come.
fn rest_end(bytes: &[u8], tail: Tail) -> Option<usize> {
    match (tail, bytes) {
        (Tail::Return, [b'\n', ..]) => Some(1),
        (Tail::LineEnd, _) => record_end(bytes),
        _ => empty_line(bytes),
    }
}

/// Where the first empty line after another ends; lines end with LF or CRLF.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match bytes.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Of a record that need not be whole.
fn event_name(record: &[u8]) -> Option<&str> {
    let line = record.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:"))?;
    let name = line.strip_prefix(b" ").unwrap_or(line).strip_prefix(b"{\"event\":\"")?;
    std::str::from_utf8(name.get(..memchr::memchr2(b'"', b'\\', name)?)?).ok()
}

/// A record's data; `None`: it has none.
pub(crate) fn data_of(record: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut lines = record.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    let first = lines.next()?;
    let rest: Vec<&[u8]> = lines.collect();
    if rest.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    let mut data = first.to_vec();
    for line in rest {
        data.push(b'\n');
        data.extend_from_slice(line);
    }
    Some(Cow::Owned(data))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_long_record_is_asked_about_once() {
        let record =
            |name: &str| format!("message:\ndata:{{\"event\":\"{name}\",\"data\":\"{}\"}}\n\n", "x".repeat(4 * LONG));
        let text = record("a") + &record("b") + &record("a");
        let asked = Cell::new(0);
        let early = |name: &str| {
            asked.set(asked.get() + 1);
            (name == "b").then_some(true)
        };
        let mut records = Records::default();
        let mut shown = Vec::new();
        for piece in text.as_bytes().chunks(100) {
            shown.extend_from_slice(&records.take(Bytes::copy_from_slice(piece), |_| RecordAction::Pass, early));
        }
        assert!(shown == text.as_bytes());
        assert_eq!(asked.get(), 3);
    }
}
