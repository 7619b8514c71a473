//! JSON Schemas of the arguments of tools.

use serde_json::{Value, json};

/// JSON Schema of arguments, as Flowise's library writes it.
pub(super) fn parameters(properties: &Value, required: &[&str]) -> Value {
    with(object(properties, required), "$schema", "http://json-schema.org/draft-07/schema#".into())
}

/// JSON Schema of an object with these properties and no others.
pub(super) fn object(properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema = with(schema, "required", required.into());
    }
    with(schema, "additionalProperties", false.into())
}

/// An object with one field more.
pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(name.to_owned(), value);
    }
    object
}
