//! Rows of a CSV file, read as Papa Parse reads them: the separator is guessed, and what is no valid CSV still has rows.

use super::javascript::trim;

/// Tried in this order.
const SEPARATORS: [char; 6] = [',', '\t', '|', ';', '\u{1e}', '\u{1f}'];
/// Rows that the separator is guessed from.
const LOOKED_AT: usize = 10;

/// One text a row: `name: value` lines, or only one column's value.
pub(super) fn texts(file: &str, column: Option<&str>) -> Result<Vec<String>, String> {
    let file = trim(file);
    let line_break = line_break(file);
    let separator = separator(file, line_break);
    let mut rows = rows(file, separator, line_break, usize::MAX).into_iter();
    let names = named_once(&rows.next().unwrap_or_default());
    let Some(column) = column else {
        let line = |(name, value): (&String, Option<&String>)| {
            let name = Some(trim(name)).filter(|name| !name.is_empty()).unwrap_or("_0");
            format!("{name}: {}", value.map_or("undefined", |value| trim(value)))
        };
        let text = |row: Vec<String>| {
            let values = row.iter().map(Some).chain(std::iter::repeat(None));
            names.iter().zip(values).map(line).collect::<Vec<_>>().join("\n")
        };
        return Ok(rows.map(text).collect());
    };
    let at = names.iter().position(|name| name == column);
    let at = at.ok_or_else(|| format!("Column {column} not found in CSV file."))?;
    let value = |(number, row): (usize, Vec<String>)| {
        let missing = || format!("Expected string, at position {number} got undefined");
        row.into_iter().nth(at).ok_or_else(missing)
    };
    rows.enumerate().map(value).collect()
}

/// The second of two columns of one name gets a number.
fn named_once(names: &[String]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut new = name.clone();
        let mut number = 0;
        while unique.contains(&new) || (number > 0 && names.contains(&new)) {
            number += 1;
            new = format!("{name}_{number}");
        }
        unique.push(new);
    }
    unique
}

/// Of the file's first mebibyte, without what is quoted.
fn line_break(file: &str) -> &'static str {
    let mut is_quoted = false;
    let (mut feeds_first, mut returns) = (0, 0);
    let mut letters = file.chars().take(1024 * 1024).peekable();
    let mut has_feed_before_return = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\n' if !is_quoted && returns == 0 => has_feed_before_return = true,
            '\r' if !is_quoted => {
                returns += 1;
                feeds_first += usize::from(letters.peek() == Some(&'\n'));
            }
            _ => {}
        }
    }
    match returns {
        0 => "\n",
        _ if has_feed_before_return => "\n",
        returns if 2 * feeds_first > returns => "\r\n",
        _ => "\r",
    }
}

/// The one that gives rows of the most even length, and of those the longest.
fn separator(file: &str, line_break: &str) -> char {
    let mut best: Option<(usize, f64, char)> = None;
    for separator in SEPARATORS {
        let lengths: Vec<usize> = rows(file, separator, line_break, LOOKED_AT).iter().map(Vec::len).collect();
        let uneven = lengths.windows(2).map(|pair| pair.iter().copied().reduce(usize::abs_diff).unwrap_or(0)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let average = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
        let is_better =
            |(least, longest, _): (usize, f64, char)| uneven < least || (uneven == least && average > longest);
        if average > 1.99 && best.is_none_or(is_better) {
            best = Some((uneven, average, separator));
        }
    }
    best.map_or(',', |(_, _, separator)| separator)
}

/// At most so many rows.
fn rows(file: &str, separator: char, line_break: &str, most: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if file.is_empty() {
        return rows;
    }
    let mut row = Vec::new();
    let mut rest = file;
    loop {
        let (field, end, after) = field(rest, separator, line_break);
        row.push(field);
        rest = after;
        if end != End::Field {
            rows.push(std::mem::take(&mut row));
        }
        if end == End::File || rows.len() >= most {
            return rows;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Row,
    File,
}

/// The first field, what ended it, and what comes behind.
fn field<'t>(text: &'t str, separator: char, line_break: &str) -> (String, End, &'t str) {
    if let Some(inside) = text.strip_prefix('"') {
        return quoted(inside, separator, line_break);
    }
    let to_separator = text.find(separator);
    let line = to_separator.and_then(|at| text.get(..at)).unwrap_or(text);
    let (end, length, mark) = match (line.find(line_break), to_separator) {
        (Some(at), _) => (End::Row, at, line_break.len()),
        (None, Some(at)) => (End::Field, at, separator.len_utf8()),
        (None, None) => (End::File, text.len(), 0),
    };
    let (field, after) = text.split_at(length);
    (field.to_owned(), end, after.get(mark..).unwrap_or_default())
}

/// Behind the first quote. A quote that nothing but spaces parts from the end of the field closes it; two are one; any
/// other is text.
fn quoted<'t>(text: &'t str, separator: char, line_break: &str) -> (String, End, &'t str) {
    let mut field = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        let (before, from) = rest.split_at(at);
        field.push_str(before);
        let after = from.get(1..).unwrap_or_default();
        if after.is_empty() {
            return (field, End::File, "");
        }
        if let Some(left) = after.strip_prefix('"') {
            field.push('"');
            rest = left;
            continue;
        }
        let spaces = after.len() - after.trim_start_matches([' ', '\t']).len();
        for skipped in [0, spaces] {
            let behind = after.get(skipped..).unwrap_or_default();
            if let Some(left) = behind.strip_prefix(separator) {
                return (field, End::Field, left);
            }
            if let Some(left) = behind.strip_prefix(line_break) {
                return (field, End::Row, left);
            }
        }
        field.push('"');
        rest = after;
    }
    field.push_str(rest);
    (field, End::File, "")
}
