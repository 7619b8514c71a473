//! Texts by name as YAML, as `js-yaml` 4 writes them.

use serde_json::{Map, Value};

/// Letters of a line before it is folded.
const WIDTH: usize = 78;
/// What would be read as something else than a text.
const WORDS: &[&str] = &[
    "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~", "<<", "y", "Y", "yes", "Yes",
    "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF", ".nan", ".NaN", ".NAN", ".inf", ".Inf",
    ".INF",
];

/// A line for each.
pub(super) fn front_matter(fields: &Map<String, Value>) -> String {
    let field = |(name, value): (&String, &Value)| {
        let value = value.as_str().unwrap_or_default();
        let name = if is_plain(name) { name.clone() } else { quoted(name) };
        format!("{name}: {}\n", scalar(value))
    };
    fields.iter().map(field).collect()
}

fn scalar(text: &str) -> String {
    let is_odd = |letter: char| letter.is_control() && letter != '\n';
    let is_long = text.split('\n').any(|line| line.chars().count() > WIDTH && !line.starts_with(' '));
    if text.contains(is_odd) {
        Value::from(text).to_string()
    } else if is_long {
        block('>', text, &folded(text))
    } else if text.contains('\n') {
        block('|', text, text)
    } else if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    if text.contains(char::is_control) {
        Value::from(text).to_string()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether a text stands for itself without quotation marks.
fn is_plain(text: &str) -> bool {
    let begins_badly = |letter: char| "-?:,[]{}#&*!|=>'\"%@`".contains(letter) || letter.is_whitespace();
    !text.is_empty()
        && !WORDS.contains(&text)
        && !is_number(text)
        && !is_date(text)
        && !text.starts_with(begins_badly)
        && !text.ends_with(|letter: char| letter == ':' || letter.is_whitespace())
        && !text.contains(char::is_control)
        && !text.contains(": ")
        && !text.contains(" #")
}

/// Numbers, those of sixty seconds to the minute among them.
fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.trim_start_matches(['-', '+']);
    let is_of = |prefix: &str, radix: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(radix)))
    };
    let has_digit = digits.contains(|letter: char| letter.is_ascii_digit());
    let is_decimal = digits.chars().all(|letter| letter.is_ascii_digit() || ".eE+-".contains(letter));
    let is_sixties =
        digits.contains(':') && digits.chars().all(|letter| letter.is_ascii_digit() || ":.".contains(letter));
    (has_digit && is_decimal && plain.parse::<f64>().is_ok())
        || (has_digit && is_sixties)
        || is_of("0x", 16)
        || is_of("0o", 8)
        || is_of("0b", 2)
}

fn is_date(text: &str) -> bool {
    let (Some(day), Some(rest)) = (text.get(..10), text.get(10..)) else { return false };
    let is_day = day.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let time = rest.trim_start_matches(['T', 't', ' ', '\t']);
    is_day && (rest.is_empty() || (time.len() < rest.len() && time.starts_with(|letter: char| letter.is_ascii_digit())))
}

/// A text in lines of its own.
fn block(sign: char, text: &str, lines: &str) -> String {
    let indent = if text.starts_with(' ') { "2" } else { "" };
    let end = match (text.ends_with('\n'), text.ends_with("\n\n") || text == "\n") {
        (_, true) => "+",
        (true, false) => "",
        (false, false) => "-",
    };
    let lines = lines.strip_suffix('\n').unwrap_or(lines).split('\n');
    let lines = lines.map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    format!("{sign}{indent}{end}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Long lines are cut at their spaces; where lines end, there are more ends.
fn folded(text: &str) -> String {
    let mut rest = text;
    let mut is_further_in = text.starts_with(['\n', ' ']);
    let mut out = String::new();
    loop {
        let end = rest.find('\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        out.push_str(&cut(line));
        let next = after.trim_start_matches('\n');
        if after.is_empty() {
            return out;
        }
        out.push_str(after.get(..after.len() - next.len()).unwrap_or_default());
        let indents = next.starts_with(' ');
        if !is_further_in && !indents && !next.is_empty() {
            out.push('\n');
        }
        is_further_in = indents;
        rest = next;
    }
}

/// A line, cut before the words that do not fit.
fn cut(line: &str) -> String {
    if line.is_empty() || line.starts_with(' ') {
        return line.to_owned();
    }
    let letters: Vec<char> = line.chars().collect();
    let is_gap = |at: &usize| letters.get(*at) == Some(&' ') && letters.get(at + 1).is_some_and(|next| *next != ' ');
    let (mut start, mut last) = (0, 0);
    let mut lines: Vec<String> = Vec::new();
    let piece = |from: usize, to: usize| letters.get(from..to).unwrap_or_default().iter().collect::<String>();
    for gap in (0..letters.len()).filter(is_gap) {
        if gap - start > WIDTH {
            let end = if last > start { last } else { gap };
            lines.push(piece(start, end));
            start = end + 1;
        }
        last = gap;
    }
    if letters.len() - start > WIDTH && last > start {
        lines.push(piece(start, last));
        start = last + 1;
    }
    lines.push(piece(start, letters.len()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what `js-yaml` 4 wrote.
    #[test]
    fn texts_are_written_as_js_yaml_writes_them() {
        let words = |count: usize| vec!["word"; count].join(" ");
        for (text, written) in [
            ("Owl", "Owl"),
            ("", "''"),
            ("12", "'12'"),
            ("2024-01-01", "'2024-01-01'"),
            ("2024-01-01T10:00:00.000Z", "'2024-01-01T10:00:00.000Z'"),
            ("2024-01-01 - 2024-01-02", "2024-01-01 - 2024-01-02"),
            ("[\"a\", \"b\"]", "'[\"a\", \"b\"]'"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("a\nb", "|-\n  a\n  b"),
            ("x:", "'x:'"),
            ("true", "'true'"),
            ("a #b", "'a #b'"),
            ("https://a.example/x?y=1", "https://a.example/x?y=1"),
            ("- a", "'- a'"),
            ("a, b", "a, b"),
            ("a {b}", "a {b}"),
            ("50%", "50%"),
            ("@x", "'@x'"),
            ("~", "'~'"),
            ("a\n", "|\n  a"),
            (&words(30), &format!(">-\n  {}\n  {}", words(15), words(15))),
            (&"x".repeat(100), &format!(">-\n  {}", "x".repeat(100))),
            (&format!("{}\n\nnext", words(20)), &format!(">-\n  {}\n  {}\n\n\n  next", words(15), words(5))),
        ] {
            assert_eq!(scalar(text), written, "{text:?}");
        }
        let fields = serde_json::json!({ "Key: x": "v", "Name": "a" });
        assert_eq!(front_matter(fields.as_object().unwrap()), "'Key: x': v\nName: a\n");
    }
}
