//! Byte pair encoding of one word: of all neighbours, those that are the first token of the table become one, and so on.
//!
//! With a heap, n bytes take n log n steps; looking through all neighbours each time, as is usual, takes n², which one
//! long word turns into minutes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::table::Table;

/// The parts of a word.
struct Parts<'w> {
    word: &'w [u8],
    /// Where the part that begins at a byte ends; 0 where none begins.
    ends: Vec<usize>,
    /// Where the part before it begins.
    befores: Vec<usize>,
}

impl Parts<'_> {
    fn end(&self, start: usize) -> Option<usize> {
        self.ends.get(start).copied().filter(|end| *end != 0)
    }

    fn before(&self, start: usize) -> Option<usize> {
        if start == 0 { None } else { self.befores.get(start).copied() }
    }

    fn join(&mut self, start: usize, middle: usize, end: usize) {
        for (at, value) in [(start, end), (middle, 0)] {
            if let Some(place) = self.ends.get_mut(at) {
                *place = value;
            }
        }
        if let Some(before) = self.befores.get_mut(end) {
            *before = start;
        }
    }

    fn token(&self, start: usize, end: usize, table: &Table) -> Option<u32> {
        table.number(self.word.get(start..end)?)
    }
}

/// Adds the tokens of a word.
pub(super) fn merge(word: &[u8], table: &Table, tokens: &mut Vec<u32>) {
    if let Some(token) = table.number(word) {
        tokens.push(token);
        return;
    }
    let mut parts = Parts {
        word,
        ends: (1..=word.len()).collect(),
        befores: (0..word.len()).map(|at| at.saturating_sub(1)).collect(),
    };
    let pair =
        |start: usize, end: usize, parts: &Parts<'_>| Some(Reverse((parts.token(start, end, table)?, start, end)));
    let mut pairs: BinaryHeap<_> = (2..=word.len()).filter_map(|end| pair(end - 2, end, &parts)).collect();
    while let Some(Reverse((_, start, end))) = pairs.pop() {
        let Some(middle) = parts.end(start) else { continue };
        // One of the two has become longer since.
        if parts.end(middle) != Some(end) {
            continue;
        }
        parts.join(start, middle, end);
        pairs.extend(parts.before(start).and_then(|before| pair(before, end, &parts)));
        pairs.extend(parts.end(end).and_then(|next| pair(start, next, &parts)));
    }
    let mut start = 0;
    while let Some(end) = parts.end(start) {
        tokens.extend(parts.token(start, end, table));
        start = end;
    }
}
