//! Rows of a CSV file, read as Papa Parse reads them: the separator is guessed, and what is no valid CSV still has rows.

pub(super) mod commas;

use std::collections::{HashMap, HashSet};

use crate::engine::text::javascript::trim;

/// Tried in this order.
const SEPARATORS: [char; 6] = [',', '\t', '|', ';', '\u{1e}', '\u{1f}'];
/// Rows that the separator is guessed from.
const LOOKED_AT: usize = 10;

/// Of all texts of a file. A row is told with the names of all columns, so few bytes may become very many.
const MOST_BYTES: usize = 128 * 1024 * 1024;
const TOO_LONG: &str = "The rows of the CSV file are too long.";

/// One text a row: `name: value` lines, or only one column's value.
pub(super) fn texts(file: &str, column: Option<&str>) -> Result<Vec<String>, String> {
    let file = trim(file);
    let line_break = line_break(file);
    let separator = separator(file, line_break);
    let rows = rows(file, separator, line_break, usize::MAX);
    let count = rows.len();
    let mut rows = rows.into_iter();
    let names = named_once(&rows.next().unwrap_or_default());
    let Some(column) = column else {
        let line = |(name, value): (&String, Option<&String>)| {
            let name = Some(trim(name)).filter(|name| !name.is_empty()).unwrap_or("_0");
            format!("{name}: {}", value.map_or("undefined", |value| trim(value)))
        };
        let repeated: usize = names.iter().map(|name| name.len() + ": \n".len()).sum();
        if repeated.saturating_mul(count) > MOST_BYTES {
            return Err(TOO_LONG.to_owned());
        }
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
    let given: HashSet<&String> = names.iter().collect();
    let mut taken: HashSet<String> = HashSet::with_capacity(names.len());
    let mut numbers: HashMap<&String, usize> = HashMap::new();
    let unique = |name| {
        let number = numbers.entry(name).or_default();
        let mut new = name.clone();
        while taken.contains(&new) || (*number > 0 && given.contains(&new)) {
            *number += 1;
            new = format!("{name}_{number}");
        }
        taken.insert(new.clone());
        new
    };
    names.iter().map(unique).collect()
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
    let mut fields = CsvFields { text: file, at: 0, separator, line_break, next_separator: None, next_break: None };
    loop {
        let (field, end) = fields.next();
        row.push(field);
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

/// Fields one after the other. Where the next separator and the next line break are is looked for once: each may be far
/// behind many of the other.
struct CsvFields<'t> {
    text: &'t str,
    at: usize,
    separator: char,
    line_break: &'t str,
    next_separator: Option<usize>,
    next_break: Option<usize>,
}

impl CsvFields<'_> {
    /// The next field, and what ended it.
    fn next(&mut self) -> (String, End) {
        let (separator, line_break) = (self.separator, self.line_break);
        let text = self.text.get(self.at..).unwrap_or_default();
        if let Some(inside) = text.strip_prefix('"') {
            let (field, end, after) = quoted(inside, separator, line_break);
            self.at = self.text.len() - after.len();
            return (field, end);
        }
        let place = |known: Option<usize>, found: &dyn Fn(&str) -> Option<usize>| match known {
            Some(place) if place >= self.at => place,
            _ => found(text).map_or(usize::MAX, |found| self.at + found),
        };
        let to_separator = place(self.next_separator, &|text| text.find(separator));
        let to_break = place(self.next_break, &|text| text.find(line_break));
        let (place, end, mark) = match to_separator.min(to_break) {
            usize::MAX => (self.text.len(), End::File, 0),
            place if place == to_break => (place, End::Row, line_break.len()),
            place => (place, End::Field, separator.len_utf8()),
        };
        let field = self.text.get(self.at..place).unwrap_or_default().to_owned();
        (self.next_separator, self.next_break) = (Some(to_separator), Some(to_break));
        self.at = place + mark;
        (field, end)
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each field by itself, as it is defined.
    fn slowly(text: &str, separator: char, line_break: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut rest) = (Vec::new(), Vec::new(), text);
        loop {
            let line = rest.find(separator).map_or(rest, |at| &rest[..at]);
            let (field, end, after) = match (rest.strip_prefix('"'), line.find(line_break), rest.find(separator)) {
                (Some(inside), ..) => quoted(inside, separator, line_break),
                (None, Some(at), _) => (rest[..at].to_owned(), End::Row, &rest[at + line_break.len()..]),
                (None, None, Some(at)) => (rest[..at].to_owned(), End::Field, &rest[at + separator.len_utf8()..]),
                (None, None, None) => (rest.to_owned(), End::File, ""),
            };
            row.push(field);
            rest = after;
            if end != End::Field {
                rows.push(std::mem::take(&mut row));
            }
            if end == End::File {
                return rows;
            }
        }
    }

    proptest! {
        #[test]
        fn fields_are_cut_where_they_end(text in "(a|,|;|\"|\"\"| |\r\n|\n|\r|\u{e9}){1,20}") {
            for line_break in ["\n", "\r\n", "\r"] {
                prop_assert_eq!(rows(&text, ',', line_break, usize::MAX), slowly(&text, ',', line_break));
            }
        }
    }

    /// Separators that are not there, or far away, are not looked for anew in each row.
    #[test]
    fn long_files_are_read_once() {
        let lines = "x\n".repeat(200_000);
        assert_eq!(texts(&lines, None).unwrap().len(), 199_999);
        let fields = ",".repeat(200_000);
        assert_eq!(rows(&fields, ',', "\n", usize::MAX)[0].len(), 200_001);
        let names = named_once(&vec!["a".to_owned(); 50_000]);
        assert_eq!(names.last().unwrap(), "a_49999");
        let wide = format!("{}\n{}", ",".repeat(50_000), "1\n".repeat(50_000));
        assert_eq!(texts(&wide, None).unwrap_err(), "The rows of the CSV file are too long.");
    }

    #[test]
    fn columns_of_one_name_get_numbers() {
        let names = ["a", "a", "a_1", "b", "a"].map(str::to_owned);
        assert_eq!(named_once(&names), ["a", "a_2", "a_1", "b", "a_3"]);
    }
}
