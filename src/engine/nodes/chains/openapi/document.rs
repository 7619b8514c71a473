//! What a model is told of an API by its `OpenAPI` document, as the chain tells it: every operation, and the parts of a
//! request that it takes.

use std::collections::{HashMap, HashSet};

use http::Method;
use serde_json::{Map, Value, json};

use crate::engine::contract::message::ToolSpec;
use crate::engine::nodes::references::References;
use crate::wire::json;

/// Schemas within schemas.
const DEEPEST: usize = 24;
/// Of one document; providers take no more tools either.
const MOST_OPERATIONS: usize = 128;
/// Of all operations of one document.
const MOST_SCHEMAS: usize = 20_000;
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Places of parameters, and the arguments that they become.
const PLACES: [(&str, &str); 4] =
    [("query", "params"), ("header", "headers"), ("cookie", "cookies"), ("path", "path_params")];

/// See the module.
#[derive(Debug)]
pub(super) struct ChainApi {
    /// Without a slash at its end.
    pub(super) server: String,
    pub(super) specs: Vec<ToolSpec>,
    /// Method and path, by the operation's name.
    pub(super) calls: HashMap<String, (Method, String)>,
}

impl ChainApi {
    /// JSON or YAML.
    ///
    /// # Errors
    /// It is neither, or has nothing that can be called.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document: Value = match json::read_answer(text.as_bytes()) {
            Ok(document) => document,
            Err(_) => serde_saphyr::from_str(text).map_err(|_| "expected an OpenAPI document in JSON or YAML")?,
        };
        let server = document.pointer("/servers/0/url").and_then(Value::as_str).ok_or("it names no server")?;
        let mut api =
            Self { server: server.trim_end_matches('/').to_owned(), specs: Vec::new(), calls: HashMap::new() };
        let mut reader = Reader { document: &document, references: References::new(), count: 0 };
        for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let item = reader.resolved(item)?;
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                if api.specs.len() == MOST_OPERATIONS {
                    return Err(format!("it has more than {MOST_OPERATIONS} operations"));
                }
                let spec = reader.operation(item, operation, path, method)?;
                let way = method.to_ascii_uppercase().parse().map_err(|_| "an odd method")?;
                api.calls.insert(spec.name.clone(), (way, path.clone()));
                api.specs.push(spec);
            }
        }
        if api.specs.is_empty() {
            return Err("Could not parse any valid operations from the provided spec.".to_owned());
        }
        Ok(api)
    }
}

struct Reader<'a> {
    document: &'a Value,
    references: References,
    count: usize,
}

impl<'a> Reader<'a> {
    fn operation(
        &mut self,
        item: &'a Value,
        operation: &'a Value,
        path: &str,
        method: &str,
    ) -> Result<ToolSpec, String> {
        let listed = [item, operation].into_iter().filter_map(|holder| holder.get("parameters")?.as_array()).flatten();
        let listed = listed.map(|parameter| self.resolved(parameter)).collect::<Result<Vec<_>, _>>()?;
        let mut parts = Map::new();
        for (place, part) in PLACES {
            let of: Vec<_> = listed.iter().copied().filter(|one| one.get("in").is_some_and(|at| at == place)).collect();
            if !of.is_empty() {
                parts.insert(part.to_owned(), self.parameters(&of)?);
            }
        }
        if let Some(data) = self.data(operation)? {
            parts.insert("data".to_owned(), data);
        }
        let required: Vec<&String> = parts.keys().collect();
        let parameters = json!({ "type": "object", "properties": parts, "required": required });
        let text = |field: &str| operation.get(field).and_then(Value::as_str).map(str::to_owned);
        let description = text("description").or_else(|| text("summary")).unwrap_or_default();
        let name = text("operationId").unwrap_or_else(|| named_by_path(path, method)).replace(['-', '.', '/'], "_");
        Ok(ToolSpec { name, description, parameters })
    }

    /// Parameters of one place.
    fn parameters(&mut self, listed: &[&'a Value]) -> Result<Value, String> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for parameter in listed {
            let in_content = || parameter.get("content")?.as_object()?.values().next()?.get("schema");
            let (Some(name), Some(schema)) =
                (parameter.get("name").and_then(Value::as_str), parameter.get("schema").or_else(in_content))
            else {
                continue;
            };
            let told = self.schema(schema, 0)?;
            properties.insert(name.to_owned(), told);
            required.extend((parameter.get("required") == Some(&Value::Bool(true))).then_some(name));
        }
        Ok(object(&properties, &required))
    }

    /// The body, in whatever types it may have.
    fn data(&mut self, operation: &'a Value) -> Result<Option<Value>, String> {
        let Some(body) = operation.get("requestBody") else { return Ok(None) };
        let content = self.resolved(body)?.get("content").and_then(Value::as_object);
        let schemas = content.into_iter().flatten().filter_map(|(_, kind)| kind.get("schema"));
        let mut told = schemas.map(|schema| self.schema(schema, 0)).collect::<Result<Vec<_>, _>>()?;
        Ok(if told.len() > 1 { Some(json!({ "anyOf": told })) } else { told.pop() })
    }

    /// With nothing that the chain does not tell: neither descriptions nor bounds of numbers.
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Value, String> {
        self.count += 1;
        if depth > DEEPEST || self.count > MOST_SCHEMAS {
            return Err("a schema is too large, or holds itself".to_owned());
        }
        let schema = self.resolved(schema)?;
        for several in ["anyOf", "allOf", "oneOf"] {
            if let Some(choices) = schema.get(several).and_then(Value::as_array) {
                let told =
                    choices.iter().map(|choice| self.schema(choice, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                return Ok(json!({ several: told }));
            }
        }
        match schema.get("type").and_then(Value::as_str).unwrap_or("string") {
            "object" => self.fields(schema, depth),
            "array" => {
                let items = schema.get("items").map(|items| self.schema(items, depth + 1)).transpose()?;
                let mut told = Map::from_iter([
                    ("type".to_owned(), "array".into()),
                    ("items".to_owned(), items.unwrap_or_else(|| json!({ "type": "string" }))),
                ]);
                for bound in ["minItems", "maxItems"] {
                    let value = schema.get(bound).filter(|value| value.is_number());
                    told.extend(value.map(|value| (bound.to_owned(), value.clone())));
                }
                Ok(told.into())
            }
            kind => Ok(json!({ "type": kind })),
        }
    }

    fn fields(&mut self, schema: &'a Value, depth: usize) -> Result<Value, String> {
        let needed: HashSet<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let field = self.resolved(field)?;
            if field.get("type").is_none() {
                continue;
            }
            properties.insert(name.clone(), self.schema(field, depth + 1)?);
            required.extend(needed.contains(name.as_str()).then_some(name.as_str()));
        }
        Ok(object(&properties, &required))
    }

    fn resolved(&self, value: &'a Value) -> Result<&'a Value, String> {
        self.references.resolved(self.document, value)
    }
}

fn object(properties: &Map<String, Value>, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": {} })
}

/// The name of an operation that has none.
fn named_by_path(path: &str, method: &str) -> String {
    let plain: String = path.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    format!("{}_{method}", if path.starts_with('/') { plain.get(1..).unwrap_or_default() } else { &plain })
}
