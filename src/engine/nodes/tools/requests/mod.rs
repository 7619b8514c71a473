//! HTTP requests that a model may make: to an address of the flow's author, with what the model fills in.

mod params;
pub(in crate::engine::nodes) mod request;

use std::time::Duration;

use http::Method;
use http::header::HeaderName;
use serde_json::{Map, Value, json};

use self::params::{ToolParam, path_and_query, properties, stray};
use self::request::HttpToolRequest;
use super::arguments::{parameters, with};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::nodes::parsers::repair;
use crate::engine::provider::address::{Address, untagged};
use crate::engine::text::mustache::{JsonTemplate, Mustache};
use crate::engine::text::percent::located;
use crate::engine::text::variables::text_of;

/// For the head of an answer.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A node of this family.
pub(super) struct Requests {
    names: &'static [&'static str],
    method: Method,
    /// As models are told.
    description: &'static str,
}

pub(super) static GET: Requests = Requests {
    names: &["requestsGet"],
    method: Method::GET,
    description: "Use this when you need to execute a GET request to get data from a website.",
};

pub(super) static DELETE: Requests = Requests {
    names: &["requestsDelete"],
    method: Method::DELETE,
    description: "Use this when you need to execute a DELETE request to remove data from a website.",
};

pub(super) static POST: Requests = Requests {
    names: &["requestsPost"],
    method: Method::POST,
    description: "Use this when you want to execute a POST request to create or update a resource.",
};

pub(super) static PUT: Requests = Requests {
    names: &["requestsPut"],
    method: Method::PUT,
    description: "Use this when you want to execute a PUT request to update or replace a resource.",
};

impl NodeKind for Requests {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let prefix = inputs.node.data.name.as_str();
        let request = request(inputs, self.method.clone(), prefix);
        let (params, body, parameters) = if has_body(&self.method) {
            let own = prefix.replacen("requests", "request", 1);
            let body = template(inputs, &["body", &format!("{own}Body")]).unwrap_or_default();
            let params = params::read(inputs, &[&format!("{prefix}BodySchema")]);
            let parameters = body_parameters(&params);
            (params, body, parameters)
        } else {
            let params = params::read(inputs, &["queryParamsSchema", &format!("{prefix}QueryParamsSchema")]);
            let parameters = query_parameters(&params);
            (params, Vec::new(), parameters)
        };
        let name = format!("requests_{}", self.method.as_str().to_lowercase());
        let spec = spec(inputs, prefix, (&name, self.description), parameters);
        let (request, length) = request?;
        Some(Part::tool(Requesting { spec, request, length, params, body }))
    }
}

fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT)
}

/// The schema of what goes into path and query.
fn query_parameters(params: &[ToolParam]) -> Value {
    let queries = if params.is_empty() {
        json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "description": "Optional query parameters to include in the request",
        })
    } else {
        let object = properties(params, |_| json!({ "type": "string" }));
        with(object, "description", "Query parameters for the request".into())
    };
    parameters(&json!({ "queryParams": queries }), &[])
}

/// The schema of a body.
fn body_parameters(params: &[ToolParam]) -> Value {
    if params.is_empty() {
        let body = json!({
            "type": "object",
            "additionalProperties": {},
            "description": "Optional body data to include in the request",
        });
        return parameters(&json!({ "body": body }), &[]);
    }
    let object = properties(params, |param| match param.kind.as_str() {
        "number" => json!({ "type": "number" }),
        "boolean" => json!({ "type": "boolean" }),
        "object" => json!({ "type": "object", "additionalProperties": {} }),
        "array" => json!({ "type": "array" }),
        _ => json!({ "type": "string" }),
    });
    parameters(&json!({ "body": with(object, "description", "Request body parameters".into()) }), &["body"])
}

/// How the tool is told of.
fn spec(inputs: &mut Inputs<'_, '_, '_>, prefix: &str, default: (&str, &str), parameters: Value) -> ToolSpec {
    let (default_name, default_description) = default;
    let name = either(inputs, &["name", &format!("{prefix}Name")]).unwrap_or_else(|| default_name.to_owned());
    let description = either(inputs, &["description", &format!("{prefix}Description")]);
    let is_kept = |letter: &char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-');
    ToolSpec {
        name: name.to_lowercase().replace(' ', "_").chars().filter(is_kept).collect(),
        description: description.unwrap_or_else(|| default_description.to_owned()),
        parameters,
    }
}

/// The first of these inputs that is set: nodes of older versions use shorter names.
fn either(inputs: &mut Inputs<'_, '_, '_>, names: &[&str]) -> Option<String> {
    let found: Vec<String> = names.iter().filter_map(|name| inputs.text(name)).collect();
    found.into_iter().next()
}

/// A JSON object as people write it.
fn object(inputs: &mut Inputs<'_, '_, '_>, names: &[&str]) -> Option<Map<String, Value>> {
    let mut found = None;
    for name in names {
        let value = match inputs.value(name) {
            None => continue,
            Some(Value::String(_)) if inputs.refuse_settled(name) => continue,
            Some(Value::String(text)) => repair::read(&untagged(&text)).ok(),
            value => value,
        };
        match value {
            Some(Value::Object(fields)) => found = found.or(Some(fields)),
            _ => inputs.refuse(name, "expected a JSON object"),
        }
    }
    found
}

/// As [`object`], with places for values.
fn template(inputs: &mut Inputs<'_, '_, '_>, names: &[&str]) -> Option<RequestFields> {
    let mut found = None;
    for name in names.iter().filter(|name| inputs.has(name)).copied().collect::<Vec<_>>() {
        let template = inputs.json_template_by(name, |text| repair::read(&untagged(text)))?;
        match template.into_fields() {
            Some(fields) => found = found.or(Some(fields)),
            None => inputs.refuse(name, "expected a JSON object"),
        }
    }
    found
}

/// Names that the author wrote, and what may be filled in.
type RequestFields = Vec<(String, JsonTemplate)>;

/// The author's headers.
pub(super) fn headers_of(
    headers: RequestFields,
    input: &str,
    inputs: &mut Inputs<'_, '_, '_>,
) -> Vec<(HeaderName, Mustache)> {
    let mut named = Vec::new();
    for (name, value) in headers {
        let value = match &value {
            JsonTemplate::Fixed(value) => Some(Mustache::plain(&text_of(value))),
            value => value.mustache().cloned(),
        };
        match (name.parse::<HeaderName>(), value) {
            (Ok(name), Some(value)) => named.push((name, value)),
            _ => inputs.refuse(input, format!("{name} is no header")),
        }
    }
    named
}

/// What is sent, and how much of the answer is told, as JavaScript counts letters.
fn request(inputs: &mut Inputs<'_, '_, '_>, method: Method, prefix: &str) -> Option<(HttpToolRequest, Option<usize>)> {
    let (own, longest) = (format!("{prefix}Url"), format!("{prefix}MaxOutputLength"));
    let (short, long) = (inputs.integer("maxOutputLength"), inputs.integer(&longest));
    let length = short.or(long).and_then(|length| usize::try_from(length).ok());
    let own_headers = format!("{prefix}Headers");
    let own_body = format!("{}Body", prefix.replacen("requests", "request", 1));
    inputs.fills(&["url", &own, "headers", &own_headers, "body", &own_body]);
    let headers = template(inputs, &["headers", &own_headers]).unwrap_or_default();
    let named = headers_of(headers, &own_headers, inputs);
    let Some(url) = either(inputs, &["url", &own]) else {
        inputs.lacks(&own);
        return None;
    };
    let url = inputs.mustache_in(&own, &url);
    match Address::read(&url, &inputs.compiler.context.targets, PATIENCE) {
        Ok(address) => {
            inputs.look_at(&address.endpoint);
            Some((HttpToolRequest { method, address, headers: named }, length))
        }
        Err(error) => {
            inputs.refuse_address(&own, &url.written(), error);
            None
        }
    }
}

#[derive(Debug)]
struct Requesting {
    spec: ToolSpec,
    request: HttpToolRequest,
    /// Of the answer, as JavaScript counts letters.
    length: Option<usize>,
    /// What the author says of the model's part; empty: nothing.
    params: Vec<ToolParam>,
    /// The author's part of the body.
    body: RequestFields,
}

impl Tool for Requesting {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let method = &self.request.method;
            let failed = |why: String| Failure::flow(format!("Failed to make {method} request: {why}"));
            match self.answered(arguments, run).await {
                Ok(text) => Ok(ToolResult { text, ..ToolResult::default() }),
                Err(failure) if failure.ends_run() => Err(failure),
                Err(failure) => Err(failed(run.told(&failure))),
            }
        })
    }
}

impl Requesting {
    async fn answered(&self, arguments: &Value, run: &Run<'_>) -> Result<String, Failure> {
        let has_body = has_body(&self.request.method);
        let part = if has_body { "body" } else { "queryParams" };
        let given = arguments.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(missing) = stray(&self.params, &given) {
            return Err(Failure::flow(format!("Received tool input did not match expected schema: {part}.{missing}")));
        }
        let mut path = self.request.address.path.address(run).map_err(Failure::flow)?;
        let mut body = Vec::new();
        if has_body {
            let body_of_all = Value::Object(self.body_with(given, run).map_err(Failure::flow)?);
            body = serde_json::to_vec(&body_of_all).map_err(|error| Failure::flow(error.to_string()))?;
        } else {
            path = path_and_query(path, &self.params, &given).map_err(Failure::flow)?;
        }
        let kind = has_body.then_some("application/json");
        let received = self.request.sent(located(&path), kind, body, run).await?;
        let status = received.status;
        if !status.is_success() {
            let reason = status.canonical_reason().unwrap_or_default();
            return Err(Failure::flow(format!("HTTP Error {}: {reason}", status.as_u16())));
        }
        Ok(cut(&received.text, self.length.unwrap_or(usize::MAX)))
    }

    /// The author's body with the model's: what a schema names, or all of it where the author says nothing.
    fn body_with(&self, given: Map<String, Value>, run: &Run<'_>) -> Result<Map<String, Value>, String> {
        let field = |(name, value): &(String, JsonTemplate)| Ok((name.clone(), value.value(run)?));
        let mut body = self.body.iter().map(field).collect::<Result<Map<_, _>, String>>()?;
        let is_free = self.params.is_empty() && self.body.is_empty();
        let is_named = |name: &String| self.params.iter().any(|param| param.name == *name);
        body.extend(given.into_iter().filter(|(name, _)| is_free || is_named(name)));
        Ok(body)
    }
}

/// The beginning of a text, in units of UTF-16.
fn cut(text: &str, length: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.len_utf16();
        taken <= length
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests;
