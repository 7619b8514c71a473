//! Answers that are JSON of a given form.

use std::sync::Arc;

use serde_json::Value;

use super::schema::{LengthBounds, Schema, SchemaType};
use super::{mends, repair, zod};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::node::{OutputParser, ReplyContent};

/// Of an answer that cannot be read, in letters.
const LONGEST_TOLD: usize = 10_000;

/// The node `structuredOutputParser`: a table of properties.
pub(super) struct StructuredOutputParser;

impl NodeKind for StructuredOutputParser {
    fn names(&self) -> &'static [&'static str] {
        &["structuredOutputParser"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let mends = mends(inputs);
        if !inputs.has("jsonStructure") {
            inputs.lacks("jsonStructure");
            return None;
        }
        let rows = inputs.json("jsonStructure");
        match rows.as_ref().and_then(Value::as_array).map(|rows| rows.iter().map(property).collect()) {
            Some(Ok(properties)) => Some(parser(Schema::new(SchemaType::Record(properties)), mends)),
            Some(Err(error)) => {
                inputs.refuse("jsonStructure", error);
                None
            }
            None => {
                inputs.refuse("jsonStructure", "expected a table of properties");
                None
            }
        }
    }
}

/// One row of the table.
fn property(row: &Value) -> Result<(String, Schema), String> {
    let field = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = field("property");
    let shape = match field("type") {
        "string" => SchemaType::Text(LengthBounds::default()),
        "number" => SchemaType::Number { is_whole: false },
        "boolean" => SchemaType::Flag,
        other => return Err(format!("property {name}: the type {other} is not supported")),
    };
    let mut schema = Schema::new(shape);
    let description = field("description");
    if !description.is_empty() {
        schema.notes.insert("description".to_owned(), description.into());
    }
    let is_required = row.get("required").is_some_and(|required| required == true || required == "true");
    schema.is_optional = !is_required;
    schema.missing = is_required.then(|| format!("{name} required"));
    Ok((name.to_owned(), schema))
}

/// The node `advancedStructuredOutputParser`: a schema written in zod.
pub(super) struct AdvancedStructuredOutputParser;

impl NodeKind for AdvancedStructuredOutputParser {
    fn names(&self) -> &'static [&'static str] {
        &["advancedStructuredOutputParser"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let mends = mends(inputs);
        inputs.refuse_settled("exampleJson");
        match zod::parse(&inputs.required_text("exampleJson")?) {
            Ok((schema, passed_over)) => {
                for modifier in passed_over {
                    inputs.pass_over("exampleJson", format!("Flowise passes over {modifier}, and so does the engine"));
                }
                Some(parser(schema, mends))
            }
            Err(error) => {
                inputs.refuse("exampleJson", error);
                None
            }
        }
    }
}

fn parser(schema: Schema, mends: bool) -> Part {
    let mut json = schema.json();
    if let Value::Object(json) = &mut json {
        json.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    }
    Part::Parser(Arc::new(Structured { schema, instructions: instructions(&json), mends }))
}

#[derive(Debug)]
struct Structured {
    schema: Schema,
    instructions: String,
    mends: bool,
}

impl OutputParser for Structured {
    fn instructions(&self) -> String {
        self.instructions.clone()
    }

    fn parse(&self, text: &str) -> Result<ReplyContent, String> {
        let value = repair::read(text)?;
        let failed = |error| {
            let text: String = value.to_string().chars().take(LONGEST_TOLD).collect();
            format!("Failed to parse. Text: \"{text}\". Error: {error}")
        };
        self.schema.check(&value).map(ReplyContent::Json).map_err(failed)
    }

    fn mends(&self) -> bool {
        self.mends
    }
}

/// The words of `LangChain`, with doubled braces and all.
fn instructions(schema: &Value) -> String {
    format!(
        r#"You must format your output as a JSON value that adheres to a given "JSON Schema" instance.

"JSON Schema" is a declarative language that allows you to annotate and validate JSON documents.

For example, the example "JSON Schema" instance {{{{"properties": {{{{"foo": {{{{"description": "a list of test words", "type": "array", "items": {{{{"type": "string"}}}}}}}}}}}}, "required": ["foo"]}}}}
would match an object with one required property, "foo". The "type" property specifies "foo" must be an "array", and the "description" property semantically describes it as "a list of test words". The items within "foo" must be strings.
Thus, the object {{{{"foo": ["bar", "baz"]}}}} is a well-formatted instance of this example "JSON Schema". The object {{{{"properties": {{{{"foo": ["bar", "baz"]}}}}}}}} is not well-formatted.

Your output will be parsed and type-checked according to the provided schema instance, so make sure all fields in your output match the schema exactly and there are no trailing commas!

Here is the JSON Schema instance your output must adhere to. Include the enclosing markdown codeblock:
```json
{schema}
```
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_wrong_all_over_is_told_in_a_few_words() {
        let (schema, _) = zod::parse("z.array(z.string())").unwrap();
        let parser = Structured { schema, instructions: String::new(), mends: false };
        let error = parser.parse(&format!("[{}1]", "1,".repeat(100_000))).unwrap_err();
        assert!(error.starts_with("Failed to parse. Text: \"[1,1,") && error.len() < 50_000, "{}", error.len());
        assert_eq!(error.matches("Expected string, received number").count(), 50);
    }
}
