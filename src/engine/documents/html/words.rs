//! Lines of words that are wrapped as they come, as `html-to-text` 9 wraps them.

use crate::engine::text::javascript::length;

/// Letters of a line.
const ENDLESS: usize = usize::MAX / 4;

#[derive(Debug)]
pub(super) struct WordLines {
    lines: Vec<String>,
    line: Vec<String>,
    pub(super) longest: usize,
    /// Letters for which there is room; below zero after a word that is too long.
    room: isize,
    /// A space was said, and nothing since.
    pub(super) has_space: bool,
    /// A word may be cut here.
    pub(super) may_break: bool,
}

impl WordLines {
    pub(super) fn new(longest: Option<usize>) -> Self {
        let longest = longest.unwrap_or(ENDLESS);
        let (lines, line) = (Vec::new(), Vec::new());
        Self { lines, line, longest, room: signed(longest), has_space: false, may_break: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.line.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.line.clear();
        self.room = signed(self.longest);
    }

    pub(super) fn write(&self, into: &mut String) {
        for line in &self.lines {
            into.push_str(line);
            into.push('\n');
        }
        into.push_str(&self.line.join(" "));
    }

    pub(super) fn start_line(&mut self, count: usize) {
        self.lines.push(std::mem::take(&mut self.line).join(" "));
        self.lines.extend(std::iter::repeat_n(String::new(), count.saturating_sub(1)));
        self.room = signed(self.longest);
    }

    pub(super) fn push(&mut self, word: String) {
        if self.room <= 0 {
            self.start_line(1);
        }
        let cost = signed(length(&word));
        let space = isize::from(!self.line.is_empty());
        if cost + space > self.room && space == 1 {
            self.start_line(1);
            self.room -= cost;
        } else {
            self.room -= cost + space;
        }
        self.line.push(word);
    }

    /// Puts a word behind the last without a space.
    pub(super) fn join(&mut self, word: String) {
        if self.may_break && signed(length(&word)) > self.room {
            self.push(word);
            self.may_break = false;
            return;
        }
        let Some(last) = self.line.pop() else { return self.push(word) };
        self.room += signed(length(&last)) + isize::from(!self.line.is_empty());
        self.push(last + &word);
    }
}

fn signed(number: usize) -> isize {
    isize::try_from(number).unwrap_or(isize::MAX / 4)
}
