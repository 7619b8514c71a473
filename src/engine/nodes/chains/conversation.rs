//! The conversation chain: a system's words, what was said before, the question.

use std::sync::Arc;

use serde_json::Map;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Content, ContentPart, Message, Role};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::prompt::Prompt;
use crate::engine::contract::run::Run;
use crate::engine::nodes::moderation::moderations;
use crate::engine::nodes::{memory, prompts};
use crate::engine::text::template::Template;

/// What Flowise says where the node says nothing.
const SYSTEM: &str = "The following is a friendly conversation between a human and an AI. The AI is talkative and \
                      provides lots of specific details from its context. If the AI does not know the answer to a \
                      question, it truthfully says it does not know.";

/// The node `conversationChain`.
pub(super) struct ConversationChain;

impl NodeKind for ConversationChain {
    fn names(&self) -> &'static [&'static str] {
        &["conversationChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let memory = memory::required(inputs);
        let prompt = prompts::of_chat(inputs);
        let moderations = moderations(inputs);
        let system = prompts::system_words(inputs, ("systemMessagePrompt", SYSTEM), prompt.as_ref());
        inputs.ignore(&["document"]);
        let (model, memory, system) = (model?, memory?, system?);
        Some(moderations.before(Conversation { model, memory, prompt, system }))
    }
}

#[derive(Debug)]
struct Conversation {
    model: Arc<dyn ChatModel>,
    memory: Arc<Memory>,
    /// Its first turn, the memory, and its last turn.
    prompt: Option<Arc<Prompt>>,
    system: Template,
}

impl Conversation {
    async fn messages(&self, question: &str, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let past = self.memory.turns(run).await?;
        let mut messages = Vec::with_capacity(past.len() + 3);
        if let Some(prompt) = &self.prompt {
            let mut values = prompt.given(question, run).await?;
            values.entry("input").or_insert_with(|| question.into());
            let mut turns = prompt.messages(&values, &[], None, run).await?.into_iter();
            messages.extend(turns.next());
            messages.extend(past);
            messages.extend(turns.next_back());
        } else {
            let values = Map::from_iter([("input".to_owned(), question.into())]);
            let system = self.system.render_for(&values, run).map_err(Failure::flow)?;
            messages.push(Message::text(Role::System, system));
            messages.extend(past);
            messages.push(Message::user(question));
        }
        let images: Vec<ContentPart> = if self.model.sees_images() { run.request.images() } else { Vec::new() };
        if !images.is_empty() {
            messages.push(Message { content: Content::Pieces(images), ..Message::user("") });
        }
        Ok(messages)
    }
}

impl Chain for Conversation {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let messages = self.messages(question, run).await?;
            let tokens = is_last.then_some(run.sink);
            let answered = run.ask(&*self.model, ModelRequest::of(&messages).telling(tokens)).await?;
            self.memory.keep(question, &answered.text, run).await?;
            Ok(Reply::text(answered.text))
        })
    }
}
