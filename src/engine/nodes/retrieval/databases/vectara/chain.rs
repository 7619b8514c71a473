//! The node `vectaraQAChain`: Vectara itself answers from what it finds, and says which passages it goes by.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::hits;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Chain, Document, Reply, Summary, SummaryWish, VectorStore};
use crate::engine::contract::run::Run;
use crate::engine::nodes::moderation::moderations;

const PROMPT: &str = "vectara-summary-ext-v1.2.0";
/// Passages that a summary is made of, where nothing is said.
const SUMMED_UP: u64 = 7;

pub(in crate::engine::nodes::retrieval::databases) struct VectaraChain;

impl NodeKind for VectaraChain {
    fn names(&self) -> &'static [&'static str] {
        &["vectaraQAChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        if !inputs.has("vectaraStore") {
            inputs.refuse("vectaraStore", "a Vectara store is required");
        }
        let store = inputs.part_as("vectaraStore", Part::into_vector_store, "a vector store");
        let wish = SummaryWish {
            prompt: inputs.text("summarizerPromptName").unwrap_or_else(|| PROMPT.to_owned()),
            language: inputs.text("responseLang").unwrap_or_else(|| "eng".to_owned()),
            most: inputs.integer("maxSummarizedResults").filter(|most| *most > 0).unwrap_or(SUMMED_UP),
        };
        let moderations = moderations(inputs);
        let store = store?;
        if !store.sums_up() {
            inputs.refuse("vectaraStore", "expected a Vectara store");
            return None;
        }
        Some(moderations.before(SumsUp { store, wish }))
    }
}

#[derive(Debug)]
struct SumsUp {
    store: Arc<dyn VectorStore>,
    wish: SummaryWish,
}

impl Chain for SumsUp {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let Summary { text, passages } = self.store.summary(question, &self.wish, run).await?;
            let (text, sources) = in_order(&text, &passages);
            run.tell_whole(&text, is_last);
            let mut reply = Reply::text(text);
            let sources = sources.into_iter().map(Document::to_json).collect();
            reply.fields.insert("sourceDocuments".to_owned(), sources);
            Ok(reply)
        })
    }
}

/// Makes a query one that is summed up, with what Flowise says where its node says nothing.
pub(super) fn ask_for_summary(body: &mut Value, wish: &SummaryWish) {
    let Some(Value::Object(asked)) = body.pointer_mut("/query/0") else { return };
    let SummaryWish { prompt, language, most } = wish;
    let summary = json!([{ "summarizerPromptName": prompt, "responseLang": language, "maxSummarizedResults": most }]);
    asked.insert("start".to_owned(), 0.into());
    asked.insert("summary".to_owned(), summary);
    if let Some(Value::Object(context)) = asked.get_mut("contextConfig") {
        for name in ["sentencesBefore", "sentencesAfter"] {
            context.entry(name).or_insert(2.into());
        }
    }
    for corpus in asked.get_mut("corpusKey").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(corpus) = corpus else { continue };
        corpus.entry("metadataFilter").or_insert("".into());
        if let Some(Value::Object(lexical)) = corpus.get_mut("lexicalInterpolationConfig") {
            lexical.entry("lambda").or_insert(0.025.into());
        }
    }
}

pub(super) fn summary(answer: &Value, wish: &SummaryWish) -> Result<Summary, Failure> {
    let (set, found) = hits(answer)?;
    let said = |field: &str| set.pointer(&format!("/summary/0/{field}")).and_then(Value::as_str).unwrap_or_default();
    match (said("status/0/code"), said("status/0/statusDetail")) {
        ("BAD_REQUEST", _) => {
            let words = "Vectara finds too much text to sum up: ask for fewer results, or fewer sentences around them.";
            Err(Failure::flow(words))
        }
        ("NOT_FOUND", "Failed to retrieve summarizer.") => {
            Err(Failure::flow(format!("Vectara lets this account use no summarizer {}.", wish.prompt)))
        }
        _ => {
            let passages = found.into_iter().map(|hit| hit.document).collect();
            Ok(Summary { text: said("text").to_owned(), passages })
        }
    }
}

/// The text with its passages numbered as they are named first, and those passages in that order.
fn in_order<'p>(text: &str, passages: &'p [Document]) -> (String, Vec<&'p Document>) {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut named = Vec::new();
    let mut numbered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        numbered.push_str(before);
        numbered.push('[');
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, behind) = after.split_at(digits);
        if number.is_empty() || !behind.starts_with(']') {
            rest = after;
            continue;
        }
        let next = places.len() + 1;
        let place = *places.entry(number).or_insert_with(|| {
            named.extend(number.parse::<usize>().ok().and_then(|number| passages.get(number.checked_sub(1)?)));
            next
        });
        numbered.push_str(&place.to_string());
        rest = behind;
    }
    numbered.push_str(rest);
    (numbered, named)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::summed_up;
    use super::super::VectaraNode;
    use super::*;
    use crate::engine::models::lab::{CREDENTIALS, HERE};

    const VECTARA: VectaraNode = VectaraNode { address_input: "here" };

    fn wish() -> SummaryWish {
        SummaryWish { prompt: "p".to_owned(), language: "deu".to_owned(), most: 3 }
    }

    fn answer(summary: &Value) -> Value {
        let passage = json!({ "text": "one", "documentIndex": 0, "metadata": [] });
        let document = json!({ "metadata": [{ "name": "a", "value": 1 }] });
        json!({ "responseSet": [{ "response": [passage], "document": [document], "summary": [summary] }] })
    }

    #[tokio::test]
    async fn vectara_sums_up_what_it_finds() {
        let credential = json!({ "apiKey": "key", "customerID": "9", "corpusID": "1" });
        let config = json!({ "here": HERE, "sentencesAfter": 1, CREDENTIALS: { "vectaraApi": credential } });
        let said = answer(&json!({ "text": "So it is [1].", "status": [] }));
        let (received, summary) = summed_up(&VECTARA, config.clone(), &wish(), &[said]).await;
        let summary = summary.unwrap();
        assert_eq!(summary.text, "So it is [1].");
        assert_eq!(summary.passages[0].to_json(), json!({ "pageContent": "one", "metadata": { "a": 1 } }));
        let corpus = json!({ "customerId": "9", "corpusId": "1", "metadataFilter": "",
            "lexicalInterpolationConfig": { "lambda": 0.025 } });
        let asked = json!({ "query": "q", "start": 0, "numResults": 5, "corpusKey": [corpus],
            "contextConfig": { "sentencesAfter": 1, "sentencesBefore": 2 },
            "summary": [{ "summarizerPromptName": "p", "responseLang": "deu", "maxSummarizedResults": 3 }] });
        assert_eq!(received[0].body, json!({ "query": [asked] }));

        for (code, detail, expected) in
            [("BAD_REQUEST", "", "too much text"), ("NOT_FOUND", "Failed to retrieve summarizer.", "no summarizer p")]
        {
            let refused = answer(&json!({ "text": "", "status": [{ "code": code, "statusDetail": detail }] }));
            let (_, summary) = summed_up(&VECTARA, config.clone(), &wish(), &[refused]).await;
            assert!(summary.unwrap_err().to_string().contains(expected), "{code}");
        }
    }

    #[test]
    fn passages_are_numbered_as_they_are_named() {
        let passage = |text: &str| Document { text: text.to_owned(), metadata: serde_json::Map::new() };
        let passages = ["a", "b", "c"].map(passage);
        let (text, named) = in_order("x [3][1], y [3] [n] [9] [", &passages);
        assert_eq!(text, "x [1][2], y [1] [n] [3] [");
        assert_eq!(named.iter().map(|passage| &*passage.text).collect::<Vec<_>>(), ["c", "a"]);
    }
}
