//! Search engines and other services that are asked with a text: a table of what each is asked, and of what a model is
//! told of its answer.

mod answers;
mod arxiv;
mod exa;
mod papers;
mod searxng;
mod simple;
mod tavily;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::arguments::parameters;
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderEndpoint, ProviderResponse};
use crate::engine::text::header::secret_header;
use crate::engine::text::variables::text_of;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &simple::BRAVE,
    &simple::GOOGLE,
    &simple::SEARCH_API,
    &simple::SERP_API,
    &simple::SERPER,
    &simple::WOLFRAM,
    &arxiv::Arxiv,
    &exa::ExaSearch,
    &searxng::SearXng,
    &tavily::TavilySearch,
];

/// For the head of an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a service is asked.
#[derive(Debug, Default)]
struct Asked {
    method: Method,
    /// With its query.
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Asked {
    fn get(path: &str) -> Self {
        // As addresses are written before they are sent.
        Self { path: path.replace('\'', "%27"), ..Self::default() }
    }

    fn post(path: &str, body: &Value) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Self { method: Method::POST, path: path.to_owned(), headers, body: body.to_string().into_bytes() }
    }

    fn accepting_json(self) -> Self {
        self.with(ACCEPT, HeaderValue::from_static("application/json"))
    }

    /// With a header that holds a key.
    fn with_key(self, name: &'static str, key: &str) -> Result<Self, Failure> {
        let value = secret_header(key).map_err(Failure::flow)?;
        Ok(self.with(HeaderName::from_static(name), value))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A service that one thing is asked of: what goes out for a model's arguments, and what of an answer it is told.
trait Service: fmt::Debug + Send + Sync {
    fn asked(&self, arguments: &Value) -> Result<Asked, Failure>;

    /// # Errors
    /// What is wrong with the answer, in Flowise's words.
    fn told(&self, answer: &ProviderResponse, arguments: &Value) -> Result<String, String>;

    /// What Flowise makes of a failure before there is an answer.
    fn failed(&self, failure: Failure, _run: &Run<'_>) -> Result<String, Failure> {
        Err(failure)
    }
}

/// The tool of a service.
#[derive(Debug)]
struct ServiceTool<S> {
    spec: ToolSpec,
    endpoint: ProviderEndpoint,
    service: S,
}

impl<S: Service> Tool for ServiceTool<S> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let Asked { method, path, headers, body } = self.service.asked(arguments)?;
            let call = ProviderCall { method, path: &path, headers: &headers, body: body.into() };
            let text = match self.endpoint.fetch(call, run).await {
                Ok(answer) => self.service.told(&answer, arguments).map_err(Failure::Refused)?,
                Err(failure) if failure.ends_run() => return Err(failure),
                Err(failure) => self.service.failed(failure, run)?,
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

/// The endpoint of a service that everybody knows.
fn endpoint(origin: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<ProviderEndpoint> {
    let found = inputs.compiler.context.targets.outward(origin, Some(PATIENCE));
    found.map_err(|error| inputs.compiler.of_node(inputs.node, None, error)).ok()
}

/// A tool with one text as its argument.
pub(in crate::engine::nodes::tools) fn of_text(name: &str, description: &str) -> ToolSpec {
    let parameters = parameters(&json!({ "input": { "type": "string" } }), &[]);
    ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters }
}

/// The one text.
fn input(arguments: &Value) -> String {
    arguments.get("input").filter(|input| !input.is_null()).map(text_of).unwrap_or_default()
}

/// A key, where there is one; without, the service says no.
fn exposed(key: Option<&Secret>) -> &str {
    key.map(Secret::expose).unwrap_or_default()
}
