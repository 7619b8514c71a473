//! What models answer and pages hold: read, whatever it is.

use super::{markdown, pattern, plain};
use crate::engine::text::mustache::read_json;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_lenient_json() {
    let words = ["//", "/*", "*/", "'", "\"", ",}", ",]", "\\[", "{a:", "{{", "\\'", "true", "NaN"];
    fuzz("json", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let read = read_json(&text);
        // Whoever writes JSON is read as JSON.
        if let Ok(strict) = serde_json::from_str::<serde_json::Value>(&text) {
            assert_eq!(read, Ok(strict));
        }
    });
}

const TEXT_WORDS: [&str; 24] = [
    "![", "](", "[^", "]: ", "**", "__", "_a_ ", "```\n", "~~~", "~~", "# ", " ##", "> ", "- ", "1. ", "<b>", "</b>",
    "<!--", "-->", "<table>", "<td", "&amp;", "<script>", "===",
];

#[test]
fn fuzz_html_to_markdown() {
    fuzz("text", &TEXT_WORDS, |input| {
        markdown::of(&String::from_utf8_lossy(input));
    });
}

#[test]
fn fuzz_markdown_to_text() {
    fuzz("text", &TEXT_WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        plain::of(&text);
    });
}

#[test]
fn fuzz_patterns() {
    let words = ["(a+)+", "\\1", "(?=", "(?<n>", "[^]", "\\d{2,}", "|", "$", "^", "\\\\", ".*", "{1,99999}"];
    fuzz("text", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (pattern, text) = text.split_at(half);
        // Patterns are an author's, and short.
        let pattern: String = pattern.chars().take(64).collect();
        let _ = pattern::is_found_at_once(text, &pattern, 1000);
    });
}
