//! Rows of a CSV file among files of any kind, read as `d3-dsv` reads them: only commas part fields, what is missing at a
//! row's end is empty, and so is a line without a letter.

use serde_json::{Map, Value};

use super::{End, MOST_BYTES, TOO_LONG};
use crate::engine::text::javascript::{entries, trim};

/// One text a row: `name: value` lines.
pub(in crate::engine::nodes::retrieval) fn texts(file: &str) -> Result<Vec<String>, String> {
    let mut rows = rows(trim(file)).into_iter();
    // Of columns with one name the last counts, at the place of the first.
    let mut columns = Map::new();
    for (at, name) in rows.next().unwrap_or_default().into_iter().enumerate() {
        columns.insert(name, at.into());
    }
    let columns: Vec<(&str, usize)> = entries(&columns).into_iter().filter_map(placed).collect();
    let repeated: usize = columns.iter().map(|(name, _)| name.len() + ": \n".len()).sum();
    if repeated.saturating_mul(rows.len()) > MOST_BYTES {
        return Err(TOO_LONG.to_owned());
    }
    let text = |row: Vec<String>| {
        let line = |(name, at): &(&str, usize)| format!("{name}: {}", row.get(*at).map_or("", |value| trim(value)));
        columns.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    Ok(rows.map(text).collect())
}

fn placed<'a>((name, at): (&'a String, &Value)) -> Option<(&'a str, usize)> {
    Some((trim(name), usize::try_from(at.as_u64()?).ok()?))
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut rest) = (Vec::new(), Vec::new(), text);
    while !text.is_empty() {
        let (field, end, after) = field(rest);
        row.push(field);
        rest = after;
        if end != End::Field {
            rows.push(std::mem::take(&mut row));
        }
        if end == End::File {
            break;
        }
    }
    rows
}

/// A field, what ended it, and what comes after.
fn field(text: &str) -> (String, End, &str) {
    let behind = |at: usize| text.get(at..).unwrap_or_default();
    let Some(inside) = text.strip_prefix('"') else {
        let at = text.find([',', '\n', '\r']).unwrap_or(text.len());
        let (end, after) = ended(behind(at));
        return (text.get(..at).unwrap_or_default().to_owned(), end, after);
    };
    let mut from = 0;
    while let Some(quote) = inside.get(from..).and_then(|rest| rest.find('"')).map(|at| from + at) {
        let after = inside.get(quote + 1..).unwrap_or_default();
        if !after.starts_with('"') {
            let (end, after) = ended(after);
            return (inside.get(..quote).unwrap_or_default().replace("\"\"", "\""), end, after);
        }
        from = quote + 2;
    }
    (inside.replace("\"\"", "\""), End::File, "")
}

/// What stands behind a field; any letter but a line break is taken for a comma.
fn ended(after: &str) -> (End, &str) {
    let mut letters = after.chars();
    match letters.next() {
        None => (End::File, ""),
        Some('\n') => (End::Row, letters.as_str()),
        Some('\r') => (End::Row, letters.as_str().strip_prefix('\n').unwrap_or(letters.as_str())),
        Some(_) => (End::Field, letters.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what `d3-dsv` 2 and LangChain's loader made of them.
    #[test]
    fn rows_are_told_as_flowise_tells_them() {
        for (file, expected) in [
            ("a,b\n1,2\n\n 3 \n", vec!["a: 1\nb: 2", "a: \nb: ", "a: 3\nb: "]),
            ("a;b\n1;2", vec!["a;b: 1;2"]),
            ("b,2021,2020\nx,1,2", vec!["2020: 2\n2021: 1\nb: x"]),
            ("a,a\n1,2", vec!["a: 2"]),
            ("a,b\r\n\"x\"\"y\n\",2\r\"open,1", vec!["a: x\"y\nb: 2", "a: open,1\nb: "]),
            ("a,b\n\"x\"y,1", vec!["a: x\nb: "]),
            ("a", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(texts(file).unwrap(), expected, "{file:?}");
        }
    }

    #[test]
    fn files_are_bounded() {
        let wide =
            format!("{}\n{}", (0..50_000).map(|at| at.to_string()).collect::<Vec<_>>().join(","), "1\n".repeat(50_000));
        assert_eq!(texts(&wide).unwrap_err(), TOO_LONG);
        assert_eq!(texts(&"\"".repeat(300_001)).unwrap().len(), 0);
        assert_eq!(texts(&"x\n".repeat(200_000)).unwrap().len(), 199_999);
    }
}
