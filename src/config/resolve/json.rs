//! YAML maps that are sent on as JSON: `vars`, `force_override`.

use serde_json::{Map, Number, Value as Json};

use super::reader::FieldReader;
use crate::config::file::Field;
use crate::config::is_reserved;
use crate::config::yaml::{At, Value, YamlNode};

/// A map with its strings expanded; an absent field is an empty one.
pub(super) fn map(reader: &mut FieldReader<'_>, field: &Field) -> Map<String, Json> {
    let Some(node) = &field.0 else { return Map::new() };
    match &node.value {
        Value::Map(entries) => object(reader, entries),
        other => {
            reader.refuse(node, format_args!("expected a map, found {}; an empty one is written {{}}", other.kind()));
            Map::new()
        }
    }
}

fn object(reader: &mut FieldReader<'_>, entries: &[(At<String>, YamlNode)]) -> Map<String, Json> {
    let mut object = Map::new();
    for (key, value) in entries {
        if is_reserved(&key.value) {
            reader.refuse_at(Some(key.at()), &value.field, "this name cannot be used");
        }
        object.insert(key.value.clone(), json(reader, value));
    }
    object
}

/// A text, a number, true or false; `None`: something else.
pub(super) fn scalar(reader: &mut FieldReader<'_>, node: &YamlNode) -> Option<Json> {
    let value = json(reader, node);
    (!value.is_null() && !value.is_array() && !value.is_object()).then_some(value)
}

fn json(reader: &mut FieldReader<'_>, node: &YamlNode) -> Json {
    let number = match &node.value {
        Value::Null => return Json::Null,
        Value::Bool(value) => return Json::Bool(*value),
        Value::String(_) => return reader.string(node).map_or(Json::Null, Json::String),
        Value::List(items) => return Json::Array(items.iter().map(|item| json(reader, item)).collect()),
        Value::Map(entries) => return Json::Object(object(reader, entries)),
        Value::Integer(number) => Number::from_i128(*number),
        Value::Float(number) => Number::from_f64(*number),
    };
    if number.is_none() {
        reader.refuse(node, "a number out of range; put it in quotes if it is meant as a text");
    }
    number.map_or(Json::Null, Json::Number)
}
