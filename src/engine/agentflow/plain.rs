//! Conditions compare texts without their Markdown, removed as the library remove-markdown does it.

mod blocks;
mod links;
mod marks;

use std::sync::LazyLock;

use fancy_regex::Regex;

use self::blocks::{without_bullets, without_code_blocks, without_headings, without_quotes};
use self::links::{without_backticks, without_images, without_links, without_tildes};
use self::marks::{without_fences, without_footnotes, without_stars, without_underscores};

/// What goes, in this order.
enum Removal {
    /// What is replaced by what. None of these looks back or ahead, so each reads a text once.
    Pattern(&'static str, &'static str),
    Scan(fn(&str) -> String),
}

use Removal::{Pattern, Scan};

const STEPS: &[Removal] = &[
    // Rules.
    Pattern(r"(?m)^ {0,3}((?:-[\t ]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,})(?:\n+|$)", ""),
    // What lists begin with.
    Scan(without_bullets),
    Pattern(r"\n={2,}", "\n"),
    Pattern(r"~{3}.*\n", ""),
    Pattern("~~", ""),
    Scan(without_code_blocks),
    Pattern(r"<[^>]*>", ""),
    Pattern(r"^[=\-]{2,}\s*$", ""),
    // Footnotes, images, links, quotes.
    Scan(without_footnotes),
    Pattern(r"\s{0,2}\[.*?\]: .*?$", ""),
    Scan(without_images),
    Scan(without_links),
    Scan(without_quotes),
    Pattern(r"^\s{1,2}\[(.*?)\]: (\S+)( .*?)?\s*$", ""),
    // Headings.
    Scan(without_headings),
    // Emphasis and code.
    Scan(without_stars),
    Scan(without_underscores),
    Scan(without_fences),
    Scan(without_backticks),
    Scan(without_tildes),
];

/// Of each step that is a pattern.
static PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let compiled = |step: &Removal| if let Pattern(from, _) = step { Regex::new(from).ok() } else { None };
    STEPS.iter().map(compiled).collect()
});

/// The text without Markdown.
pub(super) fn of(text: &str) -> String {
    let mut text = text.to_owned();
    // Most values are plain words.
    if !text.contains(['-', '*', '_', '+', '=', '~', '`', '<', '[', '>', '#', '.']) {
        return text;
    }
    for (step, pattern) in STEPS.iter().zip(PATTERNS.iter()) {
        match (step, pattern) {
            (Scan(scan), _) => text = scan(&text),
            (Pattern(_, to), Some(pattern)) => text = pattern.replace_all(&text, *to).into_owned(),
            (Pattern(..), None) => {}
        }
    }
    text
}

/// As the library's pattern does it.
#[cfg(test)]
fn by_pattern(pattern: &str, to: &str, text: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, to).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        let is_one = |(step, pattern): (&Removal, &Option<Regex>)| matches!(step, Scan(_)) || pattern.is_some();
        assert!(STEPS.iter().zip(PATTERNS.iter()).all(is_one));
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

    /// Repeated, these were read anew from each of their places.
    #[test]
    fn long_texts_are_read_once() {
        for (piece, plain) in [("__a_ ", "_a "), ("![", "!["), ("[^", "[^"), ("**a* ", "*a "), ("[a](\n", "[a](\n")] {
            let text = of(&piece.repeat(60_000));
            assert!(text.len() >= plain.len() * 60_000 - 2, "{piece} {}", text.len());
        }
    }
}
