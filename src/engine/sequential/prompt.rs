//! What an agent tells its model.

use serde_json::{Map, Value};

use super::before::EarlierMessages;
use super::given::AgentValues;
use super::message::{AgentMessage, Speaker};
use super::state::AgentState;
use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message};
use crate::engine::contract::model::ChatModel;
use crate::engine::text::template::Template;

/// Which of the messages so far an agent reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HistorySelection {
    Question,
    Last,
    All,
    Empty,
}

impl HistorySelection {
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Self {
        match inputs.text("conversationHistorySelection").as_deref() {
            None | Some("all_messages") => Self::All,
            Some("user_question") => Self::Question,
            Some("last_message") => Self::Last,
            Some("empty") => Self::Empty,
            Some(other) => {
                let message = format!("Unhandled conversationHistorySelection: {other}");
                inputs.refuse("conversationHistorySelection", message);
                Self::All
            }
        }
    }

    /// The state with the messages that are read.
    pub(super) fn of(self, visit: &Visit<'_>) -> AgentState {
        let mut state = visit.state.clone();
        match self {
            Self::All => {}
            Self::Question => state.messages = vec![AgentMessage::human(visit.question).into()],
            Self::Last => state.messages = state.messages.pop().into_iter().collect(),
            Self::Empty => state.messages.clear(),
        }
        state
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct AgentPrompt {
    pub(super) system: Option<Template>,
    pub(super) human: Option<Template>,
    pub(super) given: AgentValues,
    before: Option<EarlierMessages>,
}

impl AgentPrompt {
    /// Of a node with the usual inputs.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, is_agent: &dyn Fn(&str) -> bool) -> Self {
        let [system, human] = ["systemMessagePrompt", "humanMessagePrompt"].map(|name| {
            let text = inputs.text(name)?;
            inputs.prompt(name, &text)
        });
        Self { system, human, given: AgentValues::read(inputs, "promptValues", is_agent), before: None }
    }

    /// Of a node whose author may put messages before those of the chat.
    pub(super) fn with_messages(inputs: &mut Inputs<'_, '_, '_>, is_agent: &dyn Fn(&str) -> bool) -> Self {
        Self { before: EarlierMessages::read(inputs), ..Self::read(inputs, is_agent) }
    }

    /// The messages that stand before those of the chat.
    pub(super) async fn before(&self, visit: &Visit<'_>) -> Result<Vec<Message>, Failure> {
        match &self.before {
            Some(before) => before.made(visit).await,
            None => Ok(Vec::new()),
        }
    }

    /// Places in its texts, each once.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in [&self.system, &self.human].into_iter().flatten().flat_map(Template::names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Those that nobody gives a value.
    pub(super) fn missing(&self) -> Vec<&str> {
        self.names().into_iter().filter(|name| !self.given.has(name)).collect()
    }

    /// What stands before and behind the messages: the system's words, and the user's.
    pub(super) async fn around(&self, visit: &Visit<'_>) -> Result<(Option<Message>, Option<Message>), Failure> {
        let values = self.given.fill(visit).await?;
        let text = |template: Option<&Template>| rendered(template, &values, visit);
        let [system, human] = [self.system.as_ref(), self.human.as_ref()].map(text);
        Ok((system?.map(Message::system), human?.map(Message::user)))
    }
}

/// A text of a prompt; nothing of one that is empty.
pub(super) fn rendered(
    template: Option<&Template>,
    values: &Map<String, Value>,
    visit: &Visit<'_>,
) -> Result<Option<String>, Failure> {
    template.map(|template| template.render_for(values, visit.run)).transpose().map_err(Failure::flow)
}

/// The whole: images stand behind the first of what is there, where all messages of the chat are one.
pub(super) fn whole(
    system: Option<Message>,
    before: Vec<Message>,
    images: Vec<ContentPart>,
    messages: Vec<Message>,
    human: Option<Message>,
) -> Vec<Message> {
    let images = (!images.is_empty()).then(|| Message { content: Content::Pieces(images), ..Message::user("") });
    let mut first = system.into_iter().chain(before);
    match first.next() {
        Some(head) => [head].into_iter().chain(images).chain(first).chain(messages).chain(human).collect(),
        None => messages.into_iter().chain(images).chain(human).collect(),
    }
}

/// Messages as that model takes them.
pub(super) fn restructured(state: &AgentState, model: &dyn ChatModel) -> Vec<Message> {
    let mut told: Vec<(Message, Speaker, bool)> = Vec::with_capacity(state.messages.len());
    for message in &state.messages {
        let mut turn = message.told();
        if !message.calls.is_empty() && !message.content.is_empty() {
            turn.content = Content::Text(Value::from(message.content.as_str()).to_string());
        }
        told.push((turn, message.speaker, message.is_denied));
    }
    match model.provider() {
        "mistral_ai" if told.len() > 1 => alternate(&mut told),
        "anthropic" => {
            if let Some((first, Speaker::Model, _)) = told.first_mut() {
                *first = Message { name: first.name.take(), ..Message::user(first.content.plain()) };
            }
        }
        _ => {}
    }
    told.into_iter().map(|(message, ..)| message).collect()
}

/// Mistral takes neither a model's word nor a tool's as the last, and no user's behind a tool's.
fn alternate(told: &mut Vec<(Message, Speaker, bool)>) {
    const DENIED: &str = "Tool calls got denied. Do you have other questions?";
    let mut at = 0;
    while let Some((_, speaker, is_denied)) = told.get(at) {
        let (is_tool, is_denied) = (*speaker == Speaker::Tool, *is_denied);
        let next = told.get(at + 1).map(|(message, speaker, _)| (message.content.plain(), *speaker));
        match next {
            None if is_tool && is_denied => told.push((Message::assistant(DENIED), Speaker::Model, false)),
            Some((content, next)) => {
                if is_tool && next == Speaker::Human {
                    told.insert(at + 1, (Message::assistant("Tool calls executed"), Speaker::Model, false));
                }
                if at + 2 == told.len() && next != Speaker::Human {
                    let content = if content.is_empty() {
                        "Given the user question, answer user query".to_owned()
                    } else {
                        content
                    };
                    told.push((Message::user(content), Speaker::Human, false));
                }
            }
            None => {}
        }
        at += 1;
    }
}
