//! Chains that ask an API: the model makes a request of what the API's documentation says, and an answer of what came
//! back. Only the servers that the documentation names are asked.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::run::Run;
use crate::engine::nodes::prompts;
use crate::engine::nodes::words::rendered;
use crate::engine::provider::address::{Address, split};
use crate::engine::provider::{Incoming, ProviderCall};
use crate::engine::text::mustache::Mustache;
use crate::engine::text::percent::located;
use crate::engine::text::template::Template;
use crate::wire::json::read_str;

// Flowise's words (`nodes/chains/ApiChain`), where the node says nothing.
const GET_URL: &str = include_str!("words/get-url.txt");
const GET_ANSWER: &str =
    "Given this {api_response} response for {api_url}. use the given response to answer this {question}";
const POST_URL: &str = include_str!("words/post-url.txt");
const POST_ANSWER: &str = include_str!("words/post-answer.txt");
/// For the head of an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of an answer, in bytes.
const LONGEST: usize = 256 * 1024;
/// Servers that a documentation names.
const MOST_SERVERS: usize = 32;

/// A node of this family.
pub(super) struct ApiChain {
    names: &'static [&'static str],
    method: Method,
    url: &'static str,
    answer: &'static str,
    /// The place of the request in the second prompt.
    asked: &'static str,
}

pub(super) static GET: ApiChain =
    ApiChain { names: &["getApiChain"], method: Method::GET, url: GET_URL, answer: GET_ANSWER, asked: "api_url" };
pub(super) static POST: ApiChain = ApiChain {
    names: &["postApiChain"],
    method: Method::POST,
    url: POST_URL,
    answer: POST_ANSWER,
    asked: "api_url_body",
};

impl NodeKind for ApiChain {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let docs = inputs.required_text("apiDocs");
        let docs = docs.unwrap_or_default();
        let servers = servers(&docs, inputs);
        let headers = headers(inputs);
        let url = inputs.text("urlPrompt").unwrap_or_else(|| self.url.trim_end().to_owned());
        let url = prompts::known_places(inputs, "urlPrompt", &url, &["api_docs", "question"]);
        let answer = inputs.text("ansPrompt").unwrap_or_else(|| self.answer.trim_end().to_owned());
        let known = ["api_docs", "question", self.asked, "api_response"];
        let answer = prompts::known_places(inputs, "ansPrompt", &answer, &known);
        Some(Part::Chain(Arc::new(AsksApi {
            model: model?,
            docs,
            servers,
            headers: headers?,
            method: self.method.clone(),
            url: url?,
            answer: answer?,
            asked: self.asked,
        })))
    }
}

/// The servers whose addresses stand in a documentation.
fn servers(docs: &str, inputs: &mut Inputs<'_, '_, '_>) -> Vec<Address> {
    let mut servers: Vec<Address> = Vec::new();
    let is_end = |letter: char| letter.is_whitespace() || "\"'`<>(){}[],;\\|".contains(letter);
    let starts = docs.match_indices("http").map(|(at, _)| docs.get(at..).unwrap_or_default());
    for text in starts.filter(|text| text.starts_with("http://") || text.starts_with("https://")) {
        let url = text.split(is_end).next().unwrap_or_default().trim_end_matches(['.', ':']);
        let origin = split(url).and_then(|end| url.get(..end)).unwrap_or_default();
        if servers.len() >= MOST_SERVERS || servers.iter().any(|known| known.origin.eq_ignore_ascii_case(origin)) {
            continue;
        }
        if let Ok(server) = Address::read(&Mustache::plain(origin), &inputs.compiler.context.targets, PATIENCE) {
            inputs.look_at(&server.endpoint);
            servers.push(server);
        }
    }
    if servers.is_empty() && !docs.is_empty() {
        inputs.refuse("apiDocs", "it names no server, such as https://api.example.com, and only named ones are asked");
    }
    servers
}

/// What the author sends with each request.
pub(super) fn headers(inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let Some(value) = inputs.json("headers") else { return Some(Vec::new()) };
    let field = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((name.parse().ok()?, HeaderValue::from_str(&text).ok()?))
    };
    let headers: Option<Vec<_>> = value.as_object().and_then(|fields| fields.iter().map(field).collect());
    if headers.is_none() {
        inputs.refuse("headers", "expected a JSON object with headers");
    }
    headers
}

#[derive(Debug)]
struct AsksApi {
    model: Arc<dyn ChatModel>,
    docs: String,
    servers: Vec<Address>,
    headers: Vec<(HeaderName, HeaderValue)>,
    method: Method,
    url: Template,
    answer: Template,
    asked: &'static str,
}

impl Chain for AsksApi {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            // Flowise tells all that the model says.
            let tokens = is_last.then_some(run.sink);
            let values = [("api_docs", self.docs.as_str()), ("question", question)];
            let prompt = [Message::user(rendered(&self.url, &values)?)];
            let asked = run.ask(&*self.model, ModelRequest::of(&prompt).telling(tokens)).await?.text;
            let response = self.response(&asked, run).await?;
            let more = [(self.asked, asked.as_str()), ("api_response", response.as_str())];
            let prompt = [Message::user(rendered(&self.answer, &[&values[..], &more].concat())?)];
            let answered = run.ask(&*self.model, ModelRequest::of(&prompt).telling(tokens)).await?;
            Ok(Reply::text(answered.text))
        })
    }
}

impl AsksApi {
    /// What the API answers to the request as the model writes it.
    async fn response(&self, asked: &str, run: &Run<'_>) -> Result<String, Failure> {
        run.budget().tool_call()?;
        let (url, body) = match self.method {
            Method::GET => (asked.trim().to_owned(), None),
            _ => written(asked).map_err(Failure::flow)?,
        };
        let unknown = || Failure::flow(format!("Failed to parse URL from {url}"));
        let end = split(&url).ok_or_else(unknown)?;
        let (origin, path) = url.split_at_checked(end).ok_or_else(unknown)?;
        let server = self.servers.iter().find(|server| server.origin.eq_ignore_ascii_case(origin));
        let server = server.ok_or_else(|| {
            Failure::flow(format!("{origin} is no server that the API's documentation names; nothing was asked of it"))
        })?;
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let mut headers = self.headers.clone();
        // As fetch does with a text.
        if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8")));
        }
        let (path, body) = (located(&path), body.unwrap_or_default().into());
        let call = ProviderCall { method: self.method.clone(), path: &path, headers: &headers, body };
        let answer = server.endpoint.call_api(call, run).await?;
        let mut bytes = Incoming::new(answer).beginning(LONGEST).await?;
        bytes.truncate(LONGEST);
        let text = String::from_utf8_lossy(&run.watch.redactor.without_keys(bytes)).into_owned();
        run.budget().hold(text.len())?;
        Ok(text)
    }
}

/// An address and a body, in JSON.
fn written(asked: &str) -> Result<(String, Option<Vec<u8>>), String> {
    let value = read_str::<Value>(asked.trim()).map_err(|error| format!("The model's request is no JSON: {error}"))?;
    let url = value.get("url").and_then(Value::as_str).ok_or("The model's request has no url.")?;
    let body = value.get("data").map(serde_json::to_vec).transpose().map_err(|error| error.to_string())?;
    Ok((url.to_owned(), Some(body.unwrap_or_default())))
}

#[cfg(test)]
mod tests;
