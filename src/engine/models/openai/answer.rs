//! Answers of chat completions.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{CallParts, Gathering, broken_off, empty, parsed, picked, usage_metadata};
use crate::engine::provider::failure_in_stream;

/// A piece of a stream, or a whole answer. What every piece repeats is read only where it is new.
#[derive(Deserialize)]
struct CompletionChunk<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    model: Option<&'a RawValue>,
    system_fingerprint: Option<&'a RawValue>,
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<FirstItem<Choice<'a>>>,
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<CompletionDelta<'a>>,
    /// In a whole answer.
    #[serde(borrow)]
    message: Option<CompletionDelta<'a>>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct CompletionDelta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    /// As `DeepSeek`, vLLM and others name what a model thinks.
    reasoning_content: Option<String>,
    /// As others do; some send both.
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    /// Some that call themselves compatible send JSON in the place of its text.
    arguments: Option<Value>,
}

/// What becomes of what the model thinks: the library that Flowise has for OpenAI and its likes passes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Told,
    PassedOver,
}

/// The first of a list, which is all that is asked for.
struct FirstItem<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FirstItem<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
    type Value = FirstItem<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FirstItem<T>, A::Error> {
        let first = items.next_element()?;
        while first.is_some() && items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FirstItem(first))
    }
}

/// Bytes of a piece that the next is compared with.
const LONGEST_SAYING: usize = 2 * 1024;

/// A piece that says more of the answer and nothing else. Those behind it are most often the same, but for what they say.
#[derive(Debug)]
struct SayingPiece {
    piece: String,
    /// Where what is said stands, as JSON.
    said: Range<usize>,
}

impl SayingPiece {
    fn of(piece: &str, chunk: &CompletionChunk<'_>) -> Option<Self> {
        let choice = chunk.choices.as_ref()?.0.as_ref()?;
        let delta = choice.delta.as_ref()?;
        let is_more = piece.len() > LONGEST_SAYING
            || chunk.error.is_some()
            || chunk.usage.is_some()
            || choice.message.is_some()
            || choice.finish_reason.is_some()
            || delta.reasoning.is_some()
            || delta.reasoning_content.is_some()
            || delta.tool_calls.is_some();
        // It is a part of the piece.
        let said = delta.content.map(RawValue::get).filter(|said| said.starts_with('"') && !is_more)?;
        let at = said.as_ptr().addr().checked_sub(piece.as_ptr().addr())?;
        Some(Self { piece: piece.to_owned(), said: at..at + said.len() })
    }

    /// What another piece says that differs in nothing else, and is said without escapes.
    fn said_again<'p>(&self, piece: &'p str) -> Option<&'p str> {
        let (before, behind) = (self.piece.get(..self.said.start)?, self.piece.get(self.said.end..)?);
        let said = piece.strip_prefix(before)?.strip_suffix(behind)?.strip_prefix('"')?.strip_suffix('"')?;
        let is_plain = said.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        is_plain.then_some(said)
    }
}

/// What has been told so far.
#[derive(Debug)]
pub(in crate::engine::models) struct Completion {
    provider: &'static str,
    streams: bool,
    thoughts: Thoughts,
    answered: ModelAnswer,
    calls: CallParts,
    usage: Option<Value>,
    /// The last that says nothing else.
    saying: Option<SayingPiece>,
    /// Whether there was an answer, and whether it came to its end.
    is_begun: bool,
    is_ended: bool,
}

impl Completion {
    /// `provider`: as Flowise's metadata name it.
    pub(in crate::engine::models) fn new(provider: &'static str, streams: bool) -> Self {
        Self {
            provider,
            streams,
            thoughts: Thoughts::Told,
            answered: ModelAnswer::default(),
            calls: CallParts::default(),
            usage: None,
            saying: None,
            is_begun: false,
            is_ended: !streams,
        }
    }

    pub(super) fn telling_thoughts(self, tells_thoughts: bool) -> Self {
        Self { thoughts: if tells_thoughts { Thoughts::Told } else { Thoughts::PassedOver }, ..self }
    }

    fn take_choice(&mut self, delta: CompletionDelta<'_>, ask: ModelRequest<'_>) {
        let text = text_of(delta.content);
        if self.thoughts == Thoughts::Told {
            self.answered.think(&delta.reasoning_content.or(delta.reasoning).unwrap_or_default(), ask);
        }
        self.answered.say(&text, ask);
        for call in delta.tool_calls.into_iter().flatten() {
            let place = call.index.unwrap_or_else(|| self.calls.place_of(call.id.as_deref()));
            if let Some(id) = call.id {
                self.calls.identify(place, id);
            }
            let part = self.calls.at(place);
            let Some(function) = call.function else { continue };
            // Some repeat it in every piece.
            if let Some(name) = function.name.filter(|name| *name != part.name) {
                part.name.push_str(&name);
            }
            match function.arguments {
                Some(Value::String(text)) => part.arguments.push_str(&text),
                Some(Value::Null) | None => {}
                Some(value) => part.arguments.push_str(&value.to_string()),
            }
        }
    }

    /// What the piece with the end says.
    fn note(&mut self, chunk: &CompletionChunk<'_>, is_described: bool) {
        let first = chunk.choices.as_ref().and_then(|choices| choices.0.as_ref());
        let Some(finish) = first.and_then(|choice| choice.finish_reason.as_deref()) else { return };
        self.is_ended = true;
        if !is_described {
            return;
        }
        let fields = &mut self.answered.response_metadata;
        fields.insert("finish_reason".to_owned(), finish.into());
        for (name, value) in [
            ("system_fingerprint", chunk.system_fingerprint),
            ("model_name", chunk.model),
            ("service_tier", chunk.service_tier),
        ] {
            if let Some(value) = value.and_then(read) {
                fields.insert(name.to_owned(), value);
            }
        }
    }

    /// Writes down what the provider said beside the answer.
    fn describe(&mut self) {
        let mut metadata = Map::new();
        if self.streams {
            metadata.insert("prompt".to_owned(), 0.into());
            metadata.insert("completion".to_owned(), 0.into());
        }
        metadata.insert("model_provider".to_owned(), self.provider.into());
        if let Some(usage) = self.usage.take() {
            self.answered.usage_metadata = shown_counts(&usage);
            if !self.streams {
                let names = [
                    ("prompt_tokens", "promptTokens"),
                    ("completion_tokens", "completionTokens"),
                    ("total_tokens", "totalTokens"),
                ];
                metadata.insert("tokenUsage".to_owned(), picked(Some(&usage), &names).into());
            }
            // As Flowise's library: of whole answers only what names its system.
            if self.streams || self.answered.response_metadata.contains_key("system_fingerprint") {
                metadata.insert("usage".to_owned(), usage);
            }
        }
        metadata.append(&mut self.answered.response_metadata);
        self.answered.response_metadata = metadata;
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

impl Gathering for Completion {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        if let Some(said) = self.saying.as_ref().and_then(|saying| saying.said_again(piece)) {
            self.answered.say(said, ask);
            return Ok(());
        }
        let chunk: CompletionChunk<'_> = parsed(piece)?;
        self.saying = SayingPiece::of(piece, &chunk);
        if let Some(error) = chunk.error.and_then(read) {
            return Err(failure_in_stream(&error));
        }
        self.note(&chunk, ask.described);
        if self.answered.id.is_none() {
            self.answered.id = chunk.id.and_then(read);
        }
        if let Some(usage) = chunk.usage.and_then(read) {
            self.usage = Some(usage);
        }
        let choice = chunk.choices.and_then(|choices| choices.0);
        if let Some(delta) = choice.and_then(|choice| choice.delta.or(choice.message)) {
            self.is_begun = true;
            self.take_choice(delta, ask);
        }
        Ok(())
    }

    fn end(&mut self) {
        self.is_ended = true;
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        if !self.is_begun || !self.is_ended {
            return Err(if self.is_ended { empty() } else { broken_off() });
        }
        if let Some(usage) = &self.usage {
            self.answered.usage = counts(usage);
            if self.streams {
                ask.tell("");
            }
        }
        if ask.described {
            self.describe();
        }
        self.answered.calls = self.calls.into_calls();
        Ok(self.answered.structured(ask))
    }
}

/// What a provider counted.
fn counts(usage: &Value) -> Usage {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
    Usage { input: count("prompt_tokens"), output: count("completion_tokens") }
}

/// The same as Flowise shows it.
fn shown_counts(usage: &Value) -> Map<String, Value> {
    let Usage { input, output } = counts(usage);
    let total = usage.get("total_tokens").and_then(Value::as_u64);
    let mut fields = usage_metadata(input, output, total.unwrap_or(input + output));
    let given =
        picked(usage.get("prompt_tokens_details"), &[("audio_tokens", "audio"), ("cached_tokens", "cache_read")]);
    let taken =
        picked(usage.get("completion_tokens_details"), &[("audio_tokens", "audio"), ("reasoning_tokens", "reasoning")]);
    fields.insert("input_token_details".to_owned(), given.into());
    fields.insert("output_token_details".to_owned(), taken.into());
    fields
}

/// A text, or a list of pieces with texts among them.
fn text_of(content: Option<&RawValue>) -> Cow<'_, str> {
    let Some(content) = content.map(RawValue::get) else { return Cow::default() };
    // Of most pieces of a stream nothing is escaped.
    if let Ok(text) = serde_json::from_str::<&str>(content) {
        return Cow::Borrowed(text);
    }
    match serde_json::from_str(content) {
        Ok(Value::String(text)) => Cow::Owned(text),
        Ok(Value::Array(pieces)) => pieces.iter().filter_map(|piece| piece.get("text")?.as_str()).collect(),
        _ => Cow::default(),
    }
}
