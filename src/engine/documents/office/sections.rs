//! How Flowise guesses where a slide or a section ends, once all of a file is one text.

use fancy_regex::Regex;

use crate::engine::text::javascript::{length, trim};

/// JavaScript's `\s`.
const SPACE: &str = r"[\t\n\x0b\x0c\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]";

/// What may stand between; the first that gives a sensible number of parts counts. `_` is a space.
struct Guesses {
    separators: &'static [&'static str],
    /// Parts that are too many.
    most: usize,
    /// Where none of them does: what to cut at, and how long a part would have to be for the next not to be tried.
    plain: &'static [(&'static str, usize)],
}

const SLIDES: Guesses = Guesses {
    separators: &[
        r"\n_*[Ss][Ll][Ii][Dd][Ee]_+[0-9]+",
        r"\n_*[Pp][Aa][Gg][Ee]_+[0-9]+",
        r"\n_*[0-9]+_*/_*[0-9]+",
        r"\n_*\x5f{3,}",
        r"\n_*-{3,}",
    ],
    most: 100,
    plain: &[(r"\n_*\n_*\n", 10)],
};

const SECTIONS: Guesses = Guesses {
    separators: &[
        r"\n_*[Pp][Aa][Gg][Ee]_+[0-9]+",
        r"\n_*[Ss][Ee][Cc][Tt][Ii][Oo][Nn]_+[0-9]+",
        r"\n_*[Cc][Hh][Aa][Pp][Tt][Ee][Rr]_+[0-9]+",
        r"\n_*[0-9]+\._+",
        r"\n_*[A-Z](?:[A-Z]|_){2,}\n",
        r"\n_*\x5f{5,}",
        r"\n_*-{5,}",
    ],
    most: 50,
    plain: &[(r"\n_*\n_*\n_*\n", 20), (r"\n_*\n_*\n", 10)],
};

/// Slides of a presentation.
pub(crate) fn slides(text: &str) -> Vec<String> {
    parts(text, &SLIDES)
}

/// Sections of a Word file.
pub(crate) fn sections(text: &str) -> Vec<String> {
    parts(text, &SECTIONS)
}

fn parts(text: &str, guesses: &Guesses) -> Vec<String> {
    let sensible = guesses.separators.iter().map(|separator| cut(text, separator));
    let mut found =
        sensible.into_iter().find(|parts| parts.len() > 1 && parts.len() < guesses.most).unwrap_or_default();
    for (separator, least) in guesses.plain {
        if found.is_empty() {
            found = cut(text, separator);
        }
        if found.iter().all(|part| length(trim(part)) < *least) {
            found = Vec::new();
        }
    }
    if found.is_empty() {
        found = vec![text];
    }
    found.into_iter().map(trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn cut<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    // They are all of this file's own.
    let Ok(separator) = Regex::new(&separator.replace('_', SPACE)) else { return vec![text] };
    separator.split(text).collect::<Result<_, _>>().unwrap_or_else(|_| vec![text])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_separator_is_a_pattern() {
        for guesses in [&SLIDES, &SECTIONS] {
            let all = guesses.separators.iter().chain(guesses.plain.iter().map(|(separator, _)| separator));
            for separator in all {
                assert!(Regex::new(&separator.replace('_', SPACE)).is_ok(), "{separator}");
            }
        }
    }

    #[test]
    fn slides_are_guessed_as_flowise_guesses_them() {
        assert_eq!(slides("The first title\nsLide 2\nmore"), ["The first title", "more"]);
        assert_eq!(slides("The first title\n\u{a0}1 / 2\nb\n____\nc"), ["The first title", "b\n____\nc"]);
        assert_eq!(slides("The first title\n___ two"), ["The first title", "two"]);
        assert_eq!(slides("a long first part\n \n\na long second part"), ["a long first part", "a long second part"]);
        // What is short is not cut.
        assert_eq!(slides("Title\nSlide 2\nmore"), ["Title\nSlide 2\nmore"]);
        assert_eq!(slides(" \n "), Vec::<String>::new());
    }

    #[test]
    fn sections_are_guessed_as_flowise_guesses_them() {
        let intro = "An introduction to it";
        let of = |rest: &str| sections(&format!("{intro}{rest}"));
        assert_eq!(of("\nChapter 1\ntext\nPage 2 more"), [&format!("{intro}\nChapter 1\ntext"), "more"]);
        assert_eq!(of("\n1. first\n2. second"), [intro, "first", "second"]);
        assert_eq!(of("\nTHE END\nof it"), [intro, "of it"]);
        assert_eq!(of("\n\n\n\nmore"), [intro, "more"]);
        assert_eq!(sections("short\n\n\n\nparts"), ["short\n\n\n\nparts"]);
        assert_eq!(sections("some words\n\n\nmore"), ["some words", "more"]);
    }
}
