//! Retrievers that have a model make other questions of a question.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{base, count, output, said, vector_store};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::node::{Document, Retriever, VectorStore};
use crate::engine::contract::run::Run;
use crate::engine::nodes::retrieval::stores::MOST;
use crate::engine::text::template::Template;

/// Questions of a model's that are looked for.
const MOST_QUERIES: usize = 20;

/// The node `multiQueryRetriever`.
pub(super) struct MultiQueryNode;

const MULTI_QUERY: &str = "You are an AI language model assistant. Your task is\nto generate 3 different versions of the \
    given user\nquestion to retrieve relevant documents from a vector database.\nBy generating multiple perspectives on \
    the user question,\nyour goal is to help the user overcome some of the limitations\nof distance-based similarity \
    search.\n\nProvide these alternative questions separated by newlines between XML tags. For example:\n\n<questions>\n\
    Question 1\nQuestion 2\nQuestion 3\n</questions>\n\nOriginal question: {question}";

impl NodeKind for MultiQueryNode {
    fn names(&self) -> &'static [&'static str] {
        &["multiQueryRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (store, model) = (vector_store(inputs), inputs.model("model"));
        let text = inputs.text("modelPrompt").unwrap_or_else(|| MULTI_QUERY.to_owned());
        let prompt = question_prompt(inputs, "modelPrompt", &text);
        Some(Part::Retriever(Arc::new(MultiQuery { store: store?, model: model?, prompt: prompt? })))
    }
}

/// A template with a place for the question alone.
fn question_prompt(inputs: &mut Inputs<'_, '_, '_>, input: &str, text: &str) -> Option<Template> {
    let prompt = inputs.prompt(input, text)?;
    if prompt.names().any(|name| name != "question") {
        inputs.refuse(input, "there is a value only for {question}");
        return None;
    }
    Some(prompt)
}

fn asked(prompt: &Template, question: &str, run: &Run<'_>) -> Result<[Message; 1], Failure> {
    let values: Map<String, Value> = std::iter::once(("question".to_owned(), question.into())).collect();
    Ok([Message::user(prompt.render_for(&values, run).map_err(Failure::flow)?)])
}

#[derive(Debug)]
struct MultiQuery {
    store: Arc<dyn VectorStore>,
    model: Arc<dyn ChatModel>,
    prompt: Template,
}

impl Retriever for MultiQuery {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let said = said(&*self.model, &asked(&self.prompt, question, run)?, run).await?;
            let mut found: Vec<Document> = Vec::new();
            for query in lines(&said) {
                run.budget().step()?;
                let nearest = self.store.nearest_of(query, MOST, run).await?;
                for (document, _) in nearest {
                    // The same passage counts once.
                    if !found.contains(&document) {
                        found.push(document);
                    }
                }
            }
            Ok(found)
        })
    }
}

/// A question a line, between marks if there are any.
fn lines(said: &str) -> impl Iterator<Item = &str> {
    let inside = said.find("<questions>").and_then(|at| said.get(at + "<questions>".len()..)).unwrap_or(said);
    let inside = inside.split("</questions>").next().unwrap_or_default();
    inside.trim().lines().filter(|line| !line.trim().is_empty()).take(MOST_QUERIES)
}

/// The node `HydeRetriever`: looks for what an answer might look like.
pub(super) struct HydeNode;

const HYDE: &[(&str, &str)] = &[
    ("websearch", "Please write a passage to answer the question\nQuestion: {question}\nPassage:"),
    ("scifact", "Please write a scientific paper passage to support/refute the claim\nClaim: {question}\nPassage:"),
    ("arguana", "Please write a counter argument for the passage\nPassage: {question}\nCounter Argument:"),
    ("trec-covid", "Please write a scientific paper passage to answer the question\nQuestion: {question}\nPassage:"),
    ("fiqa", "Please write a financial article passage to answer the question\nQuestion: {question}\nPassage:"),
    ("dbpedia-entity", "Please write a passage to answer the question.\nQuestion: {question}\nPassage:"),
    ("trec-news", "Please write a news passage about the topic.\nTopic: {question}\nPassage:"),
    (
        "mr-tydi",
        "Please write a passage in Swahili/Korean/Japanese/Bengali to answer the question in detail.\nQuestion: \
         {question}\nPassage:",
    ),
];

impl NodeKind for HydeNode {
    fn names(&self) -> &'static [&'static str] {
        &["HydeRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (store, model) = (vector_store(inputs), inputs.model("model"));
        let key = inputs.text("promptKey");
        let text = match (inputs.text("customPrompt"), key) {
            (Some(own), _) => own,
            (None, Some(key)) => {
                let known = HYDE.iter().find(|(name, _)| *name == key).map(|(_, text)| (*text).to_owned());
                known.unwrap_or_else(|| {
                    inputs.refuse("promptKey", "expected one of Flowise's prompts");
                    String::new()
                })
            }
            (None, None) => "{question}".to_owned(),
        };
        let prompt = question_prompt(inputs, "customPrompt", &text);
        let most = count(inputs, "topK").unwrap_or(MOST);
        let hyde = Hyde { store: store?, model: model?, prompt: prompt?, most };
        Some(output(inputs, Arc::new(hyde)))
    }
}

#[derive(Debug)]
struct Hyde {
    store: Arc<dyn VectorStore>,
    model: Arc<dyn ChatModel>,
    prompt: Template,
    most: usize,
}

impl Retriever for Hyde {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let answer = said(&*self.model, &asked(&self.prompt, question, run)?, run).await?;
            let found = self.store.nearest_of(&answer, self.most, run).await?;
            Ok(found.into_iter().map(|(document, _)| document).collect())
        })
    }
}

/// The node `RRFRetriever`: several questions, and what they find, in the order of reciprocal ranks.
pub(super) struct FusionNode;

/// Passages that each question finds.
const OF_EACH: usize = 5;

impl NodeKind for FusionNode {
    fn names(&self) -> &'static [&'static str] {
        &["RRFRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (base, model) = (base(inputs), inputs.model("model"));
        let store = base.and_then(|base| {
            let store = base.store();
            if store.is_none() {
                inputs.refuse("baseRetriever", "expected the retriever of a vector store");
            }
            store
        });
        let queries = count(inputs, "queryCount").unwrap_or(4);
        let most = count(inputs, "topK");
        let constant = inputs.number("c").filter(|constant| *constant > 0.0).unwrap_or(60.0);
        let (store, model) = (store?, model?);
        let most = most.unwrap_or_else(|| store.most());
        Some(output(inputs, Arc::new(Fusion { store, model, queries, most, constant })))
    }
}

#[derive(Debug)]
struct Fusion {
    store: Arc<dyn VectorStore>,
    model: Arc<dyn ChatModel>,
    queries: usize,
    most: usize,
    constant: f64,
}

impl Fusion {
    fn messages(&self, question: &str) -> [Message; 3] {
        [
            Message::system(
                "You are a helpful assistant that generates multiple search queries based on a single input query.",
            ),
            Message::user(format!(
                "Generate multiple search queries related to: {question}. Provide these alternative questions separated \
                 by newlines, do not add any numbers."
            )),
            Message::user(format!("OUTPUT ({} queries):", self.queries)),
        ]
    }
}

impl Retriever for Fusion {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let said = said(&*self.model, &self.messages(question), run).await?;
            let queries = std::iter::once(question).chain(lines(&said));
            let mut scores: HashMap<String, (usize, f64)> = HashMap::new();
            let mut found: Vec<Document> = Vec::new();
            for query in queries {
                run.budget().step()?;
                let nearest = self.store.nearest_of(query, OF_EACH, run).await?;
                let mut rank = 0.0;
                for (document, _) in nearest {
                    rank += 1.0;
                    let (_, score) = scores.entry(document.to_json().to_string()).or_insert_with(|| {
                        found.push(document);
                        (found.len() - 1, 0.0)
                    });
                    *score += 1.0 / (rank + self.constant);
                }
            }
            let mut ranked: Vec<(usize, f64)> = scores.into_values().collect();
            // Of equals the one that was found first.
            ranked.sort_by(|(place, one), (other_place, other)| other.total_cmp(one).then(place.cmp(other_place)));
            ranked.truncate(self.most);
            let told = |(place, score): (usize, f64)| {
                let mut document = found.get(place)?.clone();
                document.metadata.insert("relevancy_score".to_owned(), score.into());
                Some(document)
            };
            Ok(ranked.into_iter().filter_map(told).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_lines_between_marks() {
        let all = |said: &str| lines(said).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all("Sure:\n<questions>\na\n\nb\n</questions>\nbye"), ["a", "b"]);
        assert_eq!(all("a\nb"), ["a", "b"]);
        assert_eq!(all(&"x\n".repeat(100)).len(), MOST_QUERIES);
    }
}
