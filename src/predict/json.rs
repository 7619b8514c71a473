//! JSON read strictly, without copying what need not be copied, and written again.
//!
//! What two parsers could understand differently is refused: duplicate names (some parsers keep the first, Flowise's
//! keeps the last), names that reach into JavaScript's prototypes. So is what is expensive: depth, many values. And
//! wherever it stands, so is what Flowise would take for one of its files (CVE-2026-41268).
//!
//! For what clients send. What others answer is read by [`wire::json`](crate::wire::json), as Node reads it.

mod strict;

use std::borrow::Cow;
use std::cell::Cell;

use serde::de::DeserializeSeed as _;
use serde_json::{Map, Number, Value};

use self::strict::{Reading, Strict};
use crate::unprintable::is_unprintable;
use crate::wire::json::well_formed;
use crate::wire::refusal::{Refusal, Rule};

/// Levels of objects and arrays.
const DEEPEST: u32 = 32;
/// Values in a body, all in all.
const MOST_VALUES: u32 = 5000;
/// Fields of one object: each is compared with all before it.
const MOST_FIELDS: usize = 256;
/// Bytes of a field's name.
const LONGEST_NAME: usize = 256;
/// What Flowise takes for the name of a file in its storage.
const FILE_REFERENCE: &str = "FILE-STORAGE::";

/// Whether Flowise would take a text for one of its files.
pub(crate) fn is_file_reference(text: &str) -> bool {
    text.starts_with(FILE_REFERENCE)
}

/// A value, borrowed from the body as far as it can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
    /// The operator's, from the configuration.
    Given(&'a Value),
}

/// Fields in the order they came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The fields of a map of the operator's.
    pub(crate) fn given(map: &'a Map<String, Value>) -> Self {
        Self(map.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Json::Given(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.iter().find(|(have, _)| *have == name).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Json<'a>> {
        self.0.iter_mut().find(|(have, _)| have == name).map(|(_, value)| value)
    }

    /// Takes a field out; null is nothing.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.0.iter().position(|(have, _)| have == name)?;
        Some(self.0.swap_remove(index).1).filter(|value| *value != Json::Null)
    }

    /// Sets a field, over one of that name.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: Json<'a>) {
        let name = name.into();
        match self.get_mut(&name) {
            Some(held) => *held = value,
            None => self.0.push((name, value)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn into_fields(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a body; `around`: about how many bytes that will be.
    pub(crate) fn to_bytes(&self, around: usize) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(around);
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        out.push(b'{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(name, out)?;
            out.push(b':');
            value.write(out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl Json<'_> {
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Object(Object(fields)) => {
                fields.into_iter().map(|(name, value)| (name.into_owned(), value.into_value())).collect()
            }
            Self::Given(value) => value.clone(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => serde_json::to_writer(out, number)?,
            Self::Text(text) => write_text(text, out)?,
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out)?;
                }
                out.push(b']');
            }
            Self::Object(object) => object.write(out)?,
            Self::Given(value) => serde_json::to_writer(out, value)?,
        }
        Ok(())
    }
}

/// Most texts need no escapes (RFC 8259, section 7) and are copied in one piece.
fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let is_special = |byte: u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    // Without an early end inside a piece, so that it is looked at many bytes at a time.
    let is_plain =
        !text.as_bytes().chunks(64).any(|piece| piece.iter().fold(false, |found, byte| found | is_special(*byte)));
    if !is_plain {
        return serde_json::to_writer(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// A body as text. Half an emoji, which JavaScript's programs send, is U+FFFD; what else is no UTF-8 is refused.
pub(crate) fn text_of(body: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    well_formed(body).ok_or_else(|| Rule::BodyJson.refuse("The request body is not valid JSON: it is not UTF-8."))
}

/// Parses a whole body as one object.
pub(crate) fn parse_object(body: &str) -> Result<Object<'_>, Refusal> {
    let reading = Reading { values: Cell::new(0), rule: Cell::new(Rule::BodyJson) };
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let value = Strict { reading: &reading, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| reading.rule.get().refuse(explain(&error)))?;
    match value {
        Json::Object(object) => Ok(object),
        _ => Err(Rule::BodyJson.refuse("The request body must be a JSON object.")),
    }
}

fn explain(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            // Ours, with the position appended by serde_json.
            format!("The request body is refused: {error}.")
        }
        // As `serde_json` says it of `1e400`, which is Infinity in JavaScript and null once it is written again.
        _ if error.to_string().starts_with("number out of range") => {
            let (line, column) = (error.line(), error.column());
            format!("The request body is not valid JSON: a number is out of range (line {line}, column {column}).")
        }
        _ => format!("The request body is not valid JSON (line {}, column {}).", error.line(), error.column()),
    }
}

/// A client's field name as it may stand in an answer: short and printable.
pub(crate) fn shown(name: &str) -> String {
    let short: String = name.chars().take(64).map(|c| if is_unprintable(c) { '?' } else { c }).collect();
    if short.len() < name.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str) -> (&'static str, String) {
        match parse_object(body).unwrap_err() {
            Refusal::Invalid(rule, message) => (rule.name(), message.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        for (body, rule, part) in [
            (r#"{"a":1,"a":2}"#, "duplicate_field", "the field a appears twice"),
            (r#"{"a":{"b":1,"b":1}}"#, "duplicate_field", "the field b appears twice"),
            (r#"{"a":1,"\u0061":1}"#, "duplicate_field", "the field a appears twice"),
            (r#"{"a":{"__proto__":{}}}"#, "prototype_field", "the field __proto__ is not allowed"),
            (r#"{"\u005f_proto__":1}"#, "prototype_field", "the field __proto__ is not allowed"),
            (r#"{"a":[{"b":"FILE-STORAGE::x"}]}"#, "file_reference", "names a file"),
            (r#"{"a":"\u0046ILE-STORAGE::x"}"#, "file_reference", "names a file"),
            ("[]", "body_json", "must be a JSON object"),
            ("{} {}", "body_json", "not valid JSON"),
            (r#"{"a":"#, "body_json", "not valid JSON"),
            (r#"{"a":1e400}"#, "body_json", "not valid JSON"),
            ("", "body_json", "not valid JSON"),
        ] {
            let (found, message) = refused(body);
            assert_eq!(found, rule, "{body}");
            assert!(message.contains(part), "{body}: {message}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_object(&nested(31)).is_ok());
        assert_eq!(refused(&nested(32)).0, "body_depth");
        assert_eq!(refused(&nested(100_000)).0, "body_depth");
        let list = |items: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(items - 1));
        assert!(parse_object(&list(4998)).is_ok());
        assert_eq!(refused(&list(4999)).0, "body_values");
        let fields = |count: usize| {
            let fields: Vec<String> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(parse_object(&fields(256)).is_ok());
        assert_eq!(refused(&fields(257)).0, "body_values");
        assert_eq!(refused(&format!("{{\"{}\":0}}", "n".repeat(257))).0, "body_values");
    }

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let body = r#"{"b":[1,-7,0.1,1e300,18446744073709551615,true,null,{}],"a":"\u00e4\n\"","0":-0.0}"#;
        let written = parse_object(body).unwrap().to_bytes(0).unwrap();
        let expected = "{\"b\":[1,-7,0.1,1e+300,18446744073709551615,true,null,{}],\"a\":\"ä\\n\\\"\",\"0\":-0.0}";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let object = parse_object(r#"{"a":"plain","b":"\n"}"#).unwrap();
        assert!(matches!(object.get("a"), Some(Json::Text(Cow::Borrowed("plain")))));
        assert!(matches!(object.get("b"), Some(Json::Text(Cow::Owned(_)))));
    }
}
