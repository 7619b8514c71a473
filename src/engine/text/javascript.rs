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

/// What kind of JSON it is, as schemas name them.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether `if (value)` passes it by.
pub(crate) fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
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

/// `parseFloat(text)`: the number that a text starts with.
pub(crate) fn parse_float(text: &str) -> f64 {
    let text = text.trim_start_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with("Infinity") {
        return sign * f64::INFINITY;
    }
    let number = decimal(digits);
    number.parse::<f64>().map_or(f64::NAN, |number| sign * number)
}

/// As much of a text as is a decimal number: digits, with a point among, before or behind them, and a power.
fn decimal(text: &str) -> &str {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())
    };
    let sign_at = |at: usize, signs: &[char]| text.get(at..).is_some_and(|rest| rest.starts_with(signs));
    let whole = digits(0);
    let mut end = if sign_at(whole, &['.']) { digits(whole + 1) } else { whole };
    if end == 0 || text.get(..end) == Some(".") {
        return "";
    }
    if sign_at(end, &['e', 'E']) {
        let power = end + 1 + usize::from(sign_at(end + 1, &['-', '+']));
        let last = digits(power);
        end = if last > power { last } else { end };
    }
    text.get(..end).unwrap_or_default()
}

/// `Number(text)`: the number that a text is; of none it is 0.
pub(crate) fn number_of(text: &str) -> f64 {
    let text = trim(text);
    let radix = |(prefix, radix): (&str, u32)| {
        let digits = text.strip_prefix(prefix).or_else(|| text.strip_prefix(&prefix.to_uppercase()))?;
        let value = |letter: char| letter.to_digit(radix).map(f64::from);
        let whole = digits.chars().try_fold(0.0, |sum, letter| Some(sum * f64::from(radix) + value(letter)?));
        Some(whole.filter(|_| !digits.is_empty()).unwrap_or(f64::NAN))
    };
    if text.is_empty() {
        return 0.0;
    }
    if let Some(number) = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(radix) {
        return number;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits == "Infinity" || decimal(digits) == digits { parse_float(text) } else { f64::NAN }
}

/// `String(number)`.
pub(crate) fn shown_double(number: f64) -> String {
    match Number::from_f64(number) {
        Some(number) => shown_number(&number),
        None if number.is_nan() => "NaN".to_owned(),
        None if number > 0.0 => "Infinity".to_owned(),
        None => "-Infinity".to_owned(),
    }
}

/// `String(value)` of what stands in a list: lists lose their brackets, and nothing is shown of `null`.
pub(crate) fn listed(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let shown = |item: &Value| if item.is_null() { String::new() } else { listed(item) };
            items.iter().map(shown).collect::<Vec<_>>().join(",")
        }
        value => shown(value),
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
    fn numbers_are_read_as_node_reads_them() {
        for (text, number) in [
            ("12abc", 12.0),
            (" 1e3x", 1000.0),
            ("\u{a0}-.5e1", -5.0),
            ("0x10", 0.0),
            ("5.", 5.0),
            ("1e", 1.0),
            ("1.2.3", 1.2),
            ("-Infinityx", f64::NEG_INFINITY),
            ("1e400", f64::INFINITY),
            ("9007199254740993", 9_007_199_254_740_992.0),
        ] {
            assert_eq!(parse_float(text).to_bits(), number.to_bits(), "{text}");
        }
        for text in ["", "abc", "-", "+", ".", "e5", "--5", "١", "inf", "NaN"] {
            assert!(parse_float(text).is_nan(), "{text}");
        }
        for (text, number) in
            [("", 0.0_f64), (" 0x10 ", 16.0), ("0b11", 3.0), ("1e3", 1000.0), ("-.5", -0.5), ("5.", 5.0)]
        {
            assert_eq!(number_of(text).to_bits(), number.to_bits(), "{text}");
        }
        for text in ["12abc", "0x", "-0x10", "1e", ".", "inf", "nan", "1 2"] {
            assert!(number_of(text).is_nan(), "{text}");
        }
        assert_eq!([shown_double(-0.0), shown_double(1e21), shown_double(f64::INFINITY)], ["0", "1e+21", "Infinity"]);
        assert_eq!(listed(&json!([1, [2, null], "x", { "a": 1 }])), "1,2,,x,{\"a\":1}");
    }

    #[test]
    fn numbers_and_objects_are_shown_as_node_shows_them() {
        let value: Value = serde_json::from_str("[1.0, 1.5, -0.0, 1e21, 1e-7, 12345678901234567890]").unwrap();
        assert_eq!(json(&value), "[1,1.5,0,1e+21,1e-7,12345678901234567000]");
        assert_eq!(json(&json!({ "b": 1, "10": 2, "2": [null, "x"] })), r#"{"2":[null,"x"],"10":2,"b":1}"#);
        assert_eq!([shown(&json!("x")), shown(&json!(true)), shown(&json!(2.0))], ["x", "true", "2"]);
    }
}
