//! JSON as people write it: comments, single quotes, commas too many, backslashes before brackets.
//!
//! JSON with references in it can be read by this alone; what models write is worse, see `nodes/parsers/repair.rs`.

use serde_json::Value;

use super::{BARE, END, MARK};
use crate::wire::json;

/// # Errors
/// What is wrong with the text, as JSON.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let strict = json::read_str(text);
    let Err(error) = strict else { return strict.map_err(|error| error.to_string()) };
    for mended in [mended(text), mended(&unescaped(text))] {
        if let Ok(value) = json::read_str(&mended) {
            return Ok(value);
        }
    }
    Err(error.to_string())
}

/// Without backslashes before brackets, braces and quotes.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_superfluous =
            letter == '\\' && letters.peek().is_some_and(|next| matches!(next, '"' | '\'' | '[' | ']' | '{' | '}'));
        if !is_superfluous {
            out.push(letter);
        }
    }
    out
}

fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        rest = match letter {
            '"' | '\'' => string(letter, after, &mut out),
            '/' if after.starts_with('/') => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            '/' if after.starts_with('*') => after.split_once("*/").map_or("", |(_, after)| after),
            ',' if after.trim_start().starts_with([']', '}']) => after,
            '\\' if after.starts_with(['[', ']', '{', '}']) => after,
            MARK => {
                let (at, after) = after.split_once(END).unwrap_or((after, ""));
                out.extend(['"', BARE]);
                out.push_str(at);
                out.extend([END, '"']);
                after
            }
            letter if letter.is_alphabetic() || matches!(letter, '_' | '$') => word(rest, &mut out),
            letter => {
                out.push(letter);
                after
            }
        };
    }
    out
}

/// A text in either kind of quotes, into double ones; what comes after it.
fn string<'t>(quote: char, text: &'t str, out: &mut String) -> &'t str {
    out.push('"');
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => {
                out.push('"');
                return text.get(at + 1..).unwrap_or_default();
            }
            '\\' => match letters.next() {
                Some((_, '\'')) => out.push('\''),
                Some((_, next @ ('[' | ']' | '{' | '}'))) => out.push(next),
                Some((_, next)) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
    ""
}

/// A word: a name without its quotes, or one of JSON's own.
fn word<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if after.trim_start().starts_with(':') {
        out.extend(["\"", word, "\""]);
    } else {
        out.push_str(word);
    }
    after
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, value) in [
            (r#"[{"item": "abc"}]"#, json!([{ "item": "abc" }])),
            (r#"\[{"item": "abc"}\]"#, json!([{ "item": "abc" }])),
            ("{a: 1, 'b': 'it\\'s', // why\n c: [1, 2,],}", json!({ "a": 1, "b": "it's", "c": [1, 2] })),
            (r#"{\"a\": \"b\"}"#, json!({ "a": "b" })),
            ("{a: 'say \"x\"', e: 1.5e3, t: true}", json!({ "a": "say \"x\"", "e": 1500.0, "t": true })),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
        assert!(parse("{").is_err());
        assert!(parse("no json").is_err());
        // What lies too deep is no more than wrong, and what is long is read once.
        for text in ["[".repeat(100_000), "{a:".repeat(100_000), ",".repeat(500_000), "/* ".repeat(200_000)] {
            assert!(parse(&text).is_err());
        }
        let long = format!("[{}]", "{a: 'b'},".repeat(200_000));
        assert_eq!(parse(&long).unwrap().as_array().map(Vec::len), Some(200_000));
    }
}
