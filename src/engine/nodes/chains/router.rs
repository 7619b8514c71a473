//! Chains that ask the model first which of several ways a question goes: to a prompt, or to documents.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, ChainRoute, Document, Reply, RouteEnd};
use crate::engine::contract::run::Run;
use crate::engine::nodes::moderation::moderations;
use crate::engine::nodes::parsers::repair;
use crate::engine::nodes::prompts;
use crate::engine::nodes::retrieval::chains::grounded;
use crate::engine::nodes::words::{rendered, words};
use crate::engine::text::template::Template;
use crate::wire::json::read_str;

// The words of `LangChain` (`@langchain/classic`, `chains/router` and `chains/conversation`), as models get them.
static TO_PROMPT: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/route-to-prompt.txt")));
static TO_RETRIEVER: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/route-to-retriever.txt")));
static TO_NONE: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/route-to-none.txt")));
/// What Flowise puts behind each prompt (`src/Interface`).
const QUESTION: &str = "\nHere is a question:\n{input}\n";
/// Where a question goes that suits none.
const DEFAULT: &str = "default";

/// The node `promptRetriever`: a prompt that such a chain may choose.
pub(super) struct PromptRetriever;

impl NodeKind for PromptRetriever {
    fn names(&self) -> &'static [&'static str] {
        &["promptRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("name");
        let description = inputs.text("description").unwrap_or_default();
        let text = inputs.text("systemMessage").unwrap_or_default() + QUESTION;
        let prompt = prompts::known_places(inputs, "systemMessage", &text, &["input"]);
        let (name, end) = (name?, RouteEnd::Prompt(prompt?));
        Some(Part::Route(Arc::new(ChainRoute { name, description, end })))
    }
}

/// A chain of this family.
pub(super) struct RouterChain {
    names: &'static [&'static str],
    /// The input with its ways.
    routes: &'static str,
    prompt: &'static LazyLock<Template>,
    /// Where the model's answer has the question.
    question: &'static str,
}

pub(super) static MULTI_PROMPT: RouterChain =
    RouterChain { names: &["multiPromptChain"], routes: "promptRetriever", prompt: &TO_PROMPT, question: "input" };
pub(super) static MULTI_RETRIEVAL: RouterChain = RouterChain {
    names: &["multiRetrievalQAChain"],
    routes: "vectorStoreRetriever",
    prompt: &TO_RETRIEVER,
    question: "query",
};

impl NodeKind for RouterChain {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let parts = inputs.parts(self.routes);
        let routes: Option<Vec<_>> = parts.into_iter().map(Part::into_route).collect();
        if routes.as_ref().is_none_or(Vec::is_empty) {
            inputs.refuse(self.routes, "expected retrievers");
        }
        let moderations = moderations(inputs);
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        let (prompt, question) = (self.prompt, self.question);
        let (model, routes) = (model?, routes?);
        Some(moderations.before(Router { model, routes, prompt, question, tells_sources }))
    }
}

#[derive(Debug)]
struct Router {
    model: Arc<dyn ChatModel>,
    routes: Vec<Arc<ChainRoute>>,
    prompt: &'static LazyLock<Template>,
    question: &'static str,
    tells_sources: bool,
}

impl Chain for Router {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let (route, question) = self.routed(question, run).await?;
            let mut sources: Option<Vec<Document>> = None;
            let messages = match route.map(|route| &route.end) {
                None => vec![Message::user(rendered(&TO_NONE, &[("input", &question)])?)],
                Some(RouteEnd::Prompt(prompt)) => {
                    let values = Map::from_iter([("input".to_owned(), question.as_str().into())]);
                    vec![Message::user(prompt.render_for(&values, run).map_err(Failure::flow)?)]
                }
                Some(RouteEnd::Documents(store)) => {
                    let found = store.find(&question, run).await?;
                    let messages = grounded(&found, &question);
                    sources = Some(found);
                    messages
                }
            };
            let tokens = is_last.then_some(run.sink);
            let answered = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?;
            let mut reply = Reply::text(answered.text);
            if let Some(sources) = sources.filter(|_| self.tells_sources) {
                reply.fields.insert("sourceDocuments".to_owned(), sources.iter().map(Document::to_json).collect());
            }
            Ok(reply)
        })
    }
}

impl Router {
    /// The way that the model chooses, and the question as it words it.
    async fn routed(&self, question: &str, run: &Run<'_>) -> Result<(Option<&Arc<ChainRoute>>, String), Failure> {
        let line = |route: &Arc<ChainRoute>| format!("{}: {}", route.name, route.description);
        let destinations = self.routes.iter().map(line).collect::<Vec<_>>().join("\n");
        let prompt = rendered(self.prompt, &[("destinations", &destinations), ("input", question)])?;
        let text = run.ask(&*self.model, ModelRequest::of(&[Message::user(prompt)])).await?.text;
        let (destination, question) = self.read(&text).map_err(Failure::flow)?;
        let Some(name) = destination.filter(|name| !name.eq_ignore_ascii_case(DEFAULT)) else {
            return Ok((None, question));
        };
        let route = self.routes.iter().rfind(|route| route.name == name).ok_or_else(|| {
            let known = self.routes.iter().map(|route| &*route.name).collect::<Vec<_>>().join(",");
            Failure::flow(format!("Destination {name} not found in destination chains with keys {known}"))
        })?;
        Ok((Some(route), question))
    }

    fn read(&self, text: &str) -> Result<(Option<String>, String), String> {
        let value = read_str::<Value>(text.trim()).or_else(|_| repair::read(text)).ok();
        let value = value.filter(|value| value.get("destination").is_none_or(Value::is_string));
        let next = value.as_ref().and_then(|value| value.get("next_inputs")?.get(self.question)?.as_str());
        let next = next.ok_or_else(|| format!("Failed to parse. Text: \"{text}\"."))?.to_owned();
        let destination = value.as_ref().and_then(|value| value.get("destination")?.as_str());
        // An empty name is none.
        Ok((destination.filter(|name| !name.is_empty()).map(str::to_owned), next))
    }
}

#[cfg(test)]
mod tests;
