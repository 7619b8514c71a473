//! A model's arguments as their schema wants them, the way that Flowise's library reads them: what is unknown is left
//! out, what is left out has its default, and a value of another type is converted where that can be done.

use serde_json::{Map, Value, json};

use crate::engine::text::javascript::{self, kind_of, parse_float, shown_double};
use crate::engine::text::variables::text_of;
use crate::wire::json;

type IsAllowed = fn(char) -> bool;

/// What the few patterns in Flowise's schemas allow, and what it says of anything else.
const PATTERNS: [(&str, IsAllowed, &str); 2] = [
    (
        "^[A-Za-z0-9_-]+$",
        |letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'),
        "Draft ID must contain only URL-safe characters",
    ),
    ("^\\d+$", |letter| letter.is_ascii_digit(), "Must be a positive number"),
];

/// What is said of what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingWords {
    Plainly,
    /// With its name, as in the schemas that Flowise makes of documents.
    Named,
}

/// The given values as their schema orders them.
///
/// # Errors
/// What is missing or wrong, as Flowise's library lists it.
pub(super) fn fitted(given: &Value, schema: &Value, words: MissingWords) -> Result<Value, String> {
    let mut reading = ArgumentReading { words, path: Vec::new(), issues: Vec::new() };
    let fitted = reading.fit(given, schema);
    let issues = reading.issues;
    if issues.is_empty() {
        return Ok(fitted);
    }
    Err(format!("Received tool input did not match expected schema {:#}", Value::Array(issues)))
}

/// Arguments as they are read.
struct ArgumentReading<'a> {
    words: MissingWords,
    path: Vec<&'a str>,
    issues: Vec<Value>,
}

impl<'a> ArgumentReading<'a> {
    fn fit(&mut self, given: &Value, schema: &'a Value) -> Value {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(given) = of_kind(given, kind) else {
            let received = kind_of(given);
            let message = format!("Expected {kind}, received {received}");
            self.issues.push(json!({ "code": "invalid_type", "expected": kind, "received": received,
                "path": self.path, "message": message }));
            return Value::Null;
        };
        self.issues.extend(wrong(&given, schema, &self.path));
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return given };
        let required = schema.get("required").and_then(Value::as_array);
        let mut fitted = Map::new();
        for (name, schema) in properties {
            self.path.push(name);
            let is_required = required.is_some_and(|required| required.iter().any(|needed| needed == name));
            let value = match (given.get(name), schema.get("default")) {
                (Some(value), _) => Some(self.fit(value, schema)),
                (None, None) if is_required => {
                    self.issues.push(missing(schema, &self.path, self.words));
                    None
                }
                (None, default) => default.cloned(),
            };
            fitted.extend(value.map(|value| (name.clone(), value)));
            self.path.pop();
        }
        fitted.into()
    }
}

/// As a value of that type; `None`: there is no such. What is null stays so: whoever has the tool knows what it means.
fn of_kind(given: &Value, kind: &str) -> Option<Value> {
    match (kind, given) {
        ("string", Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Some(javascript::shown(given).into())
        }
        ("number", Value::String(text)) => {
            let number = parse_float(text);
            json::read_str(&shown_double(number)).ok()
        }
        ("number", Value::Bool(value)) => Some(u8::from(*value).into()),
        ("boolean", Value::String(text)) => match text.to_lowercase().trim() {
            "true" | "1" | "yes" => Some(true.into()),
            "false" | "0" | "no" => Some(false.into()),
            _ => None,
        },
        ("boolean", Value::Number(number)) => Some((number.as_f64() != Some(0.0)).into()),
        ("object", Value::String(text)) => json::read_str::<Value>(text).ok().filter(Value::is_object),
        ("array", Value::String(text)) => json::read_str::<Value>(text).ok().filter(Value::is_array),
        ("number" | "boolean", Value::Array(_) | Value::Object(_))
        | ("object", Value::Array(_) | Value::Number(_) | Value::Bool(_))
        | ("array", Value::Object(_) | Value::Number(_) | Value::Bool(_)) => None,
        _ => Some(given.clone()),
    }
}

/// What is wrong with a value of the right type.
fn wrong(given: &Value, schema: &Value, path: &[&str]) -> Option<Value> {
    let text = given.as_str()?;
    if let Some(options) = schema.get("enum").and_then(Value::as_array).filter(|options| !options.contains(given)) {
        let message = format!("Invalid enum value. Expected {}, received '{text}'", quoted(options));
        return Some(json!({ "received": text, "code": "invalid_enum_value", "options": options, "path": path,
            "message": message }));
    }
    let pattern = schema.get("pattern").and_then(Value::as_str)?;
    let (_, is_allowed, message) = PATTERNS.iter().find(|(known, ..)| *known == pattern)?;
    let is_right = !text.is_empty() && text.chars().all(is_allowed);
    (!is_right).then(|| json!({ "validation": "regex", "code": "invalid_string", "message": message, "path": path }))
}

fn quoted(choices: &[Value]) -> String {
    let choices: Vec<String> = choices.iter().map(|choice| format!("'{}'", text_of(choice))).collect();
    choices.join(" | ")
}

/// One entry of the library's list.
fn missing(schema: &Value, path: &[&str], words: MissingWords) -> Value {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let expected = schema.get("enum").and_then(Value::as_array).map(|choices| quoted(choices));
    let message = match (path.last(), kind) {
        (Some(name), "string" | "boolean") if words == MissingWords::Named && expected.is_none() => {
            format!("{name} required")
        }
        _ => "Required".to_owned(),
    };
    json!({
        "code": "invalid_type",
        "expected": expected.unwrap_or_else(|| kind.to_owned()),
        "received": "undefined",
        "path": path,
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what Flowise 3.1.4 makes of these.
    #[test]
    fn arguments_are_read_as_flowise_reads_them() {
        let schema = json!({ "type": "object", "properties": {
            "id": { "type": "string", "pattern": "^[A-Za-z0-9_-]+$" },
            "most": { "type": "number", "default": 100 },
            "all": { "type": "boolean" },
            "labels": { "type": "array", "items": { "type": "string" } },
            "role": { "type": "string", "enum": ["reader", "owner"] },
        }, "required": ["id"] });
        let read = |given: Value| fitted(&given, &schema, MissingWords::Plainly).map(|fitted| fitted.to_string());
        assert_eq!(read(json!({ "x": 1, "id": "a" })).unwrap(), "{\"id\":\"a\",\"most\":100}");
        let given = json!({ "all": "Yes", "most": "7.0 or so", "id": 5, "labels": "[\"a\"]", "role": "owner" });
        assert_eq!(
            read(given).unwrap(),
            "{\"id\":\"5\",\"most\":7,\"all\":true,\"labels\":[\"a\"],\"role\":\"owner\"}"
        );
        for (given, words) in [
            (json!({}), "Required"),
            (json!({ "id": "../x" }), "Draft ID must contain only URL-safe characters"),
            (json!({ "id": "a", "most": "many" }), "Expected number, received string"),
            (json!({ "id": "a", "role": "x" }), "Invalid enum value. Expected 'reader' | 'owner', received 'x'"),
            (json!("text"), "Expected object, received string"),
        ] {
            let error = read(given).unwrap_err();
            assert!(error.contains(&format!("\"message\": \"{words}\"")), "{error}");
        }
    }
}
