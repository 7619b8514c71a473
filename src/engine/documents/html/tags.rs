//! Pieces of HTML: tags, texts, comments, and what is text whatever is in it.

/// A piece, and what comes after it.
pub(super) enum HtmlPiece<'t> {
    Begin(BeginTag<'t>),
    End(String),
    Text(&'t str),
    /// As it stands, even if it looks like a reference.
    Plain(&'t str),
    Nothing,
}

pub(super) struct BeginTag<'t> {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) closes_itself: bool,
    _text: &'t str,
}

/// Attributes of one tag.
const MOST_ATTRIBUTES: usize = 256;

/// The next piece of a text that is not empty. `is_foreign`: within drawings and formulas.
pub(super) fn next(rest: &str, is_foreign: bool) -> (HtmlPiece<'_>, &str) {
    let Some(at) = memchr::memchr(b'<', rest.as_bytes()) else { return (HtmlPiece::Text(rest), "") };
    if at > 0 {
        let (text, after) = rest.split_at(at);
        return (HtmlPiece::Text(text), after);
    }
    let inside = rest.get(1..).unwrap_or_default();
    if let Some(comment) = inside.strip_prefix("!--") {
        return (HtmlPiece::Nothing, after_comment(comment));
    }
    if let Some(text) = inside.strip_prefix("![CDATA[").filter(|_| is_foreign) {
        let (text, after) = text.split_once("]]>").unwrap_or((text, ""));
        return (HtmlPiece::Plain(text), after);
    }
    if let Some(end) = inside.strip_prefix('/') {
        if end.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let (tag, after) = tag(end);
            return (HtmlPiece::End(tag.name), after);
        }
        let after = end.split_once('>').map_or("", |(_, after)| after);
        return (HtmlPiece::Nothing, after);
    }
    if inside.starts_with(['!', '?']) {
        return (HtmlPiece::Nothing, inside.split_once('>').map_or("", |(_, after)| after));
    }
    if !inside.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        let (text, after) = rest.split_at(1);
        return (HtmlPiece::Text(text), after);
    }
    let (tag, after) = tag(inside);
    (HtmlPiece::Begin(tag), after)
}

fn after_comment(comment: &str) -> &str {
    if let Some(after) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
        return after;
    }
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(comment.as_bytes().get(from..).unwrap_or_default(), b"--") {
        let after = comment.get(from + at + 2..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('>').or_else(|| after.strip_prefix("!>")) {
            return after;
        }
        from += at + 1;
    }
    ""
}

/// A tag from its name on.
fn tag(inside: &str) -> (BeginTag<'_>, &str) {
    let is_end = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '>' | '/');
    let (name, mut rest) = inside.split_at(inside.find(is_end).unwrap_or(inside.len()));
    let mut tag =
        BeginTag { name: name.to_ascii_lowercase(), attributes: Vec::new(), closes_itself: false, _text: inside };
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        if let Some(after) = rest.strip_prefix('/') {
            tag.closes_itself = after.starts_with('>');
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return (tag, "");
        }
        let (name, value, after) = attribute(rest);
        if tag.attributes.len() < MOST_ATTRIBUTES && !tag.attributes.iter().any(|(known, _)| *known == name) {
            tag.attributes.push((name, htmlize::unescape_attribute(value).into_owned()));
        }
        rest = after;
    }
}

fn attribute(rest: &str) -> (String, &str, &str) {
    let is_end = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '>' | '/' | '=');
    // A name may begin with an equals sign.
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let length = rest.get(first..).and_then(|rest| rest.find(is_end)).map_or(rest.len(), |end| first + end);
    let (name, after) = rest.split_at(length);
    let spaced = after.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
    let Some(value) = spaced.strip_prefix('=') else { return (name.to_ascii_lowercase(), "", after) };
    let value = value.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
    for quote in ['"', '\''] {
        if let Some(inside) = value.strip_prefix(quote) {
            let (value, after) = inside.split_once(quote).unwrap_or((inside, ""));
            return (name.to_ascii_lowercase(), value, after);
        }
    }
    let end = value.find(|letter: char| letter.is_ascii_whitespace() || letter == '>').unwrap_or(value.len());
    let (value, after) = value.split_at(end);
    (name.to_ascii_lowercase(), value, after)
}

/// The text of an element whose content is none but text, and what comes after its end tag.
pub(super) fn raw<'t>(name: &str, rest: &'t str) -> (&'t str, &'t str) {
    if name == "plaintext" {
        return (rest, "");
    }
    let mut comment = ScriptComment::None;
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'<', b'-', rest.as_bytes().get(from..).unwrap_or_default()) {
        let begin = from + at;
        let here = rest.get(begin..).unwrap_or_default();
        from = begin + 1;
        if name == "script" {
            comment = comment.after(here);
        }
        let Some(end) = here.strip_prefix("</").filter(|end| is_tag(end, name)) else { continue };
        if comment == ScriptComment::InnerScript {
            comment = ScriptComment::Plain;
            continue;
        }
        let (_, after) = tag(end);
        return (rest.get(..begin).unwrap_or_default(), after);
    }
    (rest, "")
}

fn is_tag(text: &str, name: &str) -> bool {
    let is_named = text.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let after = text.get(name.len()..).unwrap_or_default();
    let is_end = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '>' | '/');
    is_named && (after.is_empty() || after.starts_with(is_end))
}

/// In a comment of a script, a script that begins there has an end tag of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScriptComment {
    None,
    Plain,
    InnerScript,
}

impl ScriptComment {
    fn after(self, here: &str) -> Self {
        match self {
            Self::None if here.starts_with("<!--") => Self::Plain,
            Self::Plain if here.strip_prefix('<').is_some_and(|tag| is_tag(tag, "script")) => Self::InnerScript,
            Self::Plain | Self::InnerScript if here.starts_with("-->") => Self::None,
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_apart() {
        let (HtmlPiece::Begin(tag), after) = next("<A b='c'd=e/ F g = \"&lt;\" b=x />rest", false) else {
            panic!("a tag")
        };
        let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tag.name, "a");
        let attributes = [attribute("b", "c"), attribute("d", "e/"), attribute("f", ""), attribute("g", "<")];
        assert_eq!(tag.attributes, attributes);
        assert!(tag.closes_itself && after == "rest");
        for broken in ["<", "<a", "<a b", "<a b=", "<a b='", "</", "</a", "<!", "<!--", "<?", "<![CDATA["] {
            let mut rest = broken;
            while !rest.is_empty() {
                rest = next(rest, true).1;
            }
        }
    }
}
