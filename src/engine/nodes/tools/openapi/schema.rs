//! Schemas as models are told of them: as Flowise's library writes what Flowise makes of an `OpenAPI` document.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::document::OpenApiDocument;
use crate::engine::nodes::tools::arguments::{object, with};
use crate::engine::text::variables::text_of;

/// Schemas within schemas; one that holds itself ends here.
const DEEPEST: usize = 24;
/// Of all tools of one document.
const MOST_SCHEMAS: usize = 20_000;
/// Bytes of what they say: a schema is told wherever it is referred to.
const MOST_SAID: usize = 16 << 20;

/// See the module.
pub(super) struct Schemas<'a> {
    document: &'a OpenApiDocument,
    count: usize,
    said: usize,
}

/// A schema, and whether its value may be left out.
type ParamSchema = (Value, bool);

impl<'a> Schemas<'a> {
    pub(super) fn new(document: &'a OpenApiDocument) -> Self {
        Self { document, count: 0, said: 0 }
    }

    /// Parameters of a path or a query.
    pub(super) fn parameters(&mut self, listed: impl Iterator<Item = &'a Value>) -> Result<Value, String> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for parameter in listed {
            let name = parameter.get("name").and_then(Value::as_str).ok_or("a parameter has no name")?;
            let schema = self.document.resolved(parameter.get("schema").unwrap_or(&Value::Null))?;
            self.count(schema, 0)?;
            let is_required = parameter.get("required") == Some(&Value::Bool(true));
            let Some((told, is_optional)) = self.parameter(name, parameter, schema, is_required)? else { continue };
            properties.insert(name.to_owned(), told);
            required.extend((!is_optional).then_some(name));
        }
        Ok(object(&properties.into(), &required))
    }

    fn parameter(
        &mut self,
        name: &str,
        parameter: &Value,
        schema: &'a Value,
        is_required: bool,
    ) -> Result<Option<ParamSchema>, String> {
        let of =
            |holder: &'a Value, field: &str| holder.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (title, said) = (of(schema, "title"), of(schema, "description"));
        let own = parameter.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
        let description = said.or(title).or(own).unwrap_or(name);
        let kind = of(schema, "type").unwrap_or_default();
        let told = if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let shown: Vec<String> = values.iter().map(text_of).collect();
            let valid = format!("Valid values: {}", shown.join(", "));
            let description: Vec<&str> = [title, said, Some(valid.as_str())].into_iter().flatten().collect();
            json!({ "type": "string", "enum": values, "description": description.join(". ") })
        } else if matches!(kind, "string" | "number" | "boolean" | "integer") {
            // Flowise forgets whole numbers, and with them the ids in most paths.
            json!({ "type": kind, "description": description })
        } else if schema.get("anyOf").is_some() {
            let required = HashSet::from_iter(is_required.then_some(name));
            return self.schema(schema, &required, name, 0).map(Some);
        } else {
            return Ok(None);
        };
        Ok(Some((told, !is_required)))
    }

    /// Of a request.
    pub(super) fn body(&mut self, schema: &'a Value) -> Result<ParamSchema, String> {
        let schema = self.document.resolved(schema)?;
        let required: HashSet<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        self.schema(schema, &required, "properties", 0)
    }

    fn count(&mut self, schema: &Value, depth: usize) -> Result<(), String> {
        let texts = ["title", "description"].iter().filter_map(|name| schema.get(*name)?.as_str()).map(str::len);
        let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let values = values.map(|value| value.as_str().map_or_else(|| value.to_string().len(), str::len) + 8);
        self.count += 1;
        self.said = self.said.saturating_add(texts.chain(values).sum());
        if depth > DEEPEST || self.count > MOST_SCHEMAS || self.said > MOST_SAID {
            return Err("its schema is too large, or holds itself".to_owned());
        }
        Ok(())
    }

    /// `required` is of the outermost object, for those within it as well: so Flowise reads it.
    fn schema(
        &mut self,
        schema: &'a Value,
        required: &HashSet<&str>,
        key: &str,
        depth: usize,
    ) -> Result<ParamSchema, String> {
        let schema = self.document.resolved(schema)?;
        self.count(schema, depth)?;
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let mut properties = Map::new();
            let mut needed = Vec::new();
            for (name, field) in fields {
                let (told, is_optional) = self.schema(field, required, name, depth + 1)?;
                properties.insert(name.clone(), told);
                needed.extend((!is_optional).then_some(name.as_str()));
            }
            return Ok((object(&properties.into(), &needed), false));
        }
        if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(*name)?.as_array()) {
            let told = choices.iter().map(|choice| self.schema(choice, required, key, depth + 1));
            let told = told.collect::<Result<Vec<_>, _>>()?;
            let is_optional = told.iter().any(|(_, is_optional)| *is_optional);
            return Ok((with(union(&told), "description", described(schema, true, key).into()), is_optional));
        }
        let is_optional = !required.contains(key);
        let plain =
            |told: Value, titled: bool| (with(told, "description", described(schema, titled, key).into()), is_optional);
        if let Some(values) = schema.get("enum") {
            return Ok(plain(json!({ "type": "string", "enum": values }), true));
        }
        Ok(match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
            "array" => {
                let items = schema.get("items").ok_or_else(|| format!("{key} is a list of nobody knows what"))?;
                let (items, is_optional) = self.schema(items, required, key, depth + 1)?;
                (json!({ "type": "array", "items": if is_optional { or_nothing(&items) } else { items } }), false)
            }
            "number" => {
                let mut told = json!({ "type": "number" });
                for bound in ["minimum", "maximum"] {
                    if let Some(value) = schema.get(bound).filter(|value| value.is_number()) {
                        told = with(told, bound, value.clone());
                    }
                }
                plain(told, false)
            }
            kind @ ("string" | "boolean" | "integer") => plain(json!({ "type": kind }), false),
            "null" => (json!({ "type": "null" }), false),
            _ => (json!({}), true),
        })
    }
}

fn described(schema: &Value, titled: bool, key: &str) -> String {
    let field = |name: &str| schema.get(name).and_then(Value::as_str);
    let title = if titled { field("title") } else { None };
    field("description").or(title).unwrap_or(key).to_owned()
}

/// One of several; types that say nothing else are told as a list.
fn union(choices: &[ParamSchema]) -> Value {
    let kind = |(told, is_optional): &ParamSchema| {
        let kind = told.get("type").filter(|_| !is_optional)?.as_str()?;
        let is_plain = told.as_object()?.keys().all(|key| matches!(key.as_str(), "type" | "description"));
        (is_plain && matches!(kind, "string" | "number" | "boolean" | "null")).then(|| kind.to_owned())
    };
    if let Some(kinds) = choices.iter().map(kind).collect::<Option<Vec<_>>>() {
        let mut different = Vec::new();
        for kind in kinds {
            if !different.contains(&kind) {
                different.push(kind);
            }
        }
        return match different.as_slice() {
            [only] => json!({ "type": only }),
            several => json!({ "type": several }),
        };
    }
    let choice = |(told, is_optional): &ParamSchema| if *is_optional { or_nothing(told) } else { told.clone() };
    json!({ "anyOf": choices.iter().map(choice).collect::<Vec<_>>() })
}

/// How the library writes what may be left out of something else than an object.
fn or_nothing(told: &Value) -> Value {
    let either = json!({ "anyOf": [{ "not": {} }, told] });
    match told.get("description") {
        Some(description) => with(either, "description", description.clone()),
        None => either,
    }
}
