//! What an `OpenAPI` document offers: servers, and operations with their references resolved.

use serde_json::{Map, Value};

use super::schema::Schemas;
use crate::engine::nodes::references::References;
use crate::engine::nodes::tools::arguments::parameters;
use crate::wire::json;

/// Of one document; providers take no more tools either.
const MOST_OPERATIONS: usize = 128;
const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// See the module.
#[derive(Debug)]
pub(super) struct OpenApiDocument {
    value: Value,
    references: References,
}

/// A path and a method that can be called.
#[derive(Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) description: String,
    /// With `{name}` in the places of parameters.
    pub(super) path: String,
    pub(super) method: http::Method,
    /// JSON Schema of what a model gives.
    pub(super) parameters: Value,
}

impl OpenApiDocument {
    /// JSON or YAML.
    ///
    /// # Errors
    /// It is neither, or no such document.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document: Value = match json::read_answer(text.as_bytes()) {
            Ok(document) => document,
            Err(_) => serde_saphyr::from_str(text).map_err(|_| "expected an OpenAPI document in JSON or YAML")?,
        };
        if document.get("paths").is_some_and(Value::is_object) {
            Ok(Self { value: document, references: References::new() })
        } else {
            Err("expected an OpenAPI document, which has paths".to_owned())
        }
    }

    /// The address of the first server.
    pub(super) fn server(&self) -> Option<&str> {
        self.value.get("servers")?.get(0)?.get("url")?.as_str()
    }

    /// Those with a name that `is_wanted`.
    ///
    /// # Errors
    /// What in them cannot be told to a model.
    pub(super) fn operations(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Operation>, String> {
        let mut operations = Vec::new();
        let mut schemas = Schemas::new(self);
        for (path, item) in self.value.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let item = self.resolved(item)?;
            for (method, spec) in item.as_object().into_iter().flatten() {
                let name = spec.get("operationId").and_then(Value::as_str).unwrap_or_default();
                if name.is_empty() || !METHODS.contains(&method.as_str()) || !is_wanted(name) {
                    continue;
                }
                if operations.len() == MOST_OPERATIONS {
                    return Err(format!("it has more than {MOST_OPERATIONS} operations: choose those that are needed"));
                }
                let text = |of: &str| spec.get(of).and_then(Value::as_str).filter(|text| !text.is_empty());
                let description = text("description").or_else(|| text("summary")).unwrap_or(name);
                let parameters =
                    self.parameters(item, spec, &mut schemas).map_err(|error| format!("{name}: {error}"))?;
                operations.push(Operation {
                    name: name.to_owned(),
                    description: description.to_owned(),
                    path: path.clone(),
                    method: method.to_uppercase().parse().map_err(|_| format!("{name}: an odd method"))?,
                    parameters,
                });
            }
        }
        Ok(operations)
    }

    /// What a model may give for an operation. Parameters of the path's own, which Flowise forgets, are among them.
    fn parameters<'a>(&'a self, item: &'a Value, spec: &'a Value, schemas: &mut Schemas<'a>) -> Result<Value, String> {
        let mut parts = Map::new();
        let mut required = Vec::new();
        let listed = [item, spec].into_iter().filter_map(|holder| holder.get("parameters")?.as_array()).flatten();
        let listed = listed.map(|parameter| self.resolved(parameter)).collect::<Result<Vec<_>, _>>()?;
        if !listed.is_empty() || spec.get("parameters").is_some() {
            for (part, place) in [("PathParameters", "path"), ("QueryParameters", "query")] {
                let own = listed.iter().filter(|parameter| parameter.get("in").is_some_and(|at| at == place));
                parts.insert(part.to_owned(), schemas.parameters(own.copied())?);
                required.push(part);
            }
        }
        if let Some(body) = spec.get("requestBody") {
            if let Some(schema) = body_schema(self.resolved(body)?) {
                let (schema, is_optional) = schemas.body(schema)?;
                parts.insert("RequestBody".to_owned(), schema);
                required.extend((!is_optional).then_some("RequestBody"));
            } else {
                parts.insert("input".to_owned(), nothing());
            }
        } else if parts.is_empty() {
            parts.insert("input".to_owned(), nothing());
        }
        Ok(parameters(&parts.into(), &required))
    }

    /// The value itself, or what it refers to.
    pub(super) fn resolved<'a>(&'a self, value: &'a Value) -> Result<&'a Value, String> {
        self.references.resolved(&self.value, value)
    }
}

/// The schema of a body, in the first of these types that it may have.
fn body_schema(body: &Value) -> Option<&Value> {
    let types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let content = body.get("content")?;
    types.iter().find_map(|kind| content.get(*kind))?.get("schema")
}

/// What Flowise offers where there is nothing to give.
fn nothing() -> Value {
    serde_json::json!({ "type": "string", "description": "Query input" })
}
