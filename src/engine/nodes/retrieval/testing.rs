//! A model and embeddings for tests, as the stub behind the recorded transcripts: the model repeats the last question,
//! embeddings count words. Both note what they were asked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::compile::context::CompileContext;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::compile::problem::NodeProblem;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Embeddings, Reply};
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::{Run, Services};
use crate::engine::contract::sink::Sink;
use crate::engine::contract::watch::RunWatch;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::CompiledFlow;
use crate::engine::provider::Targets;
use crate::engine::testing::services;
use crate::telemetry::metrics::Metrics;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&StubModel, &StubEmbeddings];

thread_local! {
    static ASKED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

/// What models and embeddings were asked since the last time.
pub(in crate::engine::nodes) fn asked() -> Vec<Value> {
    ASKED.with_borrow_mut(std::mem::take)
}

#[derive(Debug)]
struct StubModel;

impl NodeKind for StubModel {
    fn names(&self) -> &'static [&'static str] {
        &["stubModel"]
    }

    fn build(&self, _inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        Some(Part::Model(Arc::new(Self)))
    }
}

impl ChatModel for StubModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, _run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        let role = |message: &Message| match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let messages: Vec<Value> = ask
            .messages
            .iter()
            .map(|message| json!({ "role": role(message), "content": message.content.plain() }))
            .collect();
        ASKED.with_borrow_mut(|asked| asked.push(json!({ "messages": messages })));
        let last = ask.messages.last().map(|message| message.content.plain()).unwrap_or_default();
        let text = format!("Stub answer to: {last}");
        if let Some(sink) = ask.tokens {
            let spaces: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]).collect();
            sink.begin();
            spaces.iter().zip([0].iter().chain(&spaces)).for_each(|(to, from)| sink.token(&text[*from..*to]));
        }
        Box::pin(async move { Ok(ModelAnswer { text, ..ModelAnswer::default() }) })
    }

    fn name(&self) -> &'static str {
        "test"
    }
}

#[derive(Debug)]
struct StubEmbeddings;

impl NodeKind for StubEmbeddings {
    fn names(&self) -> &'static [&'static str] {
        &["stubEmbeddings"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(&["credential"]);
        Some(Part::Embeddings(Arc::new(Self)))
    }
}

/// Of words; with so many, the stub's order of the example's passages comes out.
const PLACES: usize = 64;

fn words(text: &str) -> Vec<f32> {
    let mut counts = vec![0.0; PLACES];
    for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let place = word.bytes().fold(7_usize, |hash, byte| (hash * 31 + usize::from(byte)) % PLACES);
        counts[place] += 1.0;
    }
    counts
}

impl Embeddings for StubEmbeddings {
    fn embed_all<'a>(&'a self, texts: &'a [String], _run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        ASKED.with_borrow_mut(|asked| asked.push(json!({ "input": texts })));
        Box::pin(async move { Ok(texts.iter().map(|text| words(text)).collect()) })
    }

    fn embed_question<'a>(&'a self, text: &'a str, _run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        ASKED.with_borrow_mut(|asked| asked.push(json!({ "input": text.replace('\n', " ") })));
        Box::pin(async move { Ok(words(text)) })
    }
}

/// An example export with the stub in place of providers.
pub(in crate::engine::nodes) fn retrieval_qa() -> Value {
    let text = include_str!("../../../../tests/flowise/flows/retrieval-qa.json");
    let text = text.replace("\"chatOpenAI\"", "\"stubModel\"").replace("\"openAIEmbeddings\"", "\"stubEmbeddings\"");
    let mut export: Value = serde_json::from_str(&text).unwrap();
    for node in export["nodes"].as_array_mut().unwrap() {
        if node["data"]["name"].as_str().is_some_and(|name| name.starts_with("stub")) {
            node["data"]["inputs"] = json!({});
        }
    }
    export
}

/// The inputs of a node.
pub(in crate::engine::nodes) fn inputs<'a>(export: &'a mut Value, id: &str) -> &'a mut Value {
    let nodes = export["nodes"].as_array_mut().unwrap();
    &mut nodes.iter_mut().find(|node| node["id"] == id).unwrap()["data"]["inputs"]
}

pub(in crate::engine::nodes) fn load(export: &Value) -> Result<CompiledFlow, Vec<NodeProblem>> {
    load_with(export, &Arc::default())
}

pub(in crate::engine::nodes) fn load_with(
    export: &Value,
    stores: &Arc<DocumentStores>,
) -> Result<CompiledFlow, Vec<NodeProblem>> {
    loaded(None, export, stores)
}

/// With the files of a folder beside it.
pub(in crate::engine::nodes) fn load_beside(folder: &Path, export: &Value) -> Result<CompiledFlow, Vec<NodeProblem>> {
    loaded(Some(folder.to_owned()), export, &Arc::default())
}

fn loaded(
    folder: Option<PathBuf>,
    export: &Value,
    stores: &Arc<DocumentStores>,
) -> Result<CompiledFlow, Vec<NodeProblem>> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let targets = Targets::alone("engine", &metrics);
    let context = CompileContext::new(HashMap::new(), targets).with_stores(Arc::clone(stores));
    CompiledFlow::load(folder, "test", &export.to_string(), &Arc::new(context))
}

/// Where a flow runs.
pub(in crate::engine::nodes) struct Stage(Services);

impl Stage {
    pub(in crate::engine::nodes) fn new() -> Self {
        Self(services())
    }

    /// Does something in the course of a request.
    pub(in crate::engine::nodes) fn run(&self, work: impl AsyncFnOnce(&Run<'_>)) {
        let (request, sink) = (RunRequest::default(), Sink::flowise());
        let run = Run {
            services: &self.0,
            flow: "test",
            request: &request,
            sink: &sink,
            watch: &RunWatch::default(),
            trace: None,
            names: None,
        };
        runtime().block_on(work(&run));
    }

    /// An answer and the events that came before its end.
    pub(in crate::engine::nodes) fn ask(&self, flow: &CompiledFlow, body: &Value) -> (Result<Reply, Failure>, String) {
        let request = RunRequest::read(body);
        let sink = Sink::flowise();
        let run = Run {
            services: &self.0,
            flow: &flow.name,
            request: &request,
            sink: &sink,
            watch: &RunWatch::default(),
            trace: None,
            names: None,
        };
        let reply = runtime().block_on(flow.answer(&run));
        (reply, sink.told())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
