//! Texts of others in YAML that is written: always in quotation marks, so that nothing in them means anything.

use std::fmt::Write as _;

use crate::unprintable::is_unprintable;

/// Bytes of a key as it is written, below what YAML allows (1.2.2, section 7.4.2).
const LONGEST_KEY: usize = 1000;

/// For a file that expands `${NAME}`.
pub(super) fn quoted(text: &str) -> String {
    plain(&text.replace("${", "$${"))
}

/// For a file in which nothing is expanded.
pub(super) fn plain(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if is_unfit(letter) => _ = write!(quoted, "\\U{:08x}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a text can be a key: YAML bounds those that stand on a line with their value.
pub(super) fn is_key(text: &str) -> bool {
    plain(text).len() <= LONGEST_KEY
}

/// A list of texts on one line.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// A text for a comment or a table: one line, not pages of it.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|letter| if is_unfit(letter) { ' ' } else { letter }).take(most).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

/// Also what YAML does not take.
fn is_unfit(letter: char) -> bool {
    is_unprintable(letter) || u32::from(letter) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_it_is_it_stays_one_text() {
        for text in [
            "",
            "a: b",
            "- x",
            "\"'\\",
            "a\nb\r\u{85}\u{2028}\t\u{0}\u{7f}",
            "${HOME}",
            "$${x}",
            "#",
            "😀\u{feff}\u{fffe}",
        ] {
            let yaml = format!("c: {{ f: {} }}", plain(text));
            let read = crate::config::load::credentials(&yaml).unwrap();
            assert_eq!(read["c"]["f"].expose(), text, "{yaml}");
        }
        assert_eq!(quoted("${A}"), "\"$${A}\"");
        assert_eq!(one_line("a\nb\u{202e}c", 60), "a b c");
        assert_eq!(one_line(&"x".repeat(70), 60).chars().count(), 61);
    }
}
