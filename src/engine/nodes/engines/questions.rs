//! Queries that are taken apart into questions to several engines.

use std::sync::{Arc, LazyLock};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Map, Value};

use super::query::Synthesizer;
use super::reply;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Document, Reply};
use crate::engine::contract::run::Run;
use crate::engine::nodes::words::{rendered, words};
use crate::engine::text::template::Template;
use crate::wire::json::read_str;

/// `LlamaIndex`'s words (`Prompt`).
static QUESTIONS: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/questions.txt")));
/// Questions that are asked at once.
const AT_ONCE: usize = 8;

/// The node `queryEngineToolLlamaIndex`: an engine, and what it is for.
pub(super) struct QueryEngineTool;

impl NodeKind for QueryEngineTool {
    fn names(&self) -> &'static [&'static str] {
        &["queryEngineToolLlamaIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("toolName");
        let description = inputs.text("toolDesc").unwrap_or_default();
        if !inputs.has("baseQueryEngine") {
            inputs.refuse("baseQueryEngine", "a query engine is required");
        }
        let engine = inputs.part_as("baseQueryEngine", Part::into_chain, "a query engine");
        Some(Part::Own(Arc::new(EngineTool { name: name?, description, engine: engine? })))
    }
}

#[derive(Debug)]
pub(super) struct EngineTool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) engine: Arc<dyn Chain>,
}

/// The node `subQuestionQueryEngine`.
pub(super) struct SubQuestionQueryEngine;

impl NodeKind for SubQuestionQueryEngine {
    fn names(&self) -> &'static [&'static str] {
        &["subQuestionQueryEngine"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        // Nothing is searched with them.
        inputs.part("embeddings");
        let tools: Vec<Arc<EngineTool>> = inputs.all_own("queryEngineTools", "tools of query engines");
        let synthesizer = Synthesizer::read(inputs);
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        let (model, synthesizer) = (model?, synthesizer?);
        Some(Part::Chain(Arc::new(SubQuestionChain { model, tools, synthesizer, tells_sources })))
    }
}

#[derive(Debug)]
struct SubQuestionChain {
    model: Arc<dyn ChatModel>,
    tools: Vec<Arc<EngineTool>>,
    synthesizer: Arc<Synthesizer>,
    tells_sources: bool,
}

impl Chain for SubQuestionChain {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            if is_last {
                run.sink.start_with_first_token();
            }
            let questions = self.questions(question, run).await?;
            let asking = questions.iter().map(|(tool, question)| self.asked(tool, question, run));
            let answers: Vec<_> = stream::iter(asking).buffered(AT_ONCE).collect().await;
            let answers: Vec<Option<Document>> = answers.into_iter().collect::<Result<_, _>>()?;
            let found: Vec<Document> = answers.into_iter().flatten().collect();
            let tokens = is_last.then_some(run.sink);
            let text = self.synthesizer.answer(&*self.model, (question, &found), tokens, run).await?;
            Ok(reply(text, Some(&*found).filter(|_| self.tells_sources)))
        })
    }
}

impl SubQuestionChain {
    /// Names of tools, and what each is asked.
    async fn questions(&self, query: &str, run: &Run<'_>) -> Result<Vec<(String, String)>, Failure> {
        let tools = self.tools.iter().map(|tool| (tool.name.clone(), tool.description.as_str().into()));
        let tools = serde_json::to_vec_pretty(&tools.collect::<Map<_, Value>>());
        // Four blanks, where Rust's writer has two.
        let tools = String::from_utf8_lossy(&tools.unwrap_or_default()).replace("\n  \"", "\n    \"");
        let prompt = [Message::user(rendered(&QUESTIONS, &[("tools", &tools), ("query", query)])?)];
        let text = run.ask(&*self.model, ModelRequest::of(&prompt)).await?.text;
        read(&text).ok_or_else(|| Failure::flow("Not a json markdown"))
    }

    /// A question and its answer; `None`: nobody has one, as far as the library tells.
    async fn asked(&self, tool: &str, question: &str, run: &Run<'_>) -> Result<Option<Document>, Failure> {
        let Some(tool) = self.tools.iter().find(|known| known.name == tool) else { return Ok(None) };
        run.budget().step()?;
        let answered = match tool.engine.answer(question, run, false).await {
            Ok(reply) => reply.said.into_text(),
            Err(failure) if failure.ends_run() => return Err(failure),
            Err(_) => return Ok(None),
        };
        let text = format!("Sub question: {question}\nResponse: {answered}");
        Ok((!answered.is_empty()).then(|| Document { text, metadata: Map::new() }))
    }
}

/// A list in an answer, or the one object that stands there.
fn read(text: &str) -> Option<Vec<(String, String)>> {
    let (square, brace) = (text.find('['), text.find('{'));
    let is_list = square.is_some_and(|square| brace.is_none_or(|brace| square < brace));
    let (begin, end) = if is_list { (square?, text.rfind(']')?) } else { (brace?, text.rfind('}')?) };
    let value: Value = read_str(text.get(begin..=end)?).ok()?;
    let listed = match value {
        Value::Array(items) => items,
        value => vec![value],
    };
    let question = |item: &Value| {
        let field = |name: &str| item.get(name)?.as_str().map(str::to_owned);
        Some((field("toolName")?, field("subQuestion")?))
    };
    Some(listed.iter().filter_map(question).collect())
}

#[cfg(test)]
mod tests;
