//! Queries of documents, and how an answer is made of what is found.

use std::sync::Arc;

use super::{IndexRetriever, index, joined, reply};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Document, Reply};
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;
use crate::engine::text::javascript::{is_space, trim};

/// `LlamaIndex`'s words (`Prompt`).
const QUESTION: &str = include_str!("words/question.txt");
/// Where nothing is found.
const EMPTY: &str = "Empty Response";

/// A node of a response synthesizer.
pub(super) struct SynthesizerNode {
    names: &'static [&'static str],
    manner: Manner,
}

/// How texts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// All in one question, as they are.
    Together,
    /// The same, sentence by sentence.
    Packed,
    /// The first gives an answer, which each of the others refines.
    OneByOne,
}

pub(super) static COMPACT_AND_REFINE: SynthesizerNode =
    SynthesizerNode { names: &["compactrefineLlamaIndex"], manner: Manner::Packed };
pub(super) static REFINE: SynthesizerNode = SynthesizerNode { names: &["refineLlamaIndex"], manner: Manner::OneByOne };
pub(super) static TREE_SUMMARIZE: SynthesizerNode =
    SynthesizerNode { names: &["treeSummarizeLlamaIndex"], manner: Manner::Packed };
pub(super) static SIMPLE_RESPONSE_BUILDER: SynthesizerNode =
    SynthesizerNode { names: &["simpleResponseBuilderLlamaIndex"], manner: Manner::Together };

impl NodeKind for SynthesizerNode {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let question = inputs.text("textQAPrompt").or_else(|| inputs.text("prompt"));
        let refine = inputs.text("refinePrompt");
        inputs.fills(&["textQAPrompt", "prompt", "refinePrompt"]);
        let own = Synthesizer { manner: self.manner, question, refine };
        Some(Part::Own(Arc::new(own)))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Synthesizer {
    manner: Manner,
    /// With places for `{context}` and `{query}`.
    question: Option<String>,
    /// With one for `{existingAnswer}` as well.
    refine: Option<String>,
}

impl Default for Synthesizer {
    fn default() -> Self {
        Self { manner: Manner::Packed, question: None, refine: None }
    }
}

impl Synthesizer {
    /// That of a node's input, or the library's own.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<Self>> {
        if !inputs.has("responseSynthesizer") {
            return Some(Arc::default());
        }
        inputs.own("responseSynthesizer", "a response synthesizer")
    }

    /// An answer; the last call of the model tells its words.
    pub(super) async fn answer(
        &self,
        model: &dyn ChatModel,
        (query, found): (&str, &[Document]),
        tokens: Option<&Sink>,
        run: &Run<'_>,
    ) -> Result<String, Failure> {
        if found.is_empty() {
            if let Some(sink) = tokens {
                sink.token(EMPTY);
            }
            return Ok(EMPTY.to_owned());
        }
        let texts = match self.manner {
            Manner::Together => vec![joined(found)],
            Manner::Packed => vec![packed(&joined(found))],
            Manner::OneByOne => found.iter().map(|document| packed(&document.text)).collect(),
        };
        let mut answer: Option<String> = None;
        for (number, text) in texts.iter().enumerate() {
            let before = answer.as_deref().filter(|answer| !answer.is_empty());
            let prompt = if let (Some(before), Some(refine)) = (before, &self.refine) {
                filled(refine, &[("{existingAnswer}", before), ("{context}", text), ("{query}", query)])
            } else {
                let own = QUESTION.strip_suffix('\n').unwrap_or(QUESTION);
                let template = self.question.as_deref().unwrap_or(own);
                filled(template, &[("{context}", text), ("{query}", query)])
            };
            let tokens = tokens.filter(|_| number + 1 == texts.len());
            let messages = [Message::user(prompt)];
            answer = Some(run.ask(model, ModelRequest::of(&messages).telling(tokens)).await?.text);
        }
        Ok(answer.unwrap_or_default())
    }
}

/// Sentences with one space between them, as `LlamaIndex` leaves them when it looks how much the model takes at once.
fn packed(text: &str) -> String {
    let mut sentences = Vec::new();
    let mut from = 0;
    for (at, mark) in text.char_indices().filter(|(_, letter)| matches!(letter, '.' | '?' | '!')) {
        let after = text.get(at + mark.len_utf8()..).unwrap_or_default();
        let after = after.trim_start_matches([']', ')', '\'', '"', '`', '\u{2019}', '\u{201d}']);
        if after.chars().next().is_none_or(is_space) {
            sentences.push(trim(text.get(from..=at).unwrap_or_default()));
            from = at + 1;
        }
    }
    sentences.push(trim(text.get(from..).unwrap_or_default()));
    trim(&sentences.join(" ")).to_owned()
}

/// Each place once, the first time that it stands there, as JavaScript replaces a text; what is filled in is not looked at.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut places: Vec<_> =
        values.iter().filter_map(|(place, value)| Some((template.find(place)?, *place, *value))).collect();
    places.sort_unstable();
    let (mut text, mut from) = (String::new(), 0);
    for (at, place, value) in places {
        text.push_str(template.get(from..at).unwrap_or_default());
        text.push_str(value);
        from = at + place.len();
    }
    text + template.get(from..).unwrap_or_default()
}

/// The node `queryEngine`.
pub(super) struct QueryEngine;

impl NodeKind for QueryEngine {
    fn names(&self) -> &'static [&'static str] {
        &["queryEngine"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let index = index(inputs);
        let synthesizer = Synthesizer::read(inputs);
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        let (index, synthesizer) = (index?, synthesizer?);
        Some(Part::Chain(Arc::new(Queries { index, synthesizer, tells_sources })))
    }
}

#[derive(Debug)]
struct Queries {
    index: Arc<IndexRetriever>,
    synthesizer: Arc<Synthesizer>,
    tells_sources: bool,
}

impl Chain for Queries {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let found = self.index.retriever.find(question, run).await?;
            let tokens = is_last.then_some(run.sink);
            if is_last {
                run.sink.start_with_first_token();
            }
            let text = self.synthesizer.answer(&*self.index.model, (question, &found), tokens, run).await?;
            Ok(reply(text, Some(&*found).filter(|_| self.tells_sources)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what `SentenceSplitter` of Flowise's `llamaindex` made of them.
    #[test]
    fn sentences_have_one_space_between_them() {
        for (text, expected) in [
            ("One.\n\nTwo? Three!", "One. Two? Three!"),
            ("He said \"no.\"  Then 4.5 a.b", "He said \"no. \"  Then 4.5 a.b"),
            (" a\n\nb ?! c.\n", "a\n\nb ?! c."),
            ("", ""),
        ] {
            assert_eq!(packed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_are_filled_once_and_not_in_what_is_filled_in() {
        let values = [("{context}", "{query}$&"), ("{query}", "q")];
        assert_eq!(filled("a {query} {context} {query}", &values), "a q {query}$& {query}");
        assert_eq!(filled("none", &values), "none");
    }
}
