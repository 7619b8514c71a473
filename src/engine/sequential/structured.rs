//! Answers of a form that the flow's author describes, as a JSON Schema; the same that Flowise's zod makes of it.

use serde_json::{Map, Value, json};

use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::wire::json::read_str;

/// The name that Flowise gives the form.
const NAME: &str = "extract";

/// The form of an input; `None`: there is none.
pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Value> {
    let fields = inputs.json(name)?;
    let fields = fields.as_array().filter(|fields| !fields.is_empty())?;
    Some(schema(fields))
}

fn schema(fields: &[Value]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields {
        let text = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut schema = match text("type") {
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
        if let (Some(schema), false) = (schema.as_object_mut(), text("description").is_empty()) {
            schema.insert("description".to_owned(), text("description").into());
        }
        required.push(text("key").to_owned());
        properties.insert(text("key").to_owned(), schema);
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    })
}

/// Asks a model for an answer of that form.
pub(super) async fn ask(
    model: &dyn ChatModel,
    messages: &[Message],
    schema: &Value,
    visit: &Visit<'_>,
) -> Result<Value, Failure> {
    let ask = ModelRequest { schema: Some((NAME, schema)), ..ModelRequest::of(messages) };
    let answered = visit.run.ask(model, ask).await?;
    let read = read_str::<Value>(&answered.text).ok().and_then(|value| in_order(&value, schema));
    read.ok_or_else(|| Failure::flow(format!("Failed to parse. Text: \"{}\"", answered.text)))
}

/// The form's own fields, in its order; `None`: it is not of that form.
fn in_order(value: &Value, schema: &Value) -> Option<Value> {
    let fields = schema.get("properties")?.as_object()?;
    let field = |(name, schema): (&String, &Value)| {
        let value = value.get(name)?;
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
    Some(Value::Object(fields.iter().map(field).collect::<Option<Map<_, _>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_fields_of_their_form_in_its_order() {
        let fields = json!([
            { "key": "next", "type": "Enum", "enumValues": "a, b", "description": "who" },
            { "key": "why", "type": "String", "enumValues": "", "description": "" },
            { "key": "n", "type": "Number" }, { "key": "l", "type": "String Array" }, { "key": "y", "type": "Boolean" },
        ]);
        let schema = schema(fields.as_array().unwrap());
        assert_eq!(schema["properties"]["next"], json!({ "type": "string", "enum": ["a", "b"], "description": "who" }));
        assert_eq!(schema["required"], json!(["next", "why", "n", "l", "y"]));
        let answer = json!({ "x": 1, "y": true, "l": ["z"], "n": 1.5, "why": "w", "next": "b" });
        let read = in_order(&answer, &schema).unwrap();
        assert_eq!(read.to_string(), r#"{"next":"b","why":"w","n":1.5,"l":["z"],"y":true}"#);
        for wrong in [json!({ "next": "c" }), json!({ "next": 1 }), json!("x")] {
            let mut answer = answer.clone();
            answer.as_object_mut().unwrap().extend(wrong.as_object().cloned().unwrap_or_default());
            let answer = if wrong.is_string() { wrong } else { answer };
            assert_eq!(in_order(&answer, &schema), None);
        }
    }
}
