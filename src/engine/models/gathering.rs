//! From a provider's answer, whole or piece by piece, to [`ModelAnswer`].

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolCall;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::provider::{Incoming, data_of, unreadable};
use crate::wire::json;

/// The largest answer that is gathered from pieces.
const LARGEST: usize = 16 * 1024 * 1024;

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerFraming {
    /// As an event stream.
    Events,
    /// As JSON, one a line.
    Lines,
    /// In one piece.
    Whole,
}

/// Takes an answer in, in one provider's format.
pub(super) trait Gathering: Sized {
    /// The next piece: an event's data, a line, or the whole answer; [sound](json::sound).
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure>;

    /// The provider says that this was all.
    fn end(&mut self) {}

    /// Nothing more comes.
    fn done(self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure>;
}

/// The piece of JSON that a line holds, if it holds one.
pub(super) fn piece_of(line: Bytes, framing: AnswerFraming) -> Option<Bytes> {
    let data = if framing == AnswerFraming::Events { data_of(line) } else { line };
    Some(data).filter(|data| !data.trim_ascii().is_empty())
}

/// Reads an answer to its end, or to OpenAI's `[DONE]`.
pub(super) async fn gathered<G: Gathering>(
    incoming: Incoming,
    framing: AnswerFraming,
    mut gathering: G,
    ask: ModelRequest<'_>,
) -> Result<ModelAnswer, Failure> {
    let secrets = incoming.secrets().to_vec();
    let cleaned = |failure: Failure| failure.without(&secrets);
    if framing == AnswerFraming::Whole {
        let answer = incoming.whole().await?;
        let taken = gathering.take(&json::sound(&answer), ask);
        let answered = taken.and_then(|()| gathering.done(ask));
        return answered.map_err(|failure| match failure {
            failure if failure == unparsed() => unreadable(&answer),
            // It is here in full.
            failure if failure == broken_off() => empty(),
            failure => cleaned(failure),
        });
    }
    let mut lines = incoming.lines();
    let mut room = LARGEST;
    // How it begins, and whether that was a stream's.
    let (mut beginning, mut is_read) = (Bytes::new(), false);
    while let Some(line) = lines.next().await? {
        if !is_read && beginning.trim_ascii().is_empty() {
            beginning.clone_from(&line);
            is_read = framing == AnswerFraming::Events && [&b":"[..], b"event:"].iter().any(|it| line.starts_with(it));
        }
        let Some(piece) = piece_of(line, framing) else { continue };
        if piece == "[DONE]" {
            gathering.end();
            lines.farewell().await;
            break;
        }
        room = room.checked_sub(piece.len()).ok_or_else(too_long)?;
        match gathering.take(&json::sound(&piece), ask) {
            // It lies in what was read with it.
            Ok(()) => (beginning, is_read) = (Bytes::new(), true),
            Err(failure) if !is_read && failure == unparsed() => return Err(unreadable(&piece)),
            Err(failure) => return Err(cleaned(failure)),
        }
    }
    gathering.done(ask).map_err(|failure| match failure {
        failure if !is_read && failure == broken_off() => unreadable(&beginning),
        failure => cleaned(failure),
    })
}

fn too_long() -> Failure {
    Failure::Unreachable("The model's answer is too long.".to_owned())
}

/// A stream that ends before its end.
pub(super) fn broken_off() -> Failure {
    Failure::Unreachable("The provider broke off.".to_owned())
}

/// An answer that came to its end, without anything that a model says.
pub(super) fn empty() -> Failure {
    Failure::Unreachable("The provider's answer holds no message.".to_owned())
}

/// How far an answer has come that only has a beginning and an end.
#[derive(Debug, Default)]
pub(super) struct AnswerProgress {
    pub(super) is_begun: bool,
    pub(super) is_ended: bool,
}

impl AnswerProgress {
    /// Of an answer in pieces; one that comes whole is there to its end.
    pub(super) fn new(streams: bool) -> Self {
        Self { is_begun: false, is_ended: !streams }
    }

    /// Nothing more comes.
    pub(super) fn done(self, answered: ModelAnswer) -> Result<ModelAnswer, Failure> {
        match (self.is_begun, self.is_ended) {
            (true, true) => Ok(answered),
            (false, true) => Err(empty()),
            (_, false) => Err(broken_off()),
        }
    }
}

fn unparsed() -> Failure {
    Failure::Unreachable("The model's answer cannot be read.".to_owned())
}

/// JSON of the provider's.
pub(super) fn parsed<'a, T: Deserialize<'a>>(piece: &'a str) -> Result<T, Failure> {
    serde_json::from_str(piece).map_err(|_| unparsed())
}

/// Calls of tools that come in pieces, by their place among the calls.
#[derive(Debug, Default)]
pub(super) struct CallParts {
    parts: BTreeMap<u64, CallPart>,
    /// Where the call of an id is; pieces that name an id and no place are many.
    places: HashMap<String, u64>,
}

/// See [`CallParts`].
#[derive(Debug, Default)]
pub(super) struct CallPart {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, as far as it has come.
    pub(super) arguments: String,
    pub(super) opaque: Option<Value>,
}

impl CallParts {
    pub(super) fn at(&mut self, place: u64) -> &mut CallPart {
        self.parts.entry(place).or_default()
    }

    /// The id of a call, which some repeat in every piece.
    pub(super) fn identify(&mut self, place: u64, id: String) {
        let part = self.parts.entry(place).or_default();
        if part.id.is_empty() {
            part.id.clone_from(&id);
            self.places.entry(id).or_insert(place);
        }
    }

    /// Where a piece without a place belongs: to the call of that name, or, without one, to the last.
    pub(super) fn place_of(&self, id: Option<&str>) -> u64 {
        let last = self.parts.last_key_value().map(|(place, _)| *place);
        let Some(id) = id else { return last.unwrap_or_default() };
        let known = self.places.get(id).copied();
        known.unwrap_or_else(|| last.map_or(0, |last| last.saturating_add(1)))
    }

    pub(super) fn into_calls(self) -> Vec<ToolCall> {
        let call = |part: CallPart| ToolCall {
            id: part.id,
            name: part.name,
            arguments: arguments(&part.arguments),
            opaque: part.opaque,
        };
        self.parts.into_values().filter(|part| !part.name.is_empty()).map(call).collect()
    }
}

/// A model that says no arguments, or none that can be read, means none.
fn arguments(text: &str) -> Value {
    json::read_str(text).ok().filter(Value::is_object).unwrap_or_else(|| json!({}))
}

impl ModelAnswer {
    /// Where a schema was asked for, what the model gave its one tool is the answer.
    pub(super) fn structured(mut self, ask: ModelRequest<'_>) -> Self {
        if let Some((name, _)) = ask.schema
            && let Some(call) = self.calls.iter().find(|call| call.name == name)
        {
            self.text = call.arguments.to_string();
            self.calls.clear();
        }
        self
    }
}

/// Flowise's `usageMetadata`, without details.
pub(super) fn usage_metadata(input: u64, output: u64, total: u64) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("input_tokens".to_owned(), input.into());
    fields.insert("output_tokens".to_owned(), output.into());
    fields.insert("total_tokens".to_owned(), total.into());
    fields.insert("input_token_details".to_owned(), json!({}));
    fields.insert("output_token_details".to_owned(), json!({}));
    fields
}

/// Sets a field of an object.
pub(super) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value.into());
    }
}

/// The named fields of an object that are there and not `null`, under new names.
pub(super) fn picked(from: Option<&Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let field = |(name, as_name): &(&str, &str)| {
        let value = from?.get(name).filter(|value| !value.is_null())?;
        Some(((*as_name).to_owned(), value.clone()))
    };
    names.iter().filter_map(field).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::provider::LineBuffer;

    /// What comes of a provider's bytes that arrive in two pieces, cut anywhere; the same wherever they are cut.
    pub(in crate::engine::models) fn told<G: Gathering>(
        new: impl Fn() -> G,
        framing: AnswerFraming,
        bytes: &str,
        ask: ModelRequest<'_>,
    ) -> Result<ModelAnswer, Failure> {
        let cut_at = |cut: usize| {
            let (first, second) = bytes.as_bytes().split_at(cut);
            let (mut gathering, mut buffer) = (new(), LineBuffer::default());
            for piece in [first, second, b"\n"] {
                buffer.push(Bytes::copy_from_slice(piece))?;
                while let Some(line) = buffer.line() {
                    match piece_of(line, framing) {
                        Some(piece) if piece == "[DONE]" => {
                            gathering.end();
                            return gathering.done(ask);
                        }
                        Some(piece) => gathering.take(&json::sound(&piece), ask)?,
                        None => {}
                    }
                }
            }
            gathering.done(ask)
        };
        let cut_at = |cut: usize| cut_at(cut).map(named);
        let whole = cut_at(0);
        // Every place in short streams, and enough in long ones.
        let step = bytes.len() / 500 + 1;
        for cut in (0..bytes.len()).step_by(step) {
            assert_eq!(cut_at(cut), whole, "cut at {cut}");
        }
        whole
    }

    /// With numbers for the ids that are made up here.
    fn named(mut answered: ModelAnswer) -> ModelAnswer {
        for (number, call) in answered.calls.iter_mut().enumerate().filter(|(_, call)| call.id.len() == 36) {
            call.id = format!("call_{number}");
        }
        answered
    }

    #[test]
    fn calls_that_name_no_place_are_told_apart_by_their_ids() {
        let mut calls = CallParts::default();
        for number in 0..200_000 {
            let id = (number / 2).to_string();
            let place = calls.place_of(Some(&id));
            calls.identify(place, id);
            calls.at(place).name = "f".to_owned();
        }
        assert_eq!((calls.place_of(Some("7")), calls.place_of(None)), (7, 99_999));
        assert_eq!(calls.into_calls().len(), 100_000);
    }

    #[test]
    fn arguments_are_always_an_object() {
        for (text, value) in [("", json!({})), ("{\"a\":1}", json!({ "a": 1 })), ("\"x\"", json!({})), ("{", json!({}))]
        {
            assert_eq!(arguments(text), value);
        }
    }

    #[test]
    fn forced_calls_are_answers() {
        let schema = json!({});
        let call = |name: &str| ToolCall::new("1", name, json!({ "city": "Bern" }));
        let answered = ModelAnswer { calls: vec![call("extract")], ..ModelAnswer::default() };
        let ask = ModelRequest::of(&[]).with_schema("extract", &schema);
        let structured = answered.clone().structured(ask);
        assert_eq!((structured.text.as_str(), structured.calls.len()), (r#"{"city":"Bern"}"#, 0));
        assert_eq!(answered.clone().structured(ModelRequest::of(&[])), answered);
    }
}
