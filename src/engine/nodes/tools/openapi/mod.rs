//! The `OpenAPI` toolkit: each operation of a document is a tool.

mod document;
mod schema;

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value};

use self::document::{Document, Operation};
use self::schema::fitted;
use super::requests::address::{Address, component, form, located};
use super::requests::request::Request;
use super::requests::{PATIENCE, headers_of};
use crate::engine::Task;
use crate::engine::failure::Failure;
use crate::engine::inputs::Inputs;
use crate::engine::message::ToolSpec;
use crate::engine::nodes::Kind;
use crate::engine::nodes::files::texts;
use crate::engine::part::{Part, Tool, ToolResult};
use crate::engine::run::Run;
use crate::engine::variables::text_of;

/// What Flowise's editor puts there, without its blanks: the engine does just that, and runs no other code.
const USUAL_CODE: &str = "constfetch=require('node-fetch');consturl=$url;constoptions=$options;try{constresponse=await\
                          fetch(url,options);constresp=awaitresponse.json();returnJSON.stringify(resp);}catch(error)\
                          {console.error(error);return'';}";

/// The node `openAPIToolkit`.
pub(super) struct OpenApiToolkit;

impl Kind for OpenApiToolkit {
    fn names(&self) -> &'static [&'static str] {
        &["openAPIToolkit"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        if inputs.text("inputType").is_some_and(|kind| kind != "file") || inputs.has("openApiLink") {
            inputs.refuse("openApiLink", "a document is read from a file: download it, and choose it as the file");
        }
        let code = inputs.text("customCode").unwrap_or_default();
        let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
        if !code.is_empty() && code != USUAL_CODE {
            inputs.refuse("customCode", "the engine runs no code but the usual");
        }
        inputs.fills(&["headers"]);
        let headers = match inputs.json("headers") {
            None => Map::new(),
            Some(Value::Object(headers)) => headers,
            Some(_) => {
                inputs.refuse("headers", "expected a JSON object");
                Map::new()
            }
        };
        let headers = headers_of(headers, "headers", inputs);
        let common = Common {
            headers,
            returns_directly: inputs.flag("returnDirect").unwrap_or(false),
            removes_nulls: inputs.flag("removeNulls").unwrap_or(false),
        };
        // Older versions called it by its format.
        let input = if inputs.has("yamlFile") { "yamlFile" } else { "openApiFile" };
        inputs.ignore(&["yamlFile", "openApiFile"]);
        let wanted = wanted(inputs);
        let server = inputs.text("selectedServer").filter(|server| server != "error");
        if !inputs.has(input) {
            inputs.refuse(input, "an OpenAPI document is required");
            return None;
        }
        let text = texts(inputs, input)?.into_iter().next().unwrap_or_default();
        let tools = tools(&text, server, &wanted, &common, inputs);
        tools.map_err(|error| inputs.refuse(input, error)).ok().map(Part::Tools)
    }
}

/// The names of the operations that the author chose; empty: all.
fn wanted(inputs: &mut Inputs<'_, '_, '_>) -> Vec<String> {
    match inputs.json("selectedEndpoints") {
        None => Vec::new(),
        Some(Value::Array(names)) => names.iter().map(text_of).collect(),
        Some(_) => {
            inputs.refuse("selectedEndpoints", "expected a list of names");
            Vec::new()
        }
    }
}

/// What all tools of a toolkit share.
#[derive(Debug, Clone)]
struct Common {
    headers: Vec<(http::HeaderName, String)>,
    returns_directly: bool,
    removes_nulls: bool,
}

fn tools(
    text: &str,
    server: Option<String>,
    wanted: &[String],
    common: &Common,
    inputs: &mut Inputs<'_, '_, '_>,
) -> Result<Vec<Arc<dyn Tool>>, String> {
    let document = Document::read(text)?;
    let server = server.or_else(|| document.server().map(str::to_owned)).ok_or("it names no server")?;
    let operations = document.operations(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name))?;
    if operations.is_empty() {
        return Err("it has no operation with an operationId, or none of those that are chosen".to_owned());
    }
    let mut tools: Vec<Arc<dyn Tool>> = Vec::with_capacity(operations.len());
    for Operation { name, description, path, method, parameters } in operations {
        let url = format!("{}{path}", server.trim_end_matches('/'));
        let address = Address::read(&url, &inputs.compiler.workshop.targets, PATIENCE)
            .map_err(|error| format!("server {server}: {error}"))?;
        inputs.look_at(&address.endpoint);
        let request = Request { method, address, headers: common.headers.clone() };
        let spec = ToolSpec { name, description, parameters };
        tools.push(Arc::new(Calling { spec, request, common: common.clone() }));
    }
    Ok(tools)
}

/// One operation.
#[derive(Debug)]
struct Calling {
    spec: ToolSpec,
    request: Request,
    common: Common,
}

impl Tool for Calling {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let given = fitted(arguments, &self.spec.parameters).map_err(|issues| {
                Failure::flow(format!("Received tool input did not match expected schema {issues}"))
            })?;
            let path = path_and_query(&self.request.address.path, &given);
            let body = given.get("RequestBody").filter(|_| self.request.method != Method::GET).cloned();
            let body = body.map(|body| if self.common.removes_nulls { without_nulls(body) } else { body });
            let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
            let text = match self.request.sent(located(&path), Some("application/json"), body, run).await {
                // What is no JSON is told as nothing, as the usual code does.
                Ok(received) => {
                    let json = serde_json::from_str::<Value>(&received.text);
                    json.map(|json| json.to_string()).unwrap_or_default()
                }
                Err(Failure::Unreachable(_)) => String::new(),
                Err(failure) => return Err(failure),
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }

    fn returns_directly(&self) -> bool {
        self.common.returns_directly
    }
}

/// The path with its parameters in their places, and the query.
fn path_and_query(path: &str, given: &Value) -> String {
    let part = |name: &str| given.get(name).and_then(Value::as_object).into_iter().flatten();
    let is_given = |(_, value): &(&String, &Value)| !value.is_null();
    let mut path = path.to_owned();
    for (name, value) in part("PathParameters").filter(is_given) {
        path = path.replacen(&format!("{{{name}}}"), &component(&text_of(value)), 1);
    }
    let pair = |(name, value): (&String, &Value)| format!("{}={}", form(name), form(&text_of(value)));
    let query: Vec<String> = part("QueryParameters").filter(is_given).map(pair).collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// Without fields that are null, or have nothing else in them.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| (name, without_nulls(value)));
            let is_something = |value: &Value| {
                !value.is_null()
                    && value.as_object().is_none_or(|fields| !fields.is_empty())
                    && value.as_array().is_none_or(|items| !items.is_empty())
            };
            Value::Object(kept.filter(|(_, value)| is_something(value)).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests;
