//! How texts are cut into passages, as `LangChain`'s splitters for JavaScript do it: the same cuts, the same
//! overlap, the same numbers of lines. Lengths are those of JavaScript, but only tokens cut a character in half.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::engine::contract::node::{Document, Splitter};
use crate::engine::documents::html::markdown;
use crate::engine::text::javascript::{is_space, length, trim};
use crate::engine::text::size::bytes_of_fields;
use crate::engine::text::tokens::Encoding;

/// Tokens of all passages of a text: an overlap of nearly the whole size repeats each as often as it likes.
const MOST_TOKENS: usize = 1 << 24;

/// Bytes of all passages of a text, for the same reason.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of what is known of documents, which each of their parts has: a short file may say very much of itself.
const MOST_METADATA: usize = 256 << 20;
/// Bytes that are looked through to say which lines passages are: those that are not found again are looked for to the
/// text's end.
const MOST_SEARCHED: usize = 1 << 32;

/// A splitter node.
#[derive(Debug)]
pub(super) struct TextSplitter {
    pub(super) most: usize,
    pub(super) overlap: usize,
    pub(super) method: SplitMethod,
}

#[derive(Debug)]
pub(super) enum SplitMethod {
    /// At one separator, which goes.
    Once(String),
    /// At the first separator that there is, then what is still too long at those after it. Separators stay.
    Recursive(Vec<String>),
    /// As [`Recursive`](Self::Recursive) for Markdown, which the text, HTML, becomes first.
    Html(Vec<String>),
    /// Before Markdown headings of at most that level, whatever the length.
    Headings(usize),
    /// Anywhere between tokens, which lengths and the overlap are counted in.
    Tokens(&'static Encoding),
}

/// `LangChain`'s separators for Markdown.
pub(super) const MARKDOWN: [&str; 13] = [
    "\n## ",
    "\n### ",
    "\n#### ",
    "\n##### ",
    "\n###### ",
    "```\n\n",
    "\n\n***\n\n",
    "\n\n---\n\n",
    "\n\n___\n\n",
    "\n\n",
    "\n",
    " ",
    "",
];
/// `LangChain`'s separators for everything else.
pub(super) const PLAIN: [&str; 4] = ["\n\n", "\n", " ", ""];

/// What the splitter for everything else does.
///
/// # Errors
/// The passages are too many bytes.
pub(crate) fn cut_plainly(text: &str, most: usize, overlap: usize) -> Result<Vec<String>, String> {
    TextSplitter { most, overlap, method: SplitMethod::Recursive(PLAIN.map(str::to_owned).to_vec()) }.split(text)
}

impl Splitter for TextSplitter {
    fn split(&self, text: &str) -> Result<Vec<String>, String> {
        Ok(match &self.method {
            SplitMethod::Once(separator) => {
                let mut passages = SplitPassages::default();
                self.merge(&cut(text, separator), separator, &mut passages)?;
                passages.texts
            }
            SplitMethod::Recursive(separators) => {
                let mut passages = SplitPassages::default();
                self.recursively(text, separators, &mut passages)?;
                passages.texts
            }
            SplitMethod::Html(separators) => {
                let mut passages = SplitPassages::default();
                self.recursively(&markdown(text)?, separators, &mut passages)?;
                passages.texts
            }
            SplitMethod::Headings(level) => by_headings(text, *level),
            SplitMethod::Tokens(encoding) => self.by_tokens(text, encoding)?,
        })
    }

    fn split_documents(&self, documents: &[Document]) -> Result<Vec<Document>, String> {
        let mut split = Vec::new();
        let mut left = MOST_METADATA;
        for document in documents {
            let passages = self.split(&document.text)?;
            left = room_of_parts(left, &document.metadata, passages.len())?;
            let lines = match self.method {
                SplitMethod::Headings(_) => None,
                SplitMethod::Once(_) | SplitMethod::Recursive(_) | SplitMethod::Html(_) | SplitMethod::Tokens(_) => {
                    Some(lines(&document.text, &passages)?)
                }
            };
            let mut lines = lines.into_iter().flatten();
            split.extend(passages.into_iter().map(|text| {
                let mut metadata = document.metadata.clone();
                if let Some((from, to)) = lines.next() {
                    note_lines(&mut metadata, from, to);
                }
                Document { text, metadata }
            }));
        }
        Ok(split)
    }
}

/// Whether each of so many parts may have what is known of their document.
///
/// # Errors
/// It is too much.
pub(super) fn may_have(known: &Map<String, Value>, parts: usize) -> Result<(), String> {
    room_of_parts(MOST_METADATA, known, parts).map(drop)
}

fn room_of_parts(left: usize, known: &Map<String, Value>, parts: usize) -> Result<usize, String> {
    let left = left.checked_sub(bytes_of_fields(known).saturating_mul(parts));
    left.ok_or_else(|| "The metadata of a document is too large for so many parts.".to_owned())
}

/// What a text was cut into so far.
#[derive(Debug, Default)]
struct SplitPassages {
    texts: Vec<String>,
    bytes: usize,
}

impl SplitPassages {
    fn push(&mut self, text: String) -> Result<(), String> {
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            let most = MOST_BYTES / 1024 / 1024;
            return Err(format!("The passages of a text overlap so much that they have more than {most} MiB."));
        }
        self.texts.push(text);
        Ok(())
    }
}

impl TextSplitter {
    fn recursively(&self, text: &str, separators: &[String], passages: &mut SplitPassages) -> Result<(), String> {
        let found = separators.iter().position(|separator| text.contains(separator.as_str()));
        let separator = found.map_or_else(|| separators.last(), |at| separators.get(at)).map_or("", String::as_str);
        let finer = found.filter(|_| !separator.is_empty()).and_then(|at| separators.get(at + 1..));
        let mut short = Vec::new();
        for piece in cut_before(text, separator) {
            if length(piece) < self.most {
                short.push(piece);
                continue;
            }
            self.merge(&std::mem::take(&mut short), "", passages)?;
            match finer {
                Some(finer) => self.recursively(piece, finer, passages)?,
                None => passages.push(piece.to_owned())?,
            }
        }
        self.merge(&short, "", passages)
    }

    fn by_tokens(&self, text: &str, encoding: &Encoding) -> Result<Vec<String>, String> {
        let tokens = encoding.encode(text)?;
        let count = tokens.len().div_ceil(self.most - self.overlap);
        if count.saturating_mul(self.most.min(tokens.len())) > MOST_TOKENS {
            return Err(format!(
                "The passages of a text overlap so much that they have more than {MOST_TOKENS} tokens."
            ));
        }
        let mut passages = Vec::new();
        let mut end = 0;
        while end < tokens.len() {
            let start = if end == 0 { 0 } else { end - self.overlap };
            end = (start + self.most).min(tokens.len());
            passages.push(encoding.decode(tokens.get(start..end).unwrap_or_default()));
        }
        Ok(passages)
    }

    /// Joins pieces to passages that are as long as they may be, each beginning with the end of the one before.
    fn merge(&self, pieces: &[&str], separator: &str, passages: &mut SplitPassages) -> Result<(), String> {
        let separator_length = length(separator);
        let mut held: VecDeque<(&str, usize)> = VecDeque::new();
        let mut total = 0;
        for piece in pieces {
            let new = length(piece);
            let is_too_long =
                |total: usize, held: &VecDeque<_>| total + new + held.len() * separator_length > self.most;
            if is_too_long(total, &held) {
                joined(&held, separator).map_or(Ok(()), |text| passages.push(text))?;
                while total > self.overlap || (total > 0 && is_too_long(total, &held)) {
                    let Some((_, gone)) = held.pop_front() else { break };
                    total -= gone;
                }
            }
            held.push_back((piece, new));
            total += new;
        }
        joined(&held, separator).map_or(Ok(()), |text| passages.push(text))
    }
}

fn joined(held: &VecDeque<(&str, usize)>, separator: &str) -> Option<String> {
    let pieces: Vec<&str> = held.iter().map(|(piece, _)| *piece).collect();
    let text = pieces.join(separator);
    let text = trim(&text);
    (!text.is_empty()).then(|| text.to_owned())
}

fn letters(text: &str) -> Vec<&str> {
    text.char_indices().filter_map(|(at, letter)| text.get(at..at + letter.len_utf8())).collect()
}

/// Without the separators.
fn cut<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    if separator.is_empty() {
        return letters(text);
    }
    text.split(separator).filter(|piece| !piece.is_empty()).collect()
}

/// Each piece but the first begins with a separator. Separators may overlap: of three line breaks, the second and the
/// third are one as well.
fn cut_before<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    if separator.is_empty() {
        return letters(text);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let found = rest.get(first..).and_then(|after| after.find(separator)).map(|at| rest.split_at(first + at));
        match found {
            Some((piece, after)) if first > 0 => {
                pieces.push(piece);
                rest = after;
            }
            _ => break,
        }
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

fn by_headings(text: &str, level: usize) -> Vec<String> {
    let mut sections = Vec::new();
    let mut section: Vec<&str> = Vec::new();
    let close = |section: &mut Vec<&str>| trim(&std::mem::take(section).join("\n")).to_owned();
    for line in text.split('\n') {
        let rest = line.trim_start_matches('#');
        let depth = line.len() - rest.len();
        if (1..=level).contains(&depth) && rest.starts_with(is_space) && !section.is_empty() {
            sections.push(close(&mut section));
        }
        section.push(line);
    }
    sections.push(close(&mut section));
    sections
}

/// `loc.lines` beside whatever else is known of the place.
fn note_lines(metadata: &mut Map<String, Value>, from: i64, to: i64) {
    let mut place = metadata.get("loc").and_then(Value::as_object).cloned().unwrap_or_default();
    place.insert("lines".to_owned(), json!({ "from": from, "to": to }));
    metadata.insert("loc".to_owned(), place.into());
}

/// The first and the last line of each passage. What `LangChain` counts where it does not find a passage again
/// (white space was lost) is counted the same.
fn lines(text: &str, passages: &[String]) -> Result<Vec<(i64, i64)>, String> {
    let mut lines = Vec::with_capacity(passages.len());
    let mut searched = 0;
    let mut line = 1;
    let mut before: Option<(Option<usize>, &str)> = None;
    for passage in passages {
        let from = match before {
            Some((Some(start), _)) => start + text.get(start..).and_then(first_letter).unwrap_or(0),
            _ => 0,
        };
        let start = text.get(from..).and_then(|rest| rest.find(passage.as_str())).map(|at| from + at);
        searched += start.unwrap_or(text.len()).saturating_sub(from);
        if searched > MOST_SEARCHED {
            return Err("The text is too long to say which of its lines its passages are.".to_owned());
        }
        line += match (before, start) {
            (None, Some(start)) => breaks(text, 0, start),
            (None, None) => breaks(text, 0, text.len() - last_letter(text)),
            (Some((previous, passage)), start) => {
                let end = match previous {
                    Some(previous) => previous + passage.len(),
                    None => byte_at(text, length(passage).saturating_sub(1)),
                };
                match start {
                    Some(start) if end < start => breaks(text, end, start),
                    Some(start) => -breaks(text, start, end),
                    None => -breaks(text, text.len() - last_letter(text), end),
                }
            }
        };
        let more = breaks(passage, 0, passage.len());
        lines.push((line, line + more));
        line += more;
        before = Some((start, passage));
    }
    Ok(lines)
}

fn first_letter(text: &str) -> Option<usize> {
    text.chars().next().map(char::len_utf8)
}

fn last_letter(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}

/// Line breaks between two places.
fn breaks(text: &str, from: usize, to: usize) -> i64 {
    let part = text.as_bytes().get(from..to.min(text.len())).unwrap_or_default();
    i64::try_from(memchr::memchr_iter(b'\n', part).count()).unwrap_or(i64::MAX)
}

/// Where a number of UTF-16 units ends.
fn byte_at(text: &str, units: usize) -> usize {
    let mut left = units;
    for (at, letter) in text.char_indices() {
        if left < letter.len_utf16() {
            return at;
        }
        left -= letter.len_utf16();
    }
    text.len()
}

#[cfg(test)]
mod tests;
