//! What nodes that ask a model have in common: the model, what it is told, and what is shown of its answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::super::changes::Changes;
use super::super::runtime::turn;
use super::super::structured::{is_type, schema};
use super::super::transcript::message;
use super::super::transcript::{self, ChatTranscript};
use super::super::values::text_of;
use crate::engine::agentflow::step::StepContext;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::text::mustache::JsonTemplate;
use crate::engine::text::tokens::surplus::{most_tokens, surplus};
use crate::predict::answer::EventName;
use crate::wire::json;

/// How Flowise has a model sum up a chat.
const SUMMARIZER: &str = include_str!("summarizer.txt");

/// See the module. Inputs are named with a prefix, such as `llm`.
#[derive(Debug)]
pub(super) struct ModelCaller {
    pub(super) model: Arc<dyn ChatModel>,
    /// Whether its answers come word by word.
    pub(super) streams: bool,
    names: InputNames,
}

#[derive(Debug)]
struct InputNames {
    messages: String,
    has_memory: String,
    memory: String,
    window: String,
    most_tokens: String,
    user_message: String,
}

impl InputNames {
    fn of(prefix: &str) -> Self {
        let name = |rest: &str| format!("{prefix}{rest}");
        Self {
            messages: name("Messages"),
            has_memory: name("EnableMemory"),
            memory: name("MemoryType"),
            window: name("MemoryWindowSize"),
            most_tokens: name("MemoryMaxTokenLimit"),
            user_message: name("UserMessage"),
        }
    }
}

impl ModelCaller {
    /// Reads the model and the memory of a node.
    pub(super) fn read(prefix: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let names = InputNames::of(prefix);
        if inputs.flag(&names.has_memory).unwrap_or_default() {
            match inputs.text(&names.memory).as_deref() {
                None | Some("allMessages" | "windowSize" | "conversationSummary" | "conversationSummaryBuffer") => {}
                Some(_) => inputs.refuse(&names.memory, "the engine does not know this kind of memory"),
            }
        }
        for name in [&names.window, &names.most_tokens] {
            if let Some(number) = inputs.text(name).filter(|number| number.trim().parse::<f64>().is_err()) {
                inputs.refuse(name, format!("expected a number, not {number}"));
            }
        }
        inputs.ignore(&[&names.memory]);
        let (model, streams) = model(&format!("{prefix}Model"), inputs)?;
        Some(Self { model, streams, names })
    }

    /// Reads what a node tells its model and does with the answer.
    pub(super) fn read_rest(prefix: &str, inputs: &mut Inputs<'_, '_, '_>) -> AnswerHandling {
        let name = |rest: &str| format!("{prefix}{rest}");
        let messages = name("Messages");
        let is_known = |role: &Value| matches!(role.as_str(), Some("system" | "user" | "assistant" | "developer" | ""));
        let listed = inputs.value(&messages).unwrap_or_else(|| json!([]));
        if !listed.as_array().is_some_and(|all| all.iter().all(|one| one.get("role").is_none_or(is_known))) {
            inputs.refuse(&messages, "expected messages of system, developer, user or assistant");
        }
        inputs.text(&name("UserMessage"));
        inputs.text(&name("ReturnResponseAs"));
        let fields = inputs.value(&name("StructuredOutput")).unwrap_or_else(|| json!([]));
        // Flowise passes over a row without a type.
        let is_field = |field: &Value| match field.get("type") {
            None | Some(Value::Null) => true,
            Some(kind) => kind.as_str().is_some_and(|kind| kind.is_empty() || is_type(kind)),
        };
        if !fields.as_array().is_some_and(|fields| fields.iter().all(is_field)) {
            inputs.refuse(&name("StructuredOutput"), "expected a list of keys with their types");
        }
        // Its form is made of what the author wrote; what is filled in are texts in that.
        let form = schema(Some(&fields)).map(|schema| inputs.template_of(&[&name("StructuredOutput")], &schema));
        AnswerHandling { form, changes: Changes::read(inputs, &name("UpdateState")) }
    }

    fn has_memory(&self, visit: &StepContext<'_>) -> bool {
        visit.flag(&self.names.has_memory)
    }

    /// What the model is told before it answers.
    pub(super) async fn talk(&self, visit: &StepContext<'_>, is_agent: bool) -> Result<ChatTranscript, Failure> {
        let mut talk = ChatTranscript::default();
        before(&mut talk, visit);
        for said in visit.list(&self.names.messages) {
            let role = said.get("role").and_then(Value::as_str).unwrap_or_default();
            let content = said.get("content").map(text_of).unwrap_or_default();
            match role {
                "" => {}
                _ if content.is_empty() => {}
                "system" => talk.say_first(role, &content),
                role => talk.say(role, &content),
            }
        }
        if self.has_memory(visit) {
            self.recall(&mut talk, visit, is_agent).await?;
        } else if visit.is_first() {
            talk.recall(self.images(visit).as_ref(), visit.run.request);
            if let Some(said) = visit.said.filter(|_| self.user_turns(visit).next().is_none()) {
                talk.say("user", said);
            }
        }
        Ok(talk)
    }

    /// What was said before, the user's question, and the node's own.
    async fn recall(&self, talk: &mut ChatTranscript, visit: &StepContext<'_>, is_agent: bool) -> Result<(), Failure> {
        let mut past: Vec<Cow<'_, Value>> =
            visit.runtime.past.iter().chain(&visit.runtime.history).map(Cow::Borrowed).collect();
        if let Some(said) = visit.said.filter(|_| visit.is_first()) {
            past.extend(self.images(visit).map(Cow::Owned));
            past.push(Cow::Owned(turn("user", said)));
        }
        let own = visit.text(&self.names.user_message);
        let request = visit.run.request;
        match visit.text(&self.names.memory).as_str() {
            "windowSize" => talk.recall(plainly(last(&past, &visit.text(&self.names.window))), request),
            "conversationSummary" if !past.is_empty() => {
                talk.say("assistant", &self.summary(&past, visit).await?);
                if let Some(said) = visit.said.filter(|_| is_agent && own.is_empty()) {
                    talk.say("user", said);
                }
            }
            "conversationSummaryBuffer" => self.recall_or_sum_up(talk, &past, visit).await?,
            _ => talk.recall(plainly(&past), request),
        }
        if !own.is_empty() {
            talk.say("user", &own);
        }
        Ok(())
    }

    /// The past, and what of it is too much in few words.
    pub(super) async fn recall_or_sum_up(
        &self,
        talk: &mut ChatTranscript,
        past: &[Cow<'_, Value>],
        visit: &StepContext<'_>,
    ) -> Result<(), Failure> {
        let most = most_tokens(visit.inputs.get(&self.names.most_tokens));
        let (lines, has_table) = (lines(past), self.model.has_token_table());
        // Counting a long chat takes a while, in which a worker's other requests should not wait.
        let surplus = tokio::task::spawn_blocking(move || surplus(&lines, most, has_table)).await;
        let surplus = surplus.map_err(|_| Failure::flow("the tokens of the chat cannot be counted"))?;
        let (summed_up, kept) = past.split_at_checked(surplus).unwrap_or((past, &[]));
        if !summed_up.is_empty() {
            let summary = self.summary(summed_up, visit).await?;
            // Some models want no second system message.
            let has_system = talk.shown.iter().any(|said| said.get("role").and_then(Value::as_str) == Some("system"));
            let role = if has_system { "user" } else { "system" };
            talk.say(role, &format!("Previous conversation summary: {summary}"));
        }
        talk.recall(plainly(kept), visit.run.request);
        Ok(())
    }

    /// The past in few words.
    pub(super) async fn summary(&self, past: &[Cow<'_, Value>], visit: &StepContext<'_>) -> Result<String, Failure> {
        let asked = [Message::user(SUMMARIZER.trim_end().replacen("{conversation}", &lines(past).join("\n"), 1))];
        Ok(visit.run.ask(&*self.model, ModelRequest::of(&asked)).await?.text)
    }

    /// The turn that the images of the request are, if the model sees any.
    pub(super) fn images(&self, visit: &StepContext<'_>) -> Option<Value> {
        let sees = self.model.sees_images() && !visit.run.request.images().is_empty();
        sees.then(|| transcript::images(visit.run.request))
    }

    fn user_turns<'v>(&self, visit: &'v StepContext<'_>) -> impl Iterator<Item = &'v Value> {
        let is_user = |said: &&Value| said.get("role").and_then(Value::as_str) == Some("user");
        visit.list(&self.names.messages).iter().filter(is_user)
    }

    /// What is remembered of what the user said, at the first node that asks a model.
    pub(super) fn remembered(&self, visit: &StepContext<'_>) -> Vec<Value> {
        let Some(said) = visit.said.filter(|_| visit.is_first()) else { return Vec::new() };
        let mut turns: Vec<Value> = self.images(visit).into_iter().collect();
        let mut own = self.user_turns(visit).peekable();
        if self.has_memory(visit) || own.peek().is_none() {
            turns.push(turn("user", said));
        } else {
            turns.extend(own.map(|own| turn("user", &own.get("content").map(text_of).unwrap_or_default())));
        }
        turns
    }

    /// The node's inputs without what is empty, with what the model was told.
    pub(super) fn given(&self, visit: &StepContext<'_>, talk: Vec<Value>) -> Value {
        let mut given = Map::new();
        given.insert("messages".to_owned(), talk.into());
        let is_given = |(name, value): &(&String, &Value)| {
            **name != self.names.messages && !value.as_str().is_some_and(str::is_empty)
        };
        given.extend(visit.inputs.iter().filter(is_given).map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(given)
    }
}

/// What becomes of an answer.
#[derive(Debug)]
pub(super) struct AnswerHandling {
    /// The form that it must have, as a JSON Schema.
    form: Option<JsonTemplate>,
    pub(super) changes: Changes,
}

impl AnswerHandling {
    pub(super) fn schema(&self, visit: &StepContext<'_>) -> Result<Option<Value>, Failure> {
        self.form.as_ref().map(|form| form.value(visit.scope).map_err(Failure::flow)).transpose()
    }
}

/// The model in an input, and whether its answers come word by word.
pub(super) fn model(name: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<(Arc<dyn ChatModel>, bool)> {
    let config = inputs.value(&format!("{name}Config")).and_then(|config| config.as_object().cloned());
    let config = config.unwrap_or_default();
    let kind = inputs.required_text(name)?;
    let streams = config.get("streaming") != Some(&Value::Bool(false));
    Some((inputs.model_inside(&kind, config)?, streams))
}

/// Turns that came with the request go before everything that the first node says.
pub(super) fn before(talk: &mut ChatTranscript, visit: &StepContext<'_>) {
    if visit.is_first() {
        for past in &visit.run.request.history {
            talk.say(if past.by_user == Some(false) { "assistant" } else { "user" }, &past.text);
        }
    }
}

/// Turns, wherever they are kept.
pub(super) fn plainly<'v>(past: &'v [Cow<'_, Value>]) -> impl Iterator<Item = &'v Value> {
    past.iter().map(|turn| &**turn)
}

/// Who said what.
fn lines(past: &[Cow<'_, Value>]) -> Vec<String> {
    let field = |turn: &Value, name: &str| turn.get(name).map(text_of).unwrap_or_default();
    past.iter().map(|turn| format!("{}: {}", field(turn, "role"), field(turn, "content"))).collect()
}

/// The last exchanges.
pub(super) fn last<'v, 'p>(past: &'v [Cow<'p, Value>], exchanges: &str) -> &'v [Cow<'p, Value>] {
    let count = exchanges.trim().parse::<usize>().unwrap_or_default().saturating_mul(2);
    if count == 0 { past } else { past.get(past.len().saturating_sub(count)..).unwrap_or_default() }
}

/// When a model was asked.
#[derive(Debug)]
pub(super) struct Stopwatch(u64);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(milliseconds())
    }

    pub(super) fn stop(&self) -> Value {
        let end = milliseconds();
        json!({ "start": self.0, "end": end, "delta": end.saturating_sub(self.0) })
    }
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

/// What an answer took, as far as the provider tells.
pub(super) fn add_usage(output: &mut Map<String, Value>, answered: &ModelAnswer) {
    if !answered.usage_metadata.is_empty() {
        output.insert("usageMetadata".to_owned(), Value::Object(answered.usage_metadata.clone()));
    }
    if !answered.response_metadata.is_empty() {
        output.insert("responseMetadata".to_owned(), Value::Object(answered.response_metadata.clone()));
    }
}

/// What the model thought, and for how long as far as that was told.
pub(super) fn add_thoughts(output: &mut Map<String, Value>, thoughts: &str, seconds: Option<u64>) {
    if thoughts.is_empty() {
        return;
    }
    let mut shown = Map::from_iter([("thinking".to_owned(), thoughts.into())]);
    shown.extend(seconds.map(|seconds| ("thinkingDuration".to_owned(), seconds.into())));
    output.insert("reasonContent".to_owned(), shown.into());
}

/// Tells what a model thought that answered in one piece, where that stands among the pieces of its answer.
pub(super) fn tell_thoughts(visit: &StepContext<'_>, answered: &ModelAnswer) {
    if answered.thinks_in_pieces && !answered.thinking.is_empty() {
        visit.run.sink.thought_whole(&answered.thinking, answered.thinking_time());
    }
}

/// The last events of an answer that came word by word.
pub(super) fn tell_end(visit: &StepContext<'_>, answered: &ModelAnswer) {
    visit.run.sink.event(EventName::CalledTools, transcript::called(&answered.calls));
    if !answered.usage_metadata.is_empty() {
        visit.run.sink.event(EventName::UsageMetadata, Value::Object(answered.usage_metadata.clone()));
    }
}

/// An answer of a described form: itself, and as a text.
pub(super) fn formed(answered: &ModelAnswer) -> Result<(Map<String, Value>, String), Failure> {
    match json::read_str(&answered.text) {
        Ok(Value::Object(fields)) => {
            let text = match fields.get("content") {
                Some(Value::String(content)) => content.clone(),
                Some(content) if !content.is_null() => pretty(content),
                _ => pretty(&Value::Object(fields.clone())),
            };
            Ok((fields, text))
        }
        _ => Err(Failure::flow("the model's answer has not the form that was asked for")),
    }
}

/// As JavaScript writes it with two spaces.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A turn as a model is told it, without images.
pub(super) fn plain(turn: &Value) -> Message {
    message(turn, &crate::engine::contract::request::RunRequest::default())
}
