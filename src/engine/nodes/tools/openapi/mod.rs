//! The `OpenAPI` toolkit: each operation of a document is a tool.

mod document;
mod linked;
mod schema;

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use self::document::{OpenApiDocument, Operation};
use super::arguments::with;
use super::custom::flow_of;
use super::fitted::{MissingWords, fitted};
use super::requests::request::HttpToolRequest;
use super::requests::{PATIENCE, headers_of};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::nodes::files::texts;
use crate::engine::provider::address::Address;
use crate::engine::provider::{ProviderEndpoint, Targets};
use crate::engine::scripts::{Script, ScriptValues};
use crate::engine::text::mustache::{JsonTemplate, Mustache};
use crate::engine::text::percent;
use crate::engine::text::percent::{STEP, located, steps};
use crate::engine::text::variables::text_of;
use crate::wire::json;

/// What Flowise's editor puts there, without its blanks: the engine does just that by itself.
const USUAL_CODE: &str = "constfetch=require('node-fetch');consturl=$url;constoptions=$options;try{constresponse=await\
                          fetch(url,options);constresp=awaitresponse.json();returnJSON.stringify(resp);}catch(error)\
                          {console.error(error);return'';}";

/// The node `openAPIToolkit`.
pub(super) struct OpenApiToolkit;

impl NodeKind for OpenApiToolkit {
    fn names(&self) -> &'static [&'static str] {
        &["openAPIToolkit"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let is_linked = inputs.text("inputType").is_some_and(|kind| kind == "link");
        if !is_linked {
            inputs.ignore(&["openApiLink"]);
        }
        let code = inputs.text("customCode").filter(|code| {
            let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
            !code.is_empty() && code != USUAL_CODE
        });
        let code = code.and_then(|code| Script::of(code, "customCode", inputs));
        let headers = match inputs.json_template("headers").map(JsonTemplate::into_fields) {
            None => Vec::new(),
            Some(Some(headers)) => headers,
            Some(None) => {
                inputs.refuse("headers", "expected a JSON object");
                Vec::new()
            }
        };
        let headers = headers_of(headers, "headers", inputs);
        let common = Common {
            headers,
            returns_directly: inputs.flag("returnDirect").unwrap_or(false),
            removes_nulls: inputs.flag("removeNulls").unwrap_or(false),
            code,
        };
        // Older versions called it by its format.
        let input = if inputs.has("yamlFile") { "yamlFile" } else { "openApiFile" };
        inputs.ignore(&["yamlFile", "openApiFile"]);
        let wanted = wanted(inputs);
        let server = inputs.mustache("selectedServer").filter(|server| server.fixed() != Some("error"));
        if is_linked {
            return linked::part(inputs, DocumentTools { server, wanted, common });
        }
        if !inputs.has(input) {
            inputs.lacks(input);
            return None;
        }
        let text = texts(inputs, input)?.into_iter().next().unwrap_or_default();
        let targets = Arc::clone(&inputs.compiler.context.targets);
        let tools = DocumentTools { server, wanted, common }.made(&text, &targets, |endpoint| inputs.look_at(endpoint));
        tools.map_err(|error| inputs.refuse(input, error)).ok().map(Part::tools)
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
    headers: Vec<(http::HeaderName, Mustache)>,
    returns_directly: bool,
    removes_nulls: bool,
    /// What sends the request in the engine's place.
    code: Option<Script>,
}

/// What the author says of a document's tools, wherever it is.
#[derive(Debug)]
struct DocumentTools {
    /// In place of the document's own.
    server: Option<Mustache>,
    wanted: Vec<String>,
    common: Common,
}

impl DocumentTools {
    /// The tools of a document; `look_at` is shown where each of them leads to.
    fn made(
        &self,
        text: &str,
        targets: &Targets,
        mut look_at: impl FnMut(&ProviderEndpoint),
    ) -> Result<Vec<Arc<dyn Tool>>, String> {
        let Self { wanted, common, .. } = self;
        let document = OpenApiDocument::read(text)?;
        // What a document says is nobody's template.
        let own = || document.server().map(Mustache::plain);
        let server = self.server.clone().or_else(own).ok_or("it names no server")?;
        let operations = document.operations(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name))?;
        if operations.is_empty() {
            return Err("it has no operation with an operationId, or none of those that are chosen".to_owned());
        }
        let mut tools: Vec<Arc<dyn Tool>> = Vec::with_capacity(operations.len());
        for Operation { name, description, path, method, parameters } in operations {
            let address = Address::read(&server, targets, PATIENCE)
                .map_err(|error| format!("server {}: {error}", server.written()))?;
            look_at(&address.endpoint);
            let request = HttpToolRequest { method, address, headers: common.headers.clone() };
            let spec = ToolSpec { name, description, parameters };
            tools.push(Arc::new(Calling { spec, request, route: PathTemplate::read(&path), common: common.clone() }));
        }
        Ok(tools)
    }
}

/// One operation.
#[derive(Debug)]
struct Calling {
    spec: ToolSpec,
    request: HttpToolRequest,
    route: PathTemplate,
    common: Common,
}

impl Tool for Calling {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let given = fitted(arguments, &self.spec.parameters, MissingWords::Named).map_err(Failure::flow)?;
            let server = self.request.address.path.address(run).map_err(Failure::flow)?;
            let path = self.route.filled(&server, &given).map_err(Failure::flow)?;
            if let Some(code) = &self.common.code {
                return self.computed(code, &path, &given, run).await;
            }
            let body = given.get("RequestBody").filter(|_| self.request.method != Method::GET).cloned();
            let body = body.map(|body| if self.common.removes_nulls { without_nulls(body) } else { body });
            let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
            let text = match self.request.sent(located(&path), Some("application/json"), body, run).await {
                // What is no JSON is told as nothing, as the usual code does.
                Ok(received) => {
                    let json = json::read_str::<Value>(&received.text);
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

impl Calling {
    /// What the author's code makes of the call, which it sends itself.
    async fn computed(&self, code: &Script, path: &str, given: &Value, run: &Run<'_>) -> Result<ToolResult, Failure> {
        let given = if self.common.removes_nulls { without_nulls(given.clone()) } else { given.clone() };
        let mut headers = Map::from_iter([("Content-Type".to_owned(), "application/json".into())]);
        headers.extend(self.request.headers.iter().map(|(name, value)| (name.to_string(), value.text(run).into())));
        let mut options = json!({ "method": self.request.method.as_str(), "headers": headers });
        if let Some(body) = given.get("RequestBody").filter(|_| self.request.method != Method::GET) {
            options = with(options, "body", body.to_string().into());
        }
        let fields = given.as_object().into_iter().flatten();
        let mut named: Vec<_> = fields.map(|(name, value)| (format!("${name}"), value.clone())).collect();
        let url = format!("{}{}", self.request.address.origin, located(path));
        named.extend([("$options".to_owned(), options), ("$url".to_owned(), url.into())]);
        let values = ScriptValues { input: "".into(), flow: flow_of(run), named, tools: &[] };
        let text = code.run(values, run).await?.into_text(false);
        Ok(ToolResult { text, ..ToolResult::default() })
    }
}

/// The path of an operation: what stands before a parameter, and the parameter's name; and what follows the last.
#[derive(Debug)]
struct PathTemplate(Vec<(String, String)>, String);

impl PathTemplate {
    fn read(path: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = path.split('#').next().unwrap_or_default();
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            pieces.push((before.to_owned(), name.to_owned()));
            rest = after;
        }
        Self(pieces, rest.to_owned())
    }

    /// Below the server's path, with the parameters in their places, and the query.
    ///
    /// # Errors
    /// A value would lead elsewhere in the path.
    fn filled(&self, server: &str, given: &Value) -> Result<String, String> {
        let part = |name: &str| given.get(name).and_then(Value::as_object);
        let mut path = server.trim_end_matches('/').to_owned();
        for (before, name) in &self.0 {
            path.push_str(before);
            match part("PathParameters").and_then(|given| given.get(name)).filter(|value| !value.is_null()) {
                Some(value) => path.push_str(&percent::component(&text_of(value))),
                None => path.extend(["{", name, "}"]),
            }
        }
        path.push_str(&self.1);
        let written: Vec<&str> = self.0.iter().flat_map(|(before, name)| [before.as_str(), name]).collect();
        let written = written.concat() + &self.1;
        if steps(&path) && !steps(server) && !steps(&written) {
            return Err(STEP.to_owned());
        }
        let queries = part("QueryParameters").into_iter().flatten().filter(|(_, value)| !value.is_null());
        let queries: Vec<(&String, String)> = queries.map(|(name, value)| (name, text_of(value))).collect();
        Ok(if queries.is_empty() { path } else { format!("{path}?{}", percent::pairs(&queries)) })
    }
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
mod fuzz;
#[cfg(test)]
mod tests;
