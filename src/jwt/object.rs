//! JSON objects, read so that no two readers can understand them differently.
//!
//! A name that stands there twice is refused (RFC 8725, section 2.4 speaks of such tricks), and so is half a character,
//! which Rust's texts cannot hold. Depth and number of values are bounded.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of objects and lists.
const DEEPEST: u32 = 16;
/// Values, all in all. Providers that name a person's groups name up to some hundreds.
const MOST_VALUES: u32 = 5000;

/// One object and nothing behind it; `None`: it is something else.
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let left = Cell::new(MOST_VALUES);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = UnambiguousJson { left: &left, depth: 0 }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct UnambiguousJson<'a> {
    left: &'a Cell<u32>,
    depth: u32,
}

impl UnambiguousJson<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for UnambiguousJson<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UnambiguousJson<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name that stands there twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_one_meaning_is_read() {
        assert_eq!(object(br#" {"a":[1,{"b":null}],"c":"\ud83d\ude00"} "#).unwrap()["c"], "😀");
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        let many = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(6000));
        for text in [
            "",
            "1",
            "[]",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1} x"#,
            "{\"a\":\"\u{0}\"}",
            &deep,
            &many,
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text:.60}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(object(b"\xef\xbb\xbf{}"), None);
    }
}
