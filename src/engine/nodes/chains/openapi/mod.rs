//! The `OpenAPI` chain: the model chooses an operation of a document, and what the API answers is the answer.

mod document;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderName;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use self::document::ChainApi;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::run::Run;
use crate::engine::nodes::files::texts;
use crate::engine::nodes::links::DocumentLink;
use crate::engine::nodes::moderation::moderations;
use crate::engine::nodes::tools::requests::request::HttpToolRequest;
use crate::engine::provider::Targets;
use crate::engine::provider::address::Address;
use crate::engine::text::mustache::Mustache;
use crate::engine::text::percent;
use crate::engine::text::percent::{STEP, located, steps};
use crate::engine::text::variables::text_of;

/// For the head of an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The node `openApiChain`.
pub(super) struct OpenApiChain;

impl NodeKind for OpenApiChain {
    fn names(&self) -> &'static [&'static str] {
        &["openApiChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let headers = super::api::headers(inputs);
        let moderations = moderations(inputs);
        let targets = Arc::clone(&inputs.compiler.context.targets);
        let document = if inputs.has("yamlLink") {
            // Flowise does not look at the file then.
            inputs.ignore(&["yamlFile"]);
            ApiDocument::Linked(DocumentLink::of(inputs, "yamlLink")?, OnceCell::new())
        } else if inputs.has("yamlFile") {
            let text = texts(inputs, "yamlFile")?.into_iter().next().unwrap_or_default();
            let api = ChainApi::read(&text).and_then(|api| Ok((reached(&api.server, &targets)?, api)));
            let (server, api) = api.map_err(|problem| inputs.refuse("yamlFile", problem)).ok()?;
            inputs.look_at(&server.endpoint);
            ApiDocument::Known(api)
        } else {
            inputs.lacks("yamlFile");
            return None;
        };
        let headers = headers?.into_iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?.to_owned())));
        let chain = CallsApi { model: model?, headers: headers.collect(), targets, document };
        Some(moderations.before(chain))
    }
}

/// Where a document's server is reached.
fn reached(server: &str, targets: &Targets) -> Result<Address, String> {
    Address::read(&Mustache::plain(server), targets, PATIENCE).map_err(|problem| format!("server {server}: {problem}"))
}

#[derive(Debug)]
enum ApiDocument {
    Known(ChainApi),
    /// Once it was read.
    Linked(DocumentLink, OnceCell<ChainApi>),
}

impl ApiDocument {
    async fn api(&self, run: &Run<'_>) -> Result<&ChainApi, Failure> {
        match self {
            Self::Known(api) => Ok(api),
            Self::Linked(link, api) => api.get_or_try_init(|| link.read(run, ChainApi::read)).await,
        }
    }
}

#[derive(Debug)]
struct CallsApi {
    model: Arc<dyn ChatModel>,
    headers: Vec<(HeaderName, String)>,
    targets: Arc<Targets>,
    document: ApiDocument,
}

impl Chain for CallsApi {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, _: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let api = self.document.api(run).await?;
            let prompt =
                [Message::user(format!("Use the provided API's to respond to this user query:\n\n{question}"))];
            let ask = ModelRequest { tools: &api.specs, ..ModelRequest::of(&prompt) };
            let answered = run.ask(&*self.model, ask).await?;
            let called = answered.calls.first();
            let called = called.ok_or_else(|| Failure::flow("No function_call in the model's answer"))?;
            Ok(Reply::text(self.called(api, called, run).await?))
        })
    }
}

impl CallsApi {
    /// What the API answers to a call.
    async fn called(&self, api: &ChainApi, call: &ToolCall, run: &Run<'_>) -> Result<String, Failure> {
        run.budget().tool_call()?;
        let ToolCall { name, arguments, .. } = call;
        let unknown = || Failure::flow(format!("the API has no operation {name}"));
        let (method, path) = api.calls.get(name).ok_or_else(unknown)?;
        let address = reached(&api.server, &self.targets).map_err(Failure::flow)?;
        let base = address.path.fixed().unwrap_or_default();
        let path = filled(path, arguments.get("path_params")).map_err(Failure::flow)?;
        let query = query(arguments.get("params"));
        let question_mark = if query.is_empty() { "" } else { "?" };
        let path = located(&format!("{}{path}{question_mark}{query}", base.trim_end_matches('/')));
        let (body, kind) = match arguments.get("data") {
            None => (Vec::new(), None),
            Some(_) if matches!(*method, Method::GET | Method::HEAD) => {
                return Err(Failure::flow("Request with GET/HEAD method cannot have body."));
            }
            Some(Value::String(text)) => (text.clone().into_bytes(), Some("text/plain")),
            Some(data @ (Value::Object(_) | Value::Array(_) | Value::Null)) => {
                (data.to_string().into_bytes(), Some("application/json"))
            }
            Some(data) => (data.to_string().into_bytes(), Some("text/plain")),
        };
        let headers = self.head(api, call).map_err(Failure::flow)?;
        let request = HttpToolRequest { method: method.clone(), address, headers };
        let answer = request.sent(path, kind, body, run).await?;
        let text = if answer.status.is_success() {
            answer.text
        } else {
            let reason = answer.status.canonical_reason().unwrap_or_default();
            format!("{}: {reason} for {name} called with {}", answer.status.as_u16(), Value::from(query))
        };
        run.budget().hold(text.len())?;
        Ok(text)
    }

    /// What the operation takes as headers, and what the author sends with each request, which counts more.
    fn head(&self, api: &ChainApi, call: &ToolCall) -> Result<Vec<(HeaderName, Mustache)>, String> {
        let spec = api.specs.iter().find(|spec| spec.name == call.name);
        let taken = spec.and_then(|spec| spec.parameters.pointer("/properties/headers/properties")?.as_object());
        let given = call.arguments.get("headers").and_then(Value::as_object).into_iter().flatten();
        let mut headers = Vec::new();
        for (name, value) in given.filter(|(name, _)| taken.is_some_and(|taken| taken.contains_key(*name))) {
            let name: HeaderName = name.parse().map_err(|_| format!("{name} is no name of a header"))?;
            if !self.headers.iter().any(|(own, _)| *own == name) {
                headers.push((name, Mustache::plain(&text_of(value))));
            }
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), Mustache::plain(value))));
        Ok(headers)
    }
}

/// A path with the model's values in it, each within its place.
fn filled(path: &str, given: Option<&Value>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), path);
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        let key = name.trim_end_matches('*');
        let value = given.and_then(|given| given.get(key)).filter(|value| !value.is_null());
        let value = value.ok_or_else(|| format!("the model gave nothing for {{{key}}} in the path"))?;
        let pair = |(key, value): (&String, &Value)| {
            let sign = if name.ends_with('*') { "=" } else { "," };
            [key, sign, &text_of(value)].concat()
        };
        let text = match value {
            Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
            Value::Object(fields) => fields.iter().map(pair).collect::<Vec<_>>().join(","),
            value => text_of(value),
        };
        filled.push_str(before);
        filled.push_str(&percent::component(&text));
        rest = after;
    }
    filled.push_str(rest);
    if steps(&filled) && !steps(path) { Err(STEP.to_owned()) } else { Ok(filled) }
}

/// Parameters that are something.
fn query(given: Option<&Value>) -> String {
    let none = Map::new();
    let given = given.and_then(Value::as_object).unwrap_or(&none).iter();
    let given = given.filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
    let given: Vec<(&String, String)> = given.map(|(name, value)| (name, text_of(value))).collect();
    percent::pairs(&given)
}

#[cfg(test)]
mod tests;
