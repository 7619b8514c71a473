//! Answers of a form that the flow's author describes, as a JSON Schema; the same that Flowise's zod makes of it.

use serde_json::{Map, Value, json};

use crate::wire::json;

/// The name that Flowise gives the form.
pub(super) const NAME: &str = "extract";

/// The form; `None`: there is none.
pub(super) fn schema(fields: Option<&Value>) -> Option<Value> {
    let fields = fields?.as_array().filter(|fields| !fields.is_empty())?;
    let mut object = ObjectSchema::default();
    for field in fields {
        let text = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
        let schema = match text("type") {
            "string" => json!({ "type": "string" }),
            "stringArray" => json!({ "type": "array", "items": { "type": "string" } }),
            "number" => json!({ "type": "number" }),
            "boolean" => json!({ "type": "boolean" }),
            "enum" => {
                let values: Vec<&str> = match text("enumValues") {
                    "" => vec!["default"],
                    values => values.split(',').map(str::trim).collect(),
                };
                json!({ "type": "string", "enum": values })
            }
            "jsonArray" => {
                let items = json::read_str(text("jsonSchema")).map(|items: Value| of_example(&items));
                json!({ "type": "array", "items": items.unwrap_or_else(|_| any_object()) })
            }
            _ => continue,
        };
        object.add(text("key"), described(schema, text("description")), true);
    }
    let mut schema = object.schema();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    }
    Some(schema)
}

/// The types of fields that there are.
pub(super) fn is_type(name: &str) -> bool {
    matches!(name, "string" | "stringArray" | "number" | "boolean" | "enum" | "jsonArray")
}

#[derive(Default)]
struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl ObjectSchema {
    fn add(&mut self, name: &str, schema: Value, is_required: bool) {
        // What may be anything need not be there, says zod.
        if is_required && schema.as_object().is_none_or(|schema| schema.keys().any(|key| key != "description")) {
            self.required.push(name.to_owned());
        }
        self.properties.insert(name.to_owned(), schema);
    }

    fn schema(self) -> Value {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), Value::Object(self.properties));
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        schema.insert("additionalProperties".to_owned(), false.into());
        Value::Object(schema)
    }
}

fn any_object() -> Value {
    json!({ "type": "object", "additionalProperties": {} })
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut().filter(|_| !description.is_empty()) {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

/// The schema that Flowise reads out of what authors write as one.
fn of_example(example: &Value) -> Value {
    let Some(fields) = example.as_object() else { return json!({}) };
    let mut object = ObjectSchema::default();
    for (name, field) in fields {
        let is_optional = field.get("optional") == Some(&Value::Bool(true)) && field.get("type").is_some();
        object.add(name, of_field(field), !is_optional);
    }
    object.schema()
}

fn of_field(field: &Value) -> Value {
    let of_items = |items: Option<&Value>| match items.filter(|items| !items.is_null()) {
        Some(items) => json!({ "type": "array", "items": of_example(items) }),
        None => json!({ "type": "array" }),
    };
    match field {
        Value::Null => json!({ "type": "null" }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => of_items(items.first()),
        Value::Object(fields) => {
            let Some(kind) = fields.get("type") else { return of_example(field) };
            let schema = match kind.as_str() {
                Some(kind @ ("string" | "number" | "boolean")) => json!({ "type": kind }),
                Some("array") => of_items(fields.get("items")),
                Some("object") => fields.get("properties").map_or_else(any_object, of_example),
                _ => json!({}),
            };
            described(schema, fields.get("description").and_then(Value::as_str).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by Flowise 3.1.4 (`configureStructuredOutput`) and zod-to-json-schema.
    const MADE: &str = include_str!("structured.tests.json");

    #[test]
    fn forms_are_what_zod_makes_of_them() {
        let [fields, made]: [Value; 2] = serde_json::from_str(MADE).unwrap();
        let schema = schema(Some(&fields)).unwrap();
        assert_eq!(serde_json::to_string_pretty(&schema).unwrap(), serde_json::to_string_pretty(&made).unwrap());
    }
}
