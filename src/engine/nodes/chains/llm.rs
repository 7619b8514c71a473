//! The LLM chain: one prompt, one answer, which a parser may make a value of.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, OutputParser, Reply, ReplyContent, ValueSource};
use crate::engine::contract::prompt::{Form, Prompt};
use crate::engine::contract::run::Run;
use crate::engine::nodes::moderation::{Moderations, moderations};

/// The place of a parser's instructions.
const FORMAT_INSTRUCTIONS: &str = "format_instructions";

/// The node `llmChain`.
pub(super) struct LlmChain;

impl NodeKind for LlmChain {
    fn names(&self) -> &'static [&'static str] {
        &["llmChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        if !inputs.has("prompt") {
            inputs.refuse("prompt", "a prompt is required");
        }
        let prompt = inputs.part_as("prompt", Part::into_prompt, "a prompt");
        let parser = inputs.part_as("outputParser", Part::into_parser, "an output parser");
        if parser.is_some() && prompt.as_ref().is_some_and(|prompt| prompt.form == Form::FewShot) {
            inputs.refuse("outputParser", "a few-shot prompt has no place for a parser's instructions");
        }
        let moderations = moderations(inputs);
        inputs.ignore(&["chainName"]);
        let chain = Arc::new(Llm { model: model?, prompt: prompt?, parser, moderations });
        Some(if inputs.output() == Some("outputPrediction") { Part::Value(chain) } else { Part::Chain(chain) })
    }
}

#[derive(Debug)]
struct Llm {
    model: Arc<dyn ChatModel>,
    prompt: Arc<Prompt>,
    parser: Option<Arc<dyn OutputParser>>,
    moderations: Moderations,
}

impl Llm {
    async fn asked(&self, question: &str, run: &Run<'_>, is_last: bool) -> Result<ReplyContent, Failure> {
        let question = match self.moderations.pass(question, run, is_last).await? {
            Ok(question) => question,
            Err(sentence) => return Ok(ReplyContent::Text(sentence)),
        };
        let prompt = self.prompt.read(run).await?;
        let instructions = self.parser.as_ref().map(|parser| parser.instructions());
        let known: Vec<String> = instructions.iter().map(|_| FORMAT_INSTRUCTIONS.to_owned()).collect();
        let mut values = prompt.bound(&question, &known, run).await?;
        if let Some(instructions) = &instructions {
            values.insert(FORMAT_INSTRUCTIONS.to_owned(), instructions.as_str().into());
        }
        let images = if self.model.sees_images() { run.request.images() } else { Vec::new() };
        let messages = prompt.messages(&values, &images, instructions.as_deref(), run).await?;
        // What is parsed is told whole.
        let tokens = (is_last && self.parser.is_none()).then_some(run.sink);
        let answered = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?;
        match &self.parser {
            Some(parser) => self.parsed(&**parser, answered.text, run).await,
            None => Ok(ReplyContent::Text(answered.text)),
        }
    }

    async fn parsed(&self, parser: &dyn OutputParser, text: String, run: &Run<'_>) -> Result<ReplyContent, Failure> {
        let error = match parser.parse(&text) {
            Ok(said) => return Ok(said),
            Err(error) if !parser.mends() => return Err(Failure::flow(error)),
            Err(error) => error,
        };
        let messages = [Message::user(mending(&parser.instructions(), &text, &error))];
        let answered = run.ask(&*self.model, ModelRequest::of(&messages)).await?;
        parser.parse(&answered.text).map_err(Failure::flow)
    }
}

/// What a model is told whose answer cannot be parsed; the words are those of `LangChain`.
pub(in crate::engine::nodes) fn mending(instructions: &str, completion: &str, error: &str) -> String {
    let rule = "--------------";
    format!(
        "Instructions:\n{rule}\n{instructions}\n{rule}\nCompletion:\n{rule}\n{completion}\n{rule}\n\nAbove, the \
         Completion did not satisfy the constraints given in the Instructions.\nError:\n{rule}\n{error}\n{rule}\n\n\
         Please try again. Please only respond with an answer that satisfies the constraints laid out in the \
         Instructions:"
    )
}

impl Chain for Llm {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let said = self.asked(question, run, is_last).await?;
            Ok(Reply { said, ..Reply::default() })
        })
    }
}

impl ValueSource for Llm {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            Ok(match self.asked(question, run, false).await? {
                ReplyContent::Text(text) => text.into(),
                ReplyContent::Json(value) => value,
            })
        })
    }
}
