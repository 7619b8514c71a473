//! Keys files in the form in which programs write them, read in one pass: a line for each key, or one for each of its
//! fields, with nothing that could mean something else to a reader of YAML. That reader makes a tree of each key and knows
//! the place of every word, which takes a second for a hundred thousand keys. Whatever is not surely the same to both is left
//! to it, mistakes included.

use std::io::BufRead;

use super::reader::KeyItem;
use crate::config::yaml::Located;

/// Words that are no text in some version of YAML, in whatever case.
const NO_TEXT: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"];

/// Bytes of a key of which everything is left out that may be.
pub(super) const SHORTEST_KEY: usize = "- { id: a, sha256:  }\n".len() + 64;

/// Gives each key to `take`, which says whether all is well. `None`: the file is to be read as YAML, from its beginning.
pub(super) fn read(mut text: impl BufRead, mut take: impl FnMut(usize, Located<KeyItem>) -> bool) -> Option<()> {
    let mut items = PlainItems::default();
    let (mut piece, mut is_begun) = (Vec::new(), false);
    for number in 1.. {
        piece.clear();
        if text.read_until(b'\n', &mut piece).ok()? == 0 {
            break;
        }
        let line = plain_line(&piece)?;
        match is_begun {
            _ if is_empty(line) => {}
            true => items.line(number, line, &mut take)?,
            false if line == "keys:" => is_begun = true,
            false => return None,
        }
    }
    if is_begun { items.end(&mut take) } else { None }
}

/// A line without its end.
fn plain_line(piece: &[u8]) -> Option<&str> {
    let line = piece.strip_suffix(b"\n").unwrap_or(piece);
    if line.iter().all(|byte| (b' '..=b'~').contains(byte)) { str::from_utf8(line).ok() } else { None }
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start_matches(' ');
    line.is_empty() || line.starts_with('#')
}

#[derive(Default)]
struct PlainItems {
    /// How far the items are from the margin; `None`: there was none.
    indent: Option<usize>,
    count: usize,
    /// The one that is read.
    item: Option<Located<KeyItem>>,
}

impl PlainItems {
    fn line(&mut self, number: u32, line: &str, take: &mut impl FnMut(usize, Located<KeyItem>) -> bool) -> Option<()> {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let Some(first) = content.strip_prefix("- ") else {
            // A further field of the item, below its first.
            let item = self.item.as_mut().filter(|_| self.indent.is_some_and(|items| indent == items + 2))?;
            return field(&mut item.value, content);
        };
        self.end(take)?;
        if *self.indent.get_or_insert(indent) != indent {
            return None;
        }
        let mut item = Located { value: KeyItem::default(), line: number, column: 0 };
        let Some(fields) = first.strip_prefix('{') else {
            field(&mut item.value, first)?;
            self.item = Some(item);
            return Some(());
        };
        for part in fields.strip_suffix('}')?.split(',') {
            field(&mut item.value, part.trim_matches(' '))?;
        }
        self.take(item, take)
    }

    /// The item that is read has no further field.
    fn end(&mut self, take: &mut impl FnMut(usize, Located<KeyItem>) -> bool) -> Option<()> {
        match self.item.take() {
            Some(item) => self.take(item, take),
            None => Some(()),
        }
    }

    fn take(&mut self, item: Located<KeyItem>, take: &mut impl FnMut(usize, Located<KeyItem>) -> bool) -> Option<()> {
        let index = self.count;
        self.count += 1;
        take(index, item).then_some(())
    }
}

/// Puts a field into its place, once.
fn field(item: &mut KeyItem, written: &str) -> Option<()> {
    let (name, value) = written.split_once(": ")?;
    let place = match name {
        "id" => &mut item.id,
        "plan" => &mut item.plan,
        "sha256" if is_surely_hex(value) => {
            return put(&mut item.sha256, value);
        }
        "enabled" if item.enabled.is_none() => {
            item.enabled = Some(match value {
                "true" => true,
                "false" => false,
                _ => return None,
            });
            return Some(());
        }
        _ => return None,
    };
    if is_surely_text(value) { put(place, value) } else { None }
}

fn put(place: &mut Option<Located<String>>, value: &str) -> Option<()> {
    place.is_none().then(|| *place = Some(Located { value: value.to_owned(), line: 0, column: 0 }))
}

fn is_surely_text(value: &str) -> bool {
    value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !NO_TEXT.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// 64 digits of which one at least is none of a number: `e` has a meaning in those, and what comes behind a leading zero.
fn is_surely_hex(value: &str) -> bool {
    value.len() == 64
        && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        && value.bytes().skip(2).any(|byte| matches!(byte, b'a'..=b'd' | b'f'))
}

#[cfg(test)]
mod tests;
