//! Chains that answer from documents.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::moderation::moderations;
use super::super::prompts::known_places;
use super::stores::looked_into;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Document, Reply, Retriever};
use crate::engine::contract::run::Run;
use crate::engine::text::template::Template;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&ConversationalQa, &PlainQa, &VectorDbQa];

/// What models are told where the flow's author wrote nothing else, word for word as Flowise tells them.
mod prompts {
    pub(super) const REPHRASE: &str = "Given the following conversation and a follow up question, rephrase the follow \
        up question to be a standalone question.\n\nChat History:\n{chat_history}\nFollow Up Input: \
        {question}\nStandalone Question:";
    pub(super) const RESPONSE: &str = "I want you to act as a document that I am having a conversation with. Your name \
        is \"AI Assistant\". Using the provided context, answer the user's question to the best of your ability using \
        the resources provided.\nIf there is nothing in the context relevant to the question at hand, just say \"Hmm, \
        I'm not sure\" and stop after that. Refuse to answer any question not about the info. Never break \
        character.\n------------\n{context}\n------------\nREMEMBER: If there is no relevant information within the \
        context, just say \"Hmm, I'm not sure\". Don't try to make up an answer. Never break character.";
    /// Behind a system message of older flows.
    pub(super) const AFTER_SYSTEM: &str = "Use the following pieces of context to answer the question at the \
        end.\n\n{context}\n\nQuestion: {question}\nHelpful Answer:";
    pub(super) const PLAIN: &str = "Use the following pieces of context to answer the users question. \nIf you don't \
        know the answer, just say that you don't know, don't try to make up an answer.\n----------------\n{context}";
}

struct ConversationalQa;

impl NodeKind for ConversationalQa {
    fn names(&self) -> &'static [&'static str] {
        &["conversationalRetrievalQAChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let retriever = retriever(inputs);
        let memory = inputs.part_as("memory", Part::into_memory, "a memory");
        // Without a memory node Flowise remembers all the same.
        inputs.compiler.remembers = true;
        let default = || Memory::verbatim(String::new(), None);
        let memory = if inputs.has("memory") { memory } else { Some(Arc::new(default())) };
        let rephrase = inputs.text("rephrasePrompt").unwrap_or_else(|| prompts::REPHRASE.to_owned());
        let rephrase = known_places(inputs, "rephrasePrompt", &rephrase, &["chat_history", "question"]);
        let response = inputs.text("responsePrompt").unwrap_or_else(|| prompts::RESPONSE.to_owned());
        let system = inputs.text("systemMessagePrompt");
        let response = match system {
            Some(system) => {
                let whole = format!("{system}\n{}", prompts::AFTER_SYSTEM);
                known_places(inputs, "systemMessagePrompt", &whole, &["context", "question"])
            }
            None => known_places(inputs, "responsePrompt", &response, &["context", "question"]),
        };
        let moderations = moderations(inputs);
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        Some(moderations.before(RetrievalConversation {
            model: model?,
            retriever: retriever?,
            memory: memory?,
            rephrase: rephrase?,
            response: response?,
            tells_sources,
        }))
    }
}

pub(in crate::engine::nodes) fn retriever(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn Retriever>> {
    if !inputs.has("vectorStoreRetriever") {
        inputs.refuse("vectorStoreRetriever", "a retriever is required");
    }
    inputs.part_as("vectorStoreRetriever", Part::into_retriever, "a retriever")
}

/// Passages as models are told them.
pub(in crate::engine::nodes) fn in_documents(found: &[Document]) -> String {
    let told = (0..).zip(found).map(|(number, document): (u32, &Document)| {
        let text = &document.text;
        format!("<doc id='{number}'>{text}</doc>")
    });
    told.collect::<Vec<_>>().join("\n")
}

/// What was said before, line by line.
pub(in crate::engine::nodes) fn told_lines(past: &[Message]) -> String {
    let line = |turn: &Message| {
        let who = if turn.role == Role::User { "Human" } else { "Assistant" };
        let text = turn.content.plain();
        (!text.trim().is_empty()).then(|| format!("{who}: {text}"))
    };
    past.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn filled(template: &Template, values: &[(&str, &str)], run: &Run<'_>) -> Result<String, Failure> {
    let values: Map<String, Value> =
        values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    template.render_for(&values, run).map_err(Failure::flow)
}

#[derive(Debug)]
struct RetrievalConversation {
    model: Arc<dyn ChatModel>,
    retriever: Arc<dyn Retriever>,
    memory: Arc<Memory>,
    /// Makes a question of its own of one that refers to what was said before.
    rephrase: Template,
    response: Template,
    tells_sources: bool,
}

impl Chain for RetrievalConversation {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let past = self.memory.spoken(run).await?;
            let found = match past.as_slice() {
                [] => self.retriever.find(question, run).await?,
                past => {
                    let standalone = self.standalone(past, question, run).await?;
                    self.retriever.find(&standalone, run).await?
                }
            };
            let context = in_documents(&found);
            let system = filled(&self.response, &[("context", &context), ("question", question)], run)?;
            let mut messages = vec![Message::system(system)];
            messages.extend(past);
            messages.push(Message::user(question));
            if is_last {
                run.sink.start_with_first_token();
            }
            let tokens = is_last.then_some(run.sink);
            let answered = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?;
            self.memory.keep(question, &answered.text, run).await?;
            let mut reply = Reply::text(answered.text);
            if self.tells_sources {
                let sources = found.iter().map(Document::to_json).collect();
                reply.fields.insert("sourceDocuments".to_owned(), sources);
            }
            Ok(reply)
        })
    }
}

impl RetrievalConversation {
    async fn standalone(&self, past: &[Message], question: &str, run: &Run<'_>) -> Result<String, Failure> {
        let line = |turn: &Message| {
            let who = if turn.role == Role::User { "human" } else { "ai" };
            format!("{who}: {}", turn.content.plain())
        };
        let history = past.iter().map(line).collect::<Vec<_>>().join("\n");
        let prompt = filled(&self.rephrase, &[("chat_history", &history), ("question", question)], run)?;
        Ok(run.ask(&*self.model, ModelRequest::of(&[Message::user(prompt)])).await?.text)
    }
}

/// A question behind what documents say.
pub(in crate::engine::nodes) fn grounded(found: &[Document], question: &str) -> Vec<Message> {
    let context: Vec<&str> = found.iter().map(|document| document.text.as_str()).collect();
    let system = prompts::PLAIN.replace("{context}", &context.join("\n\n"));
    vec![Message::system(system), Message::user(question)]
}

/// The node `vectorDBQAChain`.
struct VectorDbQa;

impl NodeKind for VectorDbQa {
    fn names(&self) -> &'static [&'static str] {
        &["vectorDBQAChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let store = looked_into(inputs);
        let moderations = moderations(inputs);
        Some(moderations.before(Plain { model: model?, retriever: store? }))
    }
}

struct PlainQa;

impl NodeKind for PlainQa {
    fn names(&self) -> &'static [&'static str] {
        &["retrievalQAChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let retriever = retriever(inputs);
        let moderations = moderations(inputs);
        Some(moderations.before(Plain { model: model?, retriever: retriever? }))
    }
}

/// Knows nothing of what was said before.
#[derive(Debug)]
struct Plain {
    model: Arc<dyn ChatModel>,
    retriever: Arc<dyn Retriever>,
}

impl Chain for Plain {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let found = self.retriever.find(question, run).await?;
            let messages = grounded(&found, question);
            let tokens = is_last.then_some(run.sink);
            let answered = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?;
            Ok(Reply::text(answered.text))
        })
    }
}

#[cfg(test)]
mod tests;
