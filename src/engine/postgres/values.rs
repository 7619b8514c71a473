//! Values of a database as Node's client reads them, by the types of their columns.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Map, Number, Value, json};

use crate::engine::text::javascript::{self, parse_float};
use crate::wire::json::read_str;

// Numbers of types (`pg_type`).
const BOOL: u32 = 16;
const BYTES: u32 = 17;
const TEXT: u32 = 25;
const JSON: u32 = 114;
const JSON_BYTES: u32 = 3802;
const POINT: u32 = 600;
const FLOAT: u32 = 701;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMP_OF_ZONE: u32 = 1184;
const INTERVAL: u32 = 1186;
const INTEGER: u32 = 23;
/// Types of lists, each with the type of what it holds; all others are texts.
const LISTS: &[(u32, u32)] = &[
    (1000, BOOL),
    (1001, BYTES),
    (1005, INTEGER),
    (1007, INTEGER),
    (1028, INTEGER),
    (1017, POINT),
    (1021, FLOAT),
    (1022, FLOAT),
    (1231, FLOAT),
    (1115, TIMESTAMP),
    (1182, DATE),
    (1185, TIMESTAMP_OF_ZONE),
    (1187, INTERVAL),
    (199, JSON),
    (3807, JSON),
    (1016, TEXT),
    (651, TEXT),
    (1014, TEXT),
    (1015, TEXT),
    (1008, TEXT),
    (1009, TEXT),
    (1040, TEXT),
    (1041, TEXT),
    (3907, TEXT),
    (2951, TEXT),
    (791, TEXT),
    (1183, TEXT),
    (1270, TEXT),
];
/// Lists in lists.
const DEEPEST: usize = 8;

/// What it becomes as JSON. Dates are texts, as JSON has them.
pub(crate) fn value(kind: u32, text: &str) -> Value {
    match kind {
        BOOL => (text == "t").into(),
        21 | INTEGER | 26 => text.parse::<i64>().map_or(Value::Null, Value::from),
        700 | FLOAT => Number::from_f64(parse_float(text)).map_or(Value::Null, Value::Number),
        DATE | TIMESTAMP | TIMESTAMP_OF_ZONE => date(text).map_or_else(|| text.into(), written),
        JSON | JSON_BYTES => read_str(text).unwrap_or_default(),
        BYTES => json!({ "type": "Buffer", "data": bytes(text) }),
        POINT => point(text).unwrap_or_default(),
        INTERVAL => interval(text),
        _ => match LISTS.iter().find(|(list, _)| *list == kind) {
            Some((_, of)) => list(*of, text).unwrap_or_else(|| text.into()),
            None => text.into(),
        },
    }
}

/// Whether it is a date for JavaScript.
pub(crate) fn is_date(kind: u32) -> bool {
    matches!(kind, DATE | TIMESTAMP | TIMESTAMP_OF_ZONE)
}

/// What stands in a text that JavaScript puts a value into.
pub(crate) fn shown(kind: u32, text: Option<&str>) -> String {
    let Some(text) = text else { return "null".to_owned() };
    if is_date(kind) {
        let shown =
            |date: Timestamp| date.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)").to_string();
        return date(text).map_or_else(|| text.to_owned(), shown);
    }
    match value(kind, text) {
        Value::Object(_) if kind == BYTES => String::from_utf8_lossy(&bytes(text)).into_owned(),
        value => in_text(&value),
    }
}

fn in_text(value: &Value) -> String {
    match value {
        Value::Object(_) => "[object Object]".to_owned(),
        Value::Array(items) => {
            let shown = |item: &Value| if item.is_null() { String::new() } else { in_text(item) };
            items.iter().map(shown).collect::<Vec<_>>().join(",")
        }
        value => javascript::shown(value),
    }
}

/// A date without a zone is one of UTC.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(date) = text.parse::<Timestamp>() {
        return Some(date);
    }
    let date: DateTime = text.parse().ok()?;
    date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|date| date.timestamp())
}

fn written(date: Timestamp) -> Value {
    date.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into()
}

/// Hexadecimal digits behind `\x`.
fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("\\x").unwrap_or_default().as_bytes();
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? * 16 + digit(pair.get(1)?)?);
    digits.chunks(2).filter_map(pair).collect()
}

fn point(text: &str) -> Option<Value> {
    let (x, y) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some(json!({ "x": parse_float(x), "y": parse_float(y) }))
}

/// `1 year 2 mons 3 days 04:05:06.789`, without what is nothing.
fn interval(text: &str) -> Value {
    let mut parts = Map::new();
    let mut put = |name: &str, number: f64| {
        if number != 0.0 {
            parts.insert(name.to_owned(), json!(number));
        }
    };
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if !word.contains(':') {
            let unit = words.next().unwrap_or_default();
            let names = [("year", "years"), ("mon", "months"), ("day", "days")];
            if let Some((_, name)) = names.iter().find(|(beginning, _)| unit.starts_with(beginning)) {
                put(name, parse_float(word));
            }
            continue;
        }
        let sign = if word.starts_with('-') { -1.0 } else { 1.0 };
        let mut fields = word.trim_start_matches(['-', '+']).split(':').map(parse_float);
        put("hours", sign * fields.next().unwrap_or_default());
        put("minutes", sign * fields.next().unwrap_or_default());
        let seconds = fields.next().unwrap_or_default();
        put("seconds", sign * seconds.trunc());
        put("milliseconds", sign * (seconds.fract() * 1e6).round() / 1e3);
    }
    parts.into()
}

/// `{1,"a \"b\"",NULL,{2}}`.
fn list(of: u32, text: &str) -> Option<Value> {
    // Bounds may stand before it: `[0:1]={1,2}`.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let mut rest = text.strip_prefix('{')?;
    let items = items(of, &mut rest, 0)?;
    rest.is_empty().then_some(items)
}

fn items(of: u32, rest: &mut &str, depth: usize) -> Option<Value> {
    let mut found = Vec::new();
    if depth >= DEEPEST {
        return None;
    }
    while !rest.starts_with('}') {
        if let Some(inner) = rest.strip_prefix('{') {
            *rest = inner;
            found.push(items(of, rest, depth + 1)?);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut letters = quoted.char_indices();
            let end = loop {
                match letters.next()? {
                    (_, '\\') => text.push(letters.next()?.1),
                    (at, '"') => break at,
                    (_, letter) => text.push(letter),
                }
            };
            *rest = quoted.get(end + 1..)?;
            found.push(value(of, &text));
        } else {
            let end = rest.find([',', '}'])?;
            let (text, after) = rest.split_at_checked(end)?;
            *rest = after;
            found.push(if text == "NULL" { Value::Null } else { value(of, text) });
        }
        *rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    *rest = rest.get(1..)?;
    Some(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_nodes_client() {
        for (kind, text, expected) in [
            (16, "t", json!(true)),
            (23, "-7", json!(-7)),
            (20, "9007199254740993", json!("9007199254740993")),
            (1700, "1.50", json!("1.50")),
            (701, "1e3", json!(1000.0)),
            (701, "NaN", json!(null)),
            (1082, "2026-01-02", json!("2026-01-02T00:00:00.000Z")),
            (1114, "2026-01-02 03:04:05.6789", json!("2026-01-02T03:04:05.678Z")),
            (1184, "2026-01-02 03:04:05+05:30", json!("2026-01-01T21:34:05.000Z")),
            (1184, "infinity", json!("infinity")),
            (3802, "{\"a\": [1]}", json!({ "a": [1] })),
            (17, "\\x6869", json!({ "type": "Buffer", "data": [104, 105] })),
            (600, "(1,2.5)", json!({ "x": 1.0, "y": 2.5 })),
            (
                1186,
                "1 year 2 mons -3 days 04:05:06.789",
                json!({ "years": 1.0, "months": 2.0, "days": -3.0, "hours": 4.0, "minutes": 5.0, "seconds": 6.0, "milliseconds": 789.0 }),
            ),
            (1007, "{{1,2},{3,NULL}}", json!([[1, 2], [3, null]])),
            (1009, "{a,\"b \\\"c\\\\\",\"\",NULL,\"NULL\"}", json!(["a", "b \"c\\", "", null, "NULL"])),
            (1009, "[0:1]={a,b}", json!(["a", "b"])),
            (1009, "{a", json!("{a")),
            (1009, "{}", json!([])),
        ] {
            assert_eq!(value(kind, text), expected, "{kind} {text}");
        }
        assert_eq!(value(1007, &"{".repeat(1000)), json!("{".repeat(1000)));
    }

    #[test]
    fn texts_show_them_as_javascript_does() {
        for (kind, text, expected) in [
            (
                1184,
                Some("2026-01-02 03:04:05.678+00"),
                "Fri Jan 02 2026 03:04:05 GMT+0000 (Coordinated Universal Time)",
            ),
            (114, Some("{}"), "[object Object]"),
            (1007, Some("{1,NULL,3}"), "1,,3"),
            (17, Some("\\x6869"), "hi"),
            (701, Some("1"), "1"),
            (25, None, "null"),
        ] {
            assert_eq!(shown(kind, text), expected, "{kind}");
        }
    }
}
