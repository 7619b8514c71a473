//! Forms of answers that authors describe row by row: as JSON Schemas, the same that Flowise's zod makes of them.

use serde_json::{Map, Value, json};

/// The name that Flowise gives a form.
pub(crate) const NAME: &str = "extract";

/// What a model is to say.
pub(crate) fn schema(rows: &[Value]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut field = match text("type") {
            "String" => json!({ "type": "string" }),
            "String Array" => json!({ "type": "array", "items": { "type": "string" } }),
            "Number" => json!({ "type": "number" }),
            "Boolean" => json!({ "type": "boolean" }),
            "Enum" => {
                let values: Vec<&str> = text("enumValues").split(',').map(str::trim).collect();
                json!({ "type": "string", "enum": values })
            }
            _ => continue,
        };
        if let (Some(field), false) = (field.as_object_mut(), text("description").is_empty()) {
            field.insert("description".to_owned(), text("description").into());
        }
        required.push(text("key").to_owned());
        properties.insert(text("key").to_owned(), field);
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    })
}

/// The form's own fields of what a model said, in its order: a user may have told it others. `None`: it is not of that form.
pub(crate) fn fields(schema: &Value, said: &Value) -> Option<Map<String, Value>> {
    let field = |(name, schema): (&String, &Value)| {
        let value = said.get(name)?;
        let is_text = |value: &Value| match schema.get("enum").and_then(Value::as_array) {
            Some(values) => values.contains(value),
            None => value.is_string(),
        };
        let fits = match schema.get("type").and_then(Value::as_str) {
            Some("array") => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => is_text(value),
        };
        fits.then(|| (name.clone(), value.clone()))
    };
    schema.get("properties")?.as_object()?.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_fields_of_their_form_in_its_order() {
        let rows = json!([
            { "key": "next", "type": "Enum", "enumValues": "a, b", "description": "who" },
            { "key": "why", "type": "String", "enumValues": "", "description": "" },
            { "key": "n", "type": "Number" }, { "key": "l", "type": "String Array" }, { "key": "y", "type": "Boolean" },
        ]);
        let schema = schema(rows.as_array().unwrap());
        assert_eq!(schema["properties"]["next"], json!({ "type": "string", "enum": ["a", "b"], "description": "who" }));
        assert_eq!(schema["required"], json!(["next", "why", "n", "l", "y"]));
        let answer = json!({ "x": 1, "y": true, "l": ["z"], "n": 1.5, "why": "w", "next": "b" });
        let read = Value::Object(fields(&schema, &answer).unwrap());
        assert_eq!(read.to_string(), r#"{"next":"b","why":"w","n":1.5,"l":["z"],"y":true}"#);
        for wrong in [json!({ "next": "c" }), json!({ "next": 1 }), json!({ "why": { "$ne": "" } }), json!("x")] {
            let mut answer = answer.clone();
            answer.as_object_mut().unwrap().extend(wrong.as_object().cloned().unwrap_or_default());
            let answer = if wrong.is_string() { wrong } else { answer };
            assert_eq!(fields(&schema, &answer), None);
        }
    }
}
