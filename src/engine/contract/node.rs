//! What nodes may use each other for, and what they hand on.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Task;
use super::failure::Failure;
use super::message::ToolSpec;
use super::run::Run;
use crate::engine::text::template::Template;

/// What answers a question.
pub(crate) trait Chain: fmt::Debug + Send + Sync {
    /// `is_last`: nothing comes after it, so its tokens are the client's.
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply>;
}

/// What gives a value for other nodes: a chain's prediction, a variable.
pub(crate) trait ValueSource: fmt::Debug + Send + Sync {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value>;
    /// Whether an object that it gives stands in a text as JSON, with all that JSON escapes.
    fn is_told_as_json(&self) -> bool {
        false
    }
    /// For a node that flows branch at: which way.
    fn decides<'a>(&'a self, _question: &'a str, _run: &'a Run<'a>) -> Task<'a, bool> {
        Box::pin(async { Ok(true) })
    }
}

/// An answer as a chain gives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reply {
    pub(crate) said: ReplyContent,
    /// Further fields of the JSON answer: `sourceDocuments`, `usedTools`, ...
    pub(crate) fields: Map<String, Value>,
    /// The label of the memory that was used.
    pub(crate) memory: Option<String>,
    /// Of an agentflow.
    pub(crate) executed: Option<Executed>,
    /// Of agents of before there were agentflows.
    pub(crate) agents: Option<AgentsReport>,
    /// Variables that the flow's author wants to be shown.
    pub(crate) variables: Map<String, Value>,
    /// What might be asked next.
    pub(crate) follow_ups: Vec<String>,
}

/// What an agentflow's answer has beside its text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Executed {
    pub(crate) id: String,
    /// The id of the answer's message.
    pub(crate) message: String,
    /// What was run.
    pub(crate) nodes: Vec<Value>,
    /// What the user is asked for before it goes on.
    pub(crate) action: Option<Value>,
}

/// What an answer of agents has beside its text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AgentsReport {
    /// Who did what.
    pub(crate) reasoning: Vec<Value>,
    /// What the user is asked for before they go on.
    pub(crate) action: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReplyContent {
    Text(String),
    /// From an output parser.
    Json(Value),
}

impl Default for ReplyContent {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl ReplyContent {
    /// As a value for a template.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Json(value) => value.to_string(),
        }
    }

    /// As chats remember it.
    pub(crate) fn remembered(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            // As Flowise stores it, without an end of the block.
            Self::Json(value) => format!("```json\n{value:#}").into(),
        }
    }
}

impl Reply {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { said: ReplyContent::Text(text.into()), ..Self::default() }
    }
}

/// Makes a value of a model's text.
pub(crate) trait OutputParser: fmt::Debug + Send + Sync {
    /// What the model is told about the format.
    fn instructions(&self) -> String;
    /// # Errors
    /// What is wrong with the text.
    fn parse(&self, text: &str) -> Result<ReplyContent, String>;
    /// Whether a model may be asked to mend what cannot be parsed.
    fn mends(&self) -> bool {
        false
    }
}

/// Looks at what goes to a model.
pub(crate) trait Moderation: fmt::Debug + Send + Sync {
    /// The text to go on with, or, in [`Err`], the sentence to answer with instead.
    fn check<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Result<String, String>>;
}

pub(crate) trait Embeddings: fmt::Debug + Send + Sync {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>>;
    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>>;
}

/// A text with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) metadata: Map<String, Value>,
}

impl Document {
    /// As answers show it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "pageContent": self.text, "metadata": self.metadata })
    }
}

pub(crate) trait Splitter: fmt::Debug + Send + Sync {
    fn split(&self, text: &str) -> Result<Vec<String>, String>;
    /// Where in the text each piece lies, and so on, as Flowise notes it.
    fn split_documents(&self, documents: &[Document]) -> Result<Vec<Document>, String>;
}

pub(crate) trait DocumentSource: fmt::Debug + Send + Sync {
    fn documents<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Arc<[Document]>>;
}

pub(crate) trait Retriever: fmt::Debug + Send + Sync {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>>;
    /// The store that it looks into, where it is one itself.
    fn store(self: Arc<Self>) -> Option<Arc<dyn VectorStore>> {
        None
    }
}

/// What holds passages, to be searched.
pub(crate) trait VectorStore: Retriever {
    /// The nearest passages and how near they are, best first.
    fn nearest<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>>;
    /// The same, so many of them.
    fn nearest_of<'a>(&'a self, question: &'a str, most: usize, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>>;
    /// How many are found where nothing else is said.
    fn most(&self) -> usize;
    /// Whether somebody else's filter, in JSON, may say what is found.
    fn takes_filters(&self) -> bool {
        false
    }
    /// As [`nearest_of`](Self::nearest_of), by such a filter.
    fn nearest_by<'a>(
        &'a self,
        _question: &'a str,
        _most: usize,
        _by: Narrowing<'a>,
        _run: &'a Run<'a>,
    ) -> Task<'a, Vec<(Document, f32)>> {
        Box::pin(async { Err(Failure::flow("This vector store takes no filters.")) })
    }
    /// Whether it tells in words of its own what it finds.
    fn sums_up(&self) -> bool {
        false
    }
    /// The same, in such words.
    fn summary<'a>(&'a self, _question: &'a str, _wish: &'a SummaryWish, _run: &'a Run<'a>) -> Task<'a, Summary> {
        Box::pin(async { Err(Failure::flow("This vector store sums nothing up.")) })
    }
    /// Puts in what is connected to it.
    fn upsert<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, PutDocuments>;
}

/// A filter of metadata, in the language of a vector store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Narrowing<'a> {
    pub(crate) filter: &'a Map<String, Value>,
    /// Whether the fields of the store's own filter count beside these.
    pub(crate) adds: bool,
}

/// How a vector store is to sum up.
#[derive(Debug)]
pub(crate) struct SummaryWish {
    /// The name of the prompt that it has for that.
    pub(crate) prompt: String,
    pub(crate) language: String,
    /// Of how many passages.
    pub(crate) most: u64,
}

/// What a vector store says of the passages that it found.
#[derive(Debug)]
pub(crate) struct Summary {
    /// With the numbers of passages in brackets, from one.
    pub(crate) text: String,
    pub(crate) passages: Vec<Document>,
}

/// What was put into a vector store.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PutDocuments {
    pub(crate) documents: Vec<Document>,
    /// Where a record manager compares.
    pub(crate) counts: Option<PutCounts>,
}

/// What a record manager found beside what is new.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PutCounts {
    pub(crate) deleted: usize,
    /// There already.
    pub(crate) skipped: usize,
    /// All that is noted.
    pub(crate) total: u64,
}

/// A way that a chain may choose for a question.
#[derive(Debug)]
pub(crate) struct ChainRoute {
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: String,
    pub(crate) end: RouteEnd,
}

impl ChainRoute {
    /// Of a store that comes without a name and a description.
    pub(crate) fn unnamed(store: Arc<dyn VectorStore>) -> Arc<Self> {
        let name = || "undefined".to_owned();
        Arc::new(Self { name: name(), description: name(), end: RouteEnd::Documents(store) })
    }

    /// Where it leads to documents.
    pub(crate) fn documents(&self) -> Option<Arc<dyn Retriever>> {
        match &self.end {
            RouteEnd::Documents(documents) => Some(Arc::clone(documents)),
            RouteEnd::Prompt(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum RouteEnd {
    /// With a place for the question.
    Prompt(Template),
    Documents(Arc<dyn Retriever>),
}

/// What a model may call.
pub(crate) trait Tool: fmt::Debug + Send + Sync {
    fn spec(&self) -> &ToolSpec;
    /// The result as the model reads it, and documents that it comes from.
    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult>;
    /// Its result is the answer.
    fn returns_directly(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ToolResult {
    pub(crate) text: String,
    pub(crate) sources: Vec<Document>,
    /// What it was called with in the end, where its author had a say in that.
    pub(crate) arguments: Option<Value>,
}

impl ToolResult {
    /// What is shown of a call.
    pub(crate) fn called_with<'a>(&'a self, asked: &'a Value) -> &'a Value {
        self.arguments.as_ref().unwrap_or(asked)
    }
}
