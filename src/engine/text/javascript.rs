//! What JavaScript does differently, where a flow's author can see it: lengths, white space, numbers, order of keys.

use serde_json::{Map, Number, Value};

/// `text.length`: UTF-16 units.
pub(crate) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// What `trim` removes and `\s` matches.
pub(crate) fn is_space(letter: char) -> bool {
    (letter.is_whitespace() && letter != '\u{85}') || letter == '\u{feff}'
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Keys that are array indices come first, in order of number; then the others, as written.
pub(crate) fn entries(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let index = |key: &str| key.parse::<u32>().ok().filter(|number| *number < u32::MAX && number.to_string() == key);
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| index(key).map_or(u64::MAX, u64::from));
    entries
}

/// `String(value)`, where a list or an object is JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => shown_number(number),
        Value::Array(_) | Value::Object(_) => json(value),
        value => value.to_string(),
    }
}

/// `JSON.stringify(value)`.
pub(crate) fn json(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Number(number) => shown_number(number),
        Value::Array(items) => format!("[{}]", list(items.iter().map(json).collect())),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{}:{}", Value::from(key.as_str()), json(value));
            format!("{{{}}}", list(entries(fields).into_iter().map(field).collect()))
        }
        value => value.to_string(),
    }
}

/// Every number is a double: `1.0` is shown as `1`, and large ones with an exponent.
fn shown_number(number: &Number) -> String {
    let Some(double) = number.as_f64() else { return number.to_string() };
    if double == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&double.abs()) {
        return double.to_string();
    }
    let text = format!("{double:e}");
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_are_utf_16_and_white_space_is_javascripts() {
        assert_eq!([length("aé"), length("😀"), length("")], [2, 2, 0]);
        assert_eq!(trim("\u{feff}\u{a0} a \n"), "a");
        assert_eq!(trim("\u{85}a"), "\u{85}a");
    }

    #[test]
    fn numbers_and_objects_are_shown_as_node_shows_them() {
        let value: Value = serde_json::from_str("[1.0, 1.5, -0.0, 1e21, 1e-7, 12345678901234567890]").unwrap();
        assert_eq!(json(&value), "[1,1.5,0,1e+21,1e-7,12345678901234567000]");
        assert_eq!(json(&json!({ "b": 1, "10": 2, "2": [null, "x"] })), r#"{"2":[null,"x"],"10":2,"b":1}"#);
        assert_eq!([shown(&json!("x")), shown(&json!(true)), shown(&json!(2.0))], ["x", "true", "2"]);
    }
}
