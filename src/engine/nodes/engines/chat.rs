//! Chats, with documents or without.

use std::sync::{Arc, LazyLock};

use super::{IndexRetriever, index, joined, reply};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::names::OfSettings;
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::run::Run;
use crate::engine::nodes::memory;
use crate::engine::nodes::words::{rendered, words};
use crate::engine::text::mustache::Mustache;
use crate::engine::text::template::Template;

/// `LlamaIndex`'s words (`engines/chat/DefaultContextGenerator`).
static CONTEXT_WORDS: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/context.txt")));

/// A node of this family.
pub(super) struct ChatEngine {
    names: &'static [&'static str],
    has_documents: bool,
}

pub(super) static SIMPLE: ChatEngine = ChatEngine { names: &["simpleChatEngine"], has_documents: false };
pub(super) static CONTEXT: ChatEngine = ChatEngine { names: &["contextChatEngine"], has_documents: true };

impl NodeKind for ChatEngine {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let index = if self.has_documents { Some(index(inputs)) } else { None };
        let memory = memory::required(inputs);
        let system = inputs.mustache("systemMessagePrompt");
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        let index = match index {
            Some(index) => Some(index?),
            None => None,
        };
        Some(Part::Chain(Arc::new(EngineChat { model: model?, index, memory: memory?, system, tells_sources })))
    }
}

#[derive(Debug)]
struct EngineChat {
    model: Arc<dyn ChatModel>,
    index: Option<Arc<IndexRetriever>>,
    memory: Arc<Memory>,
    system: Option<Mustache>,
    tells_sources: bool,
}

impl Chain for EngineChat {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let mut messages = Vec::new();
            let mut sources = None;
            let past = self.memory.spoken(run).await?;
            if let Some(index) = &self.index {
                let found = index.retriever.find(question, run).await?;
                messages.push(Message::system(rendered(&CONTEXT_WORDS, &[("context", &joined(&found))])?));
                sources = Some(found);
            }
            // It is one of the user's turns, as in Flowise.
            messages.extend(self.system.as_ref().map(|system| Message::user(system.text(&OfSettings(run)))));
            messages.extend(past);
            messages.push(Message::user(question));
            let tokens = is_last.then_some(run.sink);
            if is_last {
                run.sink.start_with_first_token();
            }
            let text = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?.text;
            self.memory.keep(question, &text, run).await?;
            Ok(reply(text, sources.as_deref().filter(|_| self.tells_sources)))
        })
    }
}
