//! Texts with `{{name}}` in them, as the author of a flow writes them.
//!
//! They are read once, when the flow is loaded. A value goes to its place in what was read then, written as that place
//! wants it: there is a method for each place, and none that gives a template back. So what a user says, or a model, or
//! an API, is never taken for a part of what the author wrote, and no `{{...}}` in it is looked at.

mod condition;
mod fields;
mod json;
mod lenient;

pub(crate) use condition::has_names;
pub(crate) use fields::FieldTemplates;
pub(crate) use json::JsonTemplate;
pub(crate) use lenient::parse as read_json;

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::header::secret_header;
use super::percent;

/// Where references stand while the author's text around them is read as something else: noncharacters, which no text
/// has a use for.
const MARK: char = '\u{FDD0}';
const END: char = '\u{FDD1}';
/// A reference that stands where JSON wants a value, without quotation marks.
const BARE: char = '\u{FDD2}';

/// How flows of a generation write references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chatflow,
    /// Within a line, and with braces in a name overlooked.
    Agentflow,
}

/// What names stand for.
pub(crate) trait Names {
    fn find(&self, name: &str) -> Option<Value>;

    /// Texts of files that belong to the question wherever a text refers to it; empty: none.
    #[expect(clippy::unnecessary_literal_bound, reason = "others give what they hold")]
    fn files(&self) -> &str {
        ""
    }

    /// Whether a run may hold so many bytes more. Where it may not, it is over, and a text ends where it is.
    fn has_room(&self, _bytes: usize) -> bool {
        true
    }
}

impl<F: Fn(&str) -> Option<Value>> Names for F {
    fn find(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mustache(Vec<MustachePiece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum MustachePiece {
    Plain(String),
    /// `written`, braces and all, stays where the name is not known.
    Name {
        name: String,
        written: String,
    },
}

impl Mustache {
    /// What an author wrote; never what holds a value that was filled in.
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.find("{{").and_then(|at| rest.split_at_checked(at)) {
            plain.push_str(before);
            let inside = after.get(2..).unwrap_or_default();
            let end = match dialect {
                Dialect::Agentflow => within_line(inside),
                Dialect::Chatflow => inside.find("}}"),
            };
            let Some((written, left)) = end.and_then(|end| after.split_at_checked(end + 4)) else {
                // Nothing there ends a reference, wherever it begins.
                let line = if dialect == Dialect::Agentflow { after.find('\n') } else { None };
                let (reach, left) = after.split_at(line.unwrap_or(after.len()));
                plain.push_str(reach);
                rest = left;
                continue;
            };
            let name = match dialect {
                Dialect::Agentflow => written.replace(['{', '}'], ""),
                Dialect::Chatflow => written.get(2..written.len() - 2).unwrap_or_default().to_owned(),
            };
            if !plain.is_empty() {
                pieces.push(MustachePiece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(MustachePiece::Name { name: name.trim().to_owned(), written: written.to_owned() });
            rest = left;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(MustachePiece::Plain(plain));
        }
        Self(pieces)
    }

    /// A text that refers to nothing, whatever stands in it.
    pub(crate) fn plain(text: &str) -> Self {
        Self(vec![MustachePiece::Plain(text.to_owned())])
    }

    /// In order, with repeats.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            MustachePiece::Name { name, .. } => Some(name.as_str()),
            MustachePiece::Plain(_) => None,
        })
    }

    /// The text, if it refers to nothing.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [MustachePiece::Plain(text)] => Some(text),
            _ => None,
        }
    }

    /// The name, if the text is one reference and nothing else.
    pub(crate) fn alone(&self) -> Option<&str> {
        match self.0.as_slice() {
            [MustachePiece::Name { name, .. }] => Some(name),
            _ => None,
        }
    }

    /// As its author wrote it.
    pub(crate) fn written(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            MustachePiece::Plain(text) => text.as_str(),
            MustachePiece::Name { written, .. } => written,
        });
        pieces.collect()
    }

    /// In a text for people and models.
    pub(crate) fn text(&self, names: &dyn Names) -> String {
        let text = self.written_by(names, |value| value.into());
        let files = names.files();
        if files.is_empty() || !self.names().any(|name| name == "question") {
            return text;
        }
        format!("{files}\n\n{text}")
    }

    /// In the value of that header. In cookies a value is a part of one cookie.
    ///
    /// # Errors
    /// A value has a line break or other letters that cannot stand there.
    pub(crate) fn header(&self, header: &HeaderName, names: &dyn Names) -> Result<HeaderValue, String> {
        let is_cookie = *header == COOKIE;
        let text = self.written_by(names, |value| if is_cookie { percent::cookie(value).into() } else { value.into() });
        secret_header(&text).map_err(|_| "a value cannot stand in a header".to_owned())
    }

    /// In a path and its query: each value is a part of one segment, name or value of them.
    ///
    /// # Errors
    /// A value makes a segment `.` or `..`, which servers take for a step in the path however it is encoded (RFC 3986,
    /// section 6.2.2.2).
    pub(crate) fn address(&self, names: &dyn Names) -> Result<String, String> {
        let filled = self.written_by(names, |value| percent::component(value).into());
        if percent::steps(&filled) && !percent::steps(&self.written()) {
            return Err(percent::STEP.to_owned());
        }
        Ok(filled)
    }

    /// In a body of a form, whose names and `=` the author wrote.
    pub(crate) fn form(&self, names: &dyn Names) -> String {
        self.written_by(names, |value| percent::form(value).into())
    }

    /// In XML or HTML, as text or in quotation marks.
    pub(crate) fn markup(&self, names: &dyn Names) -> String {
        self.written_by(names, |value| {
            let marks = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
            marks.iter().fold(value.to_owned(), |text, (mark, named)| text.replace(mark, named)).into()
        })
    }

    /// In a regular expression: a value matches itself.
    pub(crate) fn pattern(&self, names: &dyn Names) -> String {
        self.written_by(names, |value| {
            let mut out = String::new();
            for unit in value.encode_utf16() {
                let _ = write!(out, "\\u{unit:04X}");
            }
            out.into()
        })
    }

    /// Whether it would be a form, whatever its references stand for: a name comes first, and `=` behind it.
    pub(crate) fn looks_like_form(&self) -> bool {
        let marked = self.marked();
        let is_name = |name: &str| {
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '"' | '{' | '(' | '&'))
        };
        marked.trim().split_once('=').is_some_and(|(name, _)| is_name(name))
    }

    /// The value itself where the text is nothing but a reference into what a node gave, as in agentflows; else the text.
    pub(crate) fn value(&self, names: &dyn Names) -> Value {
        let whole = self.alone().filter(|name| name.contains(".output.")).and_then(|name| names.find(name));
        whole.unwrap_or_else(|| self.text(names).into())
    }

    /// With the author's text read as something else; references stay references.
    pub(crate) fn reworded(&self, reword: impl FnOnce(&str) -> String) -> Self {
        self.remarked(&reword(&self.marked()))
    }

    /// In two, where `end` says of the author's text.
    pub(crate) fn cut(&self, end: impl FnOnce(&str) -> Option<usize>) -> Option<(Self, Self)> {
        let marked = self.marked();
        let (before, after) = marked.split_at_checked(end(&marked)?)?;
        Some((self.remarked(before), self.remarked(after)))
    }

    fn written_by(&self, names: &dyn Names, write: impl Fn(&str) -> Cow<'_, str>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            // A few references to something long are soon more than a run may hold; who asks for the text looks again.
            if !names.has_room(out.len()) {
                break;
            }
            match piece {
                MustachePiece::Plain(text) => out.push_str(text),
                MustachePiece::Name { name, written } => match names.find(name) {
                    Some(Value::String(value)) => out.push_str(&write(&value)),
                    Some(value) => out.push_str(&write(&value.to_string())),
                    None => out.push_str(written),
                },
            }
        }
        out
    }

    /// The author's text with a mark in each place.
    fn marked(&self) -> String {
        let mut out = String::new();
        for (at, piece) in self.0.iter().enumerate() {
            match piece {
                MustachePiece::Plain(text) => {
                    out.extend(text.chars().filter(|letter| !matches!(*letter, MARK | END | BARE)));
                }
                MustachePiece::Name { .. } => {
                    let _ = write!(out, "{MARK}{at}{END}");
                }
            }
        }
        out
    }

    /// Out of a text with marks.
    fn remarked(&self, marked: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = marked;
        while let Some((plain, after)) = rest.split_once(MARK) {
            let (at, left) = after.split_once(END).unwrap_or((after, ""));
            if !plain.is_empty() {
                pieces.push(MustachePiece::Plain(plain.to_owned()));
            }
            pieces.extend(at.parse().ok().and_then(|at: usize| self.0.get(at)).cloned());
            rest = left;
        }
        if !rest.is_empty() {
            pieces.push(MustachePiece::Plain(rest.to_owned()));
        }
        Self(pieces)
    }

    /// The reference that a [`BARE`] mark stands for.
    fn bare(&self, marked: &str) -> Option<Self> {
        let at: usize = marked.strip_prefix(BARE)?.strip_suffix(END)?.parse().ok()?;
        Some(Self(vec![self.0.get(at)?.clone()]))
    }
}

/// Where the first `}}` is, if that comes before the line's end. No more is looked at: a line may have very many.
fn within_line(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| bytes.get(*at) == Some(&b'\n') || bytes.get(at + 1) == Some(&b'}');
    let end = memchr::memchr2_iter(b'\n', b'}', bytes).find(ends)?;
    (bytes.get(end) == Some(&b'}')).then_some(end)
}

#[cfg(test)]
mod tests;
