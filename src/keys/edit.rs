//! Edits the text of a keys file line by line, so that comments and all other keys stay as they are.
//!
//! Lines are found by the places the parser gave, not by a second understanding of YAML. So every edit is checked:
//! the new text is parsed and must mean exactly what was wanted. If it does not (flow style, anchors, a field written
//! in an unusual way), the whole file is written anew from its values.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use super::file::{self, KeyEntry};
use super::written::{self, WrittenKey};
use super::{Digest, KeyKind, WrittenKeys};

/// What is to be done to a keys file.
pub(super) enum Change {
    Append(KeyEntry),
    /// Another digest, previous digest or `enabled` for the entry with that index.
    Replace(usize, KeyEntry),
    Remove(usize),
}

/// Neither way led to a text that means what was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditFailed;

/// The new text. `entries` is what [`file::read`] made of the old one.
pub(super) fn apply(text: &str, entries: &[KeyEntry], change: &Change) -> Result<String, EditFailed> {
    let mut wanted = entries.to_vec();
    match change {
        Change::Append(new) => wanted.push(new.clone()),
        Change::Replace(index, new) => wanted.get_mut(*index).ok_or(EditFailed)?.clone_from(new),
        Change::Remove(index) if *index < wanted.len() => drop(wanted.remove(*index)),
        Change::Remove(_) => return Err(EditFailed),
    }
    FileLines::new(text)
        .edited(entries, change)
        .filter(|edited| means(edited, &wanted))
        .or_else(|| Some(rewritten(text, &wanted)).filter(|text| means(text, &wanted)))
        .ok_or(EditFailed)
}

/// What becomes of a key that is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revocation {
    Disable,
    /// Its running streams end, too.
    DisableNow,
    Delete,
}

/// Disables or removes the item with that index of a file in which something is wrong. Nothing but the item is touched.
pub(super) fn revoke(text: &str, written: &WrittenKeys, index: usize, how: Revocation) -> Result<String, EditFailed> {
    let at = written.items.get(index).ok_or(EditFailed)?.at;
    let mut wanted = written.items.clone();
    if how == Revocation::Delete {
        wanted.remove(index);
        return FileLines::new(text).without(at).filter(|edited| says(edited, &wanted)).ok_or(EditFailed);
    }
    wanted.iter_mut().skip(index).take(1).for_each(|item| item.enabled = false);
    let disabled = with_field(text, at, ("enabled", "false"), &wanted)?;
    if how == Revocation::Disable {
        return Ok(disabled);
    }
    wanted.iter_mut().skip(index).take(1).for_each(|item| item.end_streams = true);
    with_field(&disabled, at, ("end_streams", "true"), &wanted)
}

/// The item that starts there, with that field: in whichever way leads to what is wanted.
fn with_field(text: &str, at: (u32, u32), field: WrittenField, wanted: &[WrittenKey]) -> Result<String, EditFailed> {
    let ways = [with_line, with_other_value, with_first_field];
    ways.iter().filter_map(|way| way(text, at, field)).find(|edited| says(edited, wanted)).ok_or(EditFailed)
}

/// Name and value.
type WrittenField = (&'static str, &'static str);

/// A line of its own.
fn with_line(text: &str, at: (u32, u32), field: WrittenField) -> Option<String> {
    FileLines::new(text).with_field(at, field)
}

fn says(text: &str, wanted: &[WrittenKey]) -> bool {
    written::read(Path::new(""), text).is_some_and(|read| {
        read.items.len() == wanted.len() && read.items.iter().zip(wanted).all(|(read, wanted)| read.means(wanted))
    })
}

/// The field before everything else in the map that starts there.
fn with_first_field(text: &str, at: (u32, u32), (name, value): WrittenField) -> Option<String> {
    let (before, after) = text.split_at_checked(offset(text, at)?)?;
    if let Some(fields) = after.strip_prefix('{') {
        return Some([before, "{ ", name, ": ", value, ", ", fields.trim_start_matches(' ')].concat());
    }
    let column = usize::try_from(at.1).ok()?.checked_sub(1)?;
    Some(format!("{before}{name}: {value}\n{:column$}{after}", ""))
}

/// What the field says behind that place is the other of `true` and `false`.
fn with_other_value(text: &str, at: (u32, u32), (name, value): WrittenField) -> Option<String> {
    let other = if value == "true" { "false" } else { "true" };
    let place = offset(text, at)?;
    let place = place + text.get(place..)?.find(name)?;
    let place = place + text.get(place..)?.find(other)?;
    Some([text.get(..place)?, value, text.get(place + other.len()..)?].concat())
}

/// Where a line and column (in characters) are, in bytes.
fn offset(text: &str, (line, column): (u32, u32)) -> Option<usize> {
    let lines = usize::try_from(line).ok()?.checked_sub(1)?;
    let start = text.split_inclusive('\n').take(lines).map(str::len).sum();
    let characters = text.get(start..)?.char_indices();
    let (offset, _) = characters.into_iter().nth(usize::try_from(column).ok()?.checked_sub(1)?)?;
    Some(start + offset)
}

fn means(text: &str, wanted: &[KeyEntry]) -> bool {
    file::read(Path::new(""), text, None).is_ok_and(|read| {
        read.len() == wanted.len() && read.iter().zip(wanted).all(|(read, wanted)| read.means(wanted))
    })
}

/// Everything from its values; of the comments only those at the top are kept.
fn rewritten(text: &str, entries: &[KeyEntry]) -> String {
    let is_comment = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let mut new: String = text.lines().take_while(is_comment).flat_map(|line| [line, "\n"]).collect();
    new.push_str("keys:\n");
    new.extend(entries.iter().flat_map(|entry| item(entry, 2, "\n")));
    new
}

struct FileLines {
    /// Each with its line break, the last one too.
    lines: Vec<String>,
    newline: &'static str,
}

/// Where an item of a block list stands.
struct ItemSpan {
    lines: Range<usize>,
    /// Columns, from 0, of the dash and of the item's fields.
    dash: usize,
    fields: usize,
}

impl FileLines {
    fn new(text: &str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push_str(newline);
        }
        Self { lines, newline }
    }

    /// `None` if the list is not written in a way that can be edited by lines.
    fn edited(mut self, entries: &[KeyEntry], change: &Change) -> Option<String> {
        match change {
            Change::Append(new) => self.append(entries, new)?,
            Change::Replace(index, new) => self.replace(entries.get(*index)?, new)?,
            Change::Remove(index) => return self.without(entries.get(*index)?.at?),
        }
        Some(self.lines.concat())
    }

    fn without(mut self, at: (u32, u32)) -> Option<String> {
        let place = self.place(at)?;
        self.lines.drain(place.lines);
        Some(self.lines.concat())
    }

    fn with_field(mut self, at: (u32, u32), (name, value): WrittenField) -> Option<String> {
        let place = self.place(at)?;
        let mut lines: Vec<String> = self.lines.get(place.lines.clone())?.to_vec();
        set_field(&mut lines, place.fields, self.newline, name, Some(value))?;
        self.lines.splice(place.lines, lines);
        Some(self.lines.concat())
    }

    fn append(&mut self, entries: &[KeyEntry], new: &KeyEntry) -> Option<()> {
        let (end, dash) = if let Some(last) = entries.last() {
            let place = self.place(last.at?)?;
            (place.lines.end, place.dash)
        } else if file::is_blank(&self.lines.concat()) {
            self.lines.push(format!("keys:{}", self.newline));
            (self.lines.len(), 2)
        } else {
            return None;
        };
        self.lines.splice(end..end, item(new, dash, self.newline));
        Some(())
    }

    fn replace(&mut self, old: &KeyEntry, new: &KeyEntry) -> Option<()> {
        let place = self.place(old.at?)?;
        let newline = self.newline;
        let mut lines: Vec<String> = self.lines.get(place.lines.clone())?.to_vec();
        let mut set =
            |name, value: Option<String>| set_field(&mut lines, place.fields, newline, name, value.as_deref());
        if old.key.digest != new.key.digest {
            set("sha256", Some(digest(&new.key.digest)))?;
        }
        if old.key.previous() != new.key.previous() {
            set("previous", previous(new))?;
        }
        if old.key.enabled != new.key.enabled {
            set("enabled", Some(new.key.enabled.to_string()))?;
        }
        if old.key.end_streams != new.key.end_streams {
            set("end_streams", new.key.end_streams.then(|| "true".to_owned()))?;
        }
        self.lines.splice(place.lines, lines);
        Some(())
    }

    fn place(&self, (line, column): (u32, u32)) -> Option<ItemSpan> {
        let first = usize::try_from(line).ok()?.checked_sub(1)?;
        let fields = usize::try_from(column).ok()?.checked_sub(1)?;
        let before = self.lines.get(first)?.get(..fields)?;
        let dash = before.find('-')?;
        if before.chars().enumerate().any(|(index, character)| (index == dash) != (character == '-'))
            || !before.chars().all(|character| matches!(character, ' ' | '-'))
        {
            return None;
        }
        let end = first + extent(self.lines.get(first..)?, dash);
        Some(ItemSpan { lines: first..end, dash, fields })
    }
}

/// How many lines belong to what starts in the first one at that column: all that are indented further, without the
/// blank ones and comments after it.
fn extent(lines: &[String], column: usize) -> usize {
    let is_inside = |line: &&String| is_blank_or_comment(line) || indent(line) > column;
    let all = 1 + lines.iter().skip(1).take_while(is_inside).count();
    let trailing = |line: &&String| is_blank_or_comment(line) && (line.trim().is_empty() || indent(line) <= column);
    all - lines.iter().take(all).skip(1).rev().take_while(trailing).count()
}

fn is_blank_or_comment(line: &str) -> bool {
    file::is_blank(line)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Sets one of an item's fields, or removes it; a new one goes below `sha256`.
fn set_field(lines: &mut Vec<String>, column: usize, newline: &str, name: &str, value: Option<&str>) -> Option<()> {
    let found = find_field(lines, column, name);
    match (found, value) {
        (None, None) => {}
        // The first field shares its line with the dash.
        (Some(place), None) if place.start == 0 => return None,
        (Some(place), None) => drop(lines.drain(place)),
        (Some(place), Some(value)) => {
            let old = lines.get(place.start)?;
            // None of these values holds a `#`, so this is a comment. A value of several lines has none at its end.
            let comment =
                if place.len() == 1 { old.trim_end().find(" #").and_then(|at| old.trim_end().get(at..)) } else { None };
            let new = format!("{}{name}: {value}{}{newline}", old.get(..column)?, comment.unwrap_or_default());
            lines.splice(place, [new]);
        }
        (None, Some(value)) => {
            let end = find_field(lines, column, "sha256")?.end;
            lines.insert(end, format!("{:column$}{name}: {value}{newline}", ""));
        }
    }
    Some(())
}

fn find_field(lines: &[String], column: usize, name: &str) -> Option<Range<usize>> {
    let is_field = |(index, line): (usize, &String)| {
        let rest = line.get(column..).and_then(|rest| rest.strip_prefix(name));
        (index == 0 || indent(line) == column) && rest.is_some_and(|rest| rest.starts_with(':'))
    };
    let start = lines.iter().enumerate().position(is_field)?;
    let mut end = start + extent(lines.get(start..)?, column);
    // A comment after the field speaks of the next one, however it is indented.
    while end > start + 1 && lines.get(end - 1).is_some_and(|line| is_blank_or_comment(line)) {
        end -= 1;
    }
    Some(start..end)
}

/// An item's lines, its dash in that column.
fn item(entry: &KeyEntry, dash: usize, newline: &str) -> Vec<String> {
    let key = &entry.key;
    let list = |items: &mut dyn Iterator<Item = String>| format!("[{}]", items.collect::<Vec<_>>().join(", "));
    let fields = [
        ("id", Some(scalar(&key.id))),
        ("sha256", Some(digest(&key.digest))),
        ("previous", previous(entry)),
        ("kind", (key.kind == KeyKind::Publishable).then(|| "publishable".to_owned())),
        ("plan", entry.plan.as_deref().map(scalar)),
        (
            "allowed_origins",
            key.allowed_origins().map(|origins| list(&mut origins.patterns().map(|origin| scalar(&origin)))),
        ),
        ("chatflows", key.chatflows.as_ref().map(|names| list(&mut names.iter().map(|name| scalar(name))))),
        (
            "allowed_ips",
            (!key.allowed_ips().is_empty())
                .then(|| list(&mut key.allowed_ips().iter().map(|net| scalar(&net.to_string())))),
        ),
        ("upsert", key.upsert.then(|| "true".to_owned())),
        ("vars", (!key.vars.is_empty()).then(|| json(&map(&key.vars)))),
        ("expires_at", key.expires_at.map(|time| time.to_string())),
        ("enabled", (!key.enabled).then(|| "false".to_owned())),
        ("end_streams", key.end_streams.then(|| "true".to_owned())),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .enumerate()
        .map(|(index, (name, value))| {
            let lead = if index == 0 { "- " } else { "  " };
            format!("{:dash$}{lead}{name}: {value}{newline}", "")
        })
        .collect()
}

fn map(vars: &[(Box<str>, serde_json::Value)]) -> serde_json::Map<String, serde_json::Value> {
    vars.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

fn previous(entry: &KeyEntry) -> Option<String> {
    entry.key.previous().as_ref().map(|(old, until)| format!("{{ sha256: {}, until: {until} }}", digest(old)))
}

/// In quotes if it could be taken for a number.
fn digest(digest: &Digest) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    if hex.contains(['a', 'b', 'c', 'd', 'f']) { hex } else { format!("\"{hex}\"") }
}

/// A string that YAML reads as that string, also inside `[]` and `{}`.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain { text.to_owned() } else { json(&text) }
}

/// JSON is YAML, save for characters that YAML does not print or takes for line breaks; those are escaped.
fn json<T: serde::Serialize>(value: &T) -> String {
    let mut safe = String::new();
    // Strings and maps with string keys always serialise; an empty text would be noticed when it is read back.
    for character in serde_json::to_string(value).unwrap_or_default().chars() {
        match character {
            '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
