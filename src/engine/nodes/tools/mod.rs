//! Tools: what a model may call.

mod arithmetic;
mod calculator;
mod clock;
#[cfg(test)]
mod fuzz;
mod openapi;
mod requests;

use serde_json::{Value, json};

use super::Kind;

pub(super) const KINDS: &[&dyn Kind] = &[
    &calculator::Calculator,
    &clock::CurrentDateTime,
    &requests::GET,
    &requests::POST,
    &requests::PUT,
    &requests::DELETE,
    &openapi::OpenApiToolkit,
];

/// JSON Schema of arguments, as Flowise's library writes it.
fn parameters(properties: &Value, required: &[&str]) -> Value {
    with(object(properties, required), "$schema", "http://json-schema.org/draft-07/schema#".into())
}

/// JSON Schema of an object with these properties and no others.
fn object(properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema = with(schema, "required", required.into());
    }
    with(schema, "additionalProperties", false.into())
}

/// An object with one field more.
fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(name.to_owned(), value);
    }
    object
}

#[cfg(test)]
mod tests;
