//! JSON read strictly: what two parsers could understand differently is refused.
//!
//! Duplicate keys (some parsers keep the first, Flowise's keeps the last), names that reach into JavaScript's
//! prototypes, and deep nesting.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Levels of objects and arrays.
const DEEPEST: u32 = 32;

/// Parses a whole body as one object.
pub(super) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| explain(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("The request body must be a JSON object.".to_owned()),
    }
}

fn explain(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            // Ours, with the position appended by serde_json.
            let text = error.to_string();
            format!("The request body is refused: {text}.")
        }
        _ => format!("The request body is not valid JSON (line {}, column {}).", error.line(), error.column()),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: u32,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return Err(E::custom(format_args!("nested deeper than {DEEPEST} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if matches!(name.as_str(), "__proto__" | "constructor" | "prototype") {
                return Err(de::Error::custom(format_args!("the field {name} is not allowed")));
            }
            if map.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the field {} appears twice", shown(&name))));
            }
            let value = entries.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// A client's field name as it may stand in an answer: short and printable.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < name.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        for (body, part) in [
            (r#"{"a":1,"a":2}"#, "the field a appears twice"),
            (r#"{"a":{"b":1,"b":1}}"#, "the field b appears twice"),
            (r#"{"a":{"__proto__":{}}}"#, "the field __proto__ is not allowed"),
            (r#"{"\u005f_proto__":1}"#, "the field __proto__ is not allowed"),
            ("[]", "must be a JSON object"),
            ("{} {}", "not valid JSON"),
            (r#"{"a":"#, "not valid JSON"),
            ("", "not valid JSON"),
        ] {
            let message = parse_object(body.as_bytes()).unwrap_err();
            assert!(message.contains(part), "{body}: {message}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_object(nested(31).as_bytes()).is_ok());
        assert!(parse_object(nested(32).as_bytes()).unwrap_err().contains("nested deeper"));
        assert!(parse_object(nested(100_000).as_bytes()).is_err());
    }
}
