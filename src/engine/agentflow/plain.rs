//! Conditions compare texts without their Markdown, removed as the library remove-markdown does it.

use std::sync::LazyLock;

use fancy_regex::Regex;

/// What is replaced by what, in this order.
const STEPS: &[(&str, &str)] = &[
    // Rules.
    (r"(?m)^ {0,3}((?:-[\t ]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,})(?:\n+|$)", ""),
    // What lists begin with.
    (r"(?m)^([\s\t]*)([\*\-\+]|\d+\.)\s+", "$1"),
    (r"\n={2,}", "\n"),
    (r"~{3}.*\n", ""),
    ("~~", ""),
    (r"```(?:.*)\n\s*([\s\S]*?)\s*```", "$1"),
    (r"<[^>]*>", ""),
    (r"^[=\-]{2,}\s*$", ""),
    // Footnotes, images, links, quotes.
    (r"\[\^.+?\](\: .*?$)?", ""),
    (r"\s{0,2}\[.*?\]: .*?$", ""),
    (r"\!\[(.*?)\][\[\(].*?[\]\)]", "$1"),
    (r"\[([\s\S]*?)\]\s*[\(\[](.*?)[\)\]]", "$1"),
    (r"(?m)^(\n)?\s{0,3}>\s?", "$1"),
    (r"^\s{1,2}\[(.*?)\]: (\S+)( .*?)?\s*$", ""),
    // Headings.
    (r"(?m)^(\n)?\s{0,}#{1,6}\s*( (.+))? +#+$|^(\n)?\s{0,}#{1,6}\s*( (.+))?$", "$1$3$4$6"),
    // Emphasis and code.
    (r"([\*]+)(\S)(.*?\S)??\1", "$2$3"),
    (r"(^|\W)([_]+)(\S)(.*?\S)??\2($|\W)", "$1$3$4$5"),
    (r"(?m)(`{3,})(.*?)\1", "$2"),
    ("`(.+?)`", "$1"),
    ("~(.*?)~", "$1"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| STEPS.iter().filter_map(|(from, to)| Some((Regex::new(from).ok()?, *to))).collect());

/// The text without Markdown; a text that cannot be handled within bounds stays from there on.
pub(super) fn of(text: &str) -> String {
    let mut text = text.to_owned();
    // Most values are plain words.
    if !text.contains(['-', '*', '_', '+', '=', '~', '`', '<', '[', '>', '#', '.']) {
        return text;
    }
    for (pattern, to) in PATTERNS.iter() {
        if let Ok(replaced) = pattern.try_replacen(&text, 0, *to) {
            text = replaced.into_owned();
        }
    }
    text
}

/// Whether a pattern, written as Flowise's editor leaves it, is found in a text.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    // The editor puts a backslash before these; one that its author meant is doubled.
    let mut wanted = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match (letter, rest.peek()) {
            ('\\', Some(next @ ('\\' | '[' | ']' | '*'))) => {
                wanted.push(*next);
                rest.next();
            }
            _ => wanted.push(letter),
        }
    }
    Regex::new(&wanted).is_ok_and(|pattern| pattern.is_match(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), STEPS.len());
    }

    /// As remove-markdown 0.6 has them.
    #[test]
    fn markdown_goes() {
        for (marked, plain) in [
            ("SOFTWARE", "SOFTWARE"),
            ("**SOFTWARE**", "SOFTWARE"),
            ("# Head\n\ntext", "Head\n\ntext"),
            ("- a\n- b", "a\nb"),
            ("1. x", "x"),
            ("see [this](http://x) `code` _em_ snake_case", "see this code em snake_case"),
            ("<b>x</b> > y", "x > y"),
            ("```js\nlet a\n```", "let a"),
            ("3.5", "3.5"),
            ("a*b*c", "abc"),
        ] {
            assert_eq!(of(marked), plain, "{marked}");
        }
    }

    #[test]
    fn patterns_are_found_as_the_editor_leaves_them() {
        assert!(matches("order 12", r"\\d+"));
        assert!(matches("cat", r"\[a-c\]at"));
        assert!(matches("foobar", "foo(?=bar)"));
        assert!(!matches("x", "("));
    }
}
