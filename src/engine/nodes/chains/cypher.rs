//! The chain that asks a graph: the model writes a query in Cypher, and an answer of what the query gives.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Reply, ReplyContent, ValueSource};
use crate::engine::contract::prompt::{Form, Prompt};
use crate::engine::contract::run::Run;
use crate::engine::nodes::graphs::neo4j::Neo4j;
use crate::engine::nodes::moderation::{Moderations, moderations};
use crate::engine::nodes::words::words;
use crate::engine::text::javascript;
use crate::engine::text::template::Template;

// The words of `LangChain` (`chains/graph_qa`), where the node says nothing.
static CYPHER: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/cypher.txt")));
static ANSWER: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/cypher-answer.txt")));
/// Letters of a question.
const LONGEST: usize = 2000;
/// Rows that a model is told.
const MOST_ROWS: usize = 100;
/// Words of statements that change something, or might.
const WRITING: &[&str] = &["create", "merge", "delete", "set", "remove", "drop", "call", "load", "foreach", "insert"];
/// With which a query begins that is about the server, or another graph than the node's.
const OTHERS: &[&str] = &[
    "use",
    "show",
    "terminate",
    "alter",
    "grant",
    "deny",
    "revoke",
    "rename",
    "enable",
    "start",
    "stop",
    "dryrun",
    "deallocate",
    "reallocate",
];
/// Families of the library's functions that reckon, and do nothing else. Others run queries that are texts, or read what is
/// in no graph.
const RECKONING: &[&str] = &[
    "agg", "any", "bitwise", "coll", "convert", "data", "date", "diff", "hashing", "json", "label", "map", "math",
    "meta", "node", "nodes", "number", "rel", "scoring", "temporal", "text", "util", "version",
];
const WRITES: &str = "Generated Cypher query contains a write operation which is not allowed. This node only supports \
                      read-only queries for security.";

/// The node `graphCypherQAChain`.
pub(super) struct GraphCypherChain;

impl NodeKind for GraphCypherChain {
    fn names(&self) -> &'static [&'static str] {
        &["graphCypherQAChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let moderations = moderations(inputs);
        let cypher = prompt(inputs, "cypherPrompt", &["schema", "question"]);
        let answer = prompt(inputs, "qaPrompt", &["context", "question"]);
        if !inputs.has("graph") {
            inputs.refuse("graph", "a graph is required");
        }
        let graph = inputs.own::<Neo4j>("graph", "a graph");
        let other = |inputs: &mut Inputs<'_, '_, '_>, name| inputs.part_as(name, Part::into_model, "a chat model");
        let (own, other) = (other(inputs, "cypherModel"), other(inputs, "qaModel"));
        let is_plain = cypher.as_ref().is_some_and(|prompt| prompt.form == Form::Plain);
        if is_plain && answer.is_none() {
            inputs.refuse("qaPrompt", "QA Prompt is required when Cypher Prompt is a Prompt Template");
        }
        let model = model?;
        let chain = Arc::new(AsksGraph {
            // Other models count beside prompts of their own.
            writer: own.filter(|_| cypher.is_some()).unwrap_or_else(|| Arc::clone(&model)),
            answerer: other.filter(|_| answer.is_some()).unwrap_or(model),
            graph: graph?,
            cypher,
            answer,
            is_direct: inputs.flag("returnDirect").unwrap_or(false),
            moderations,
        });
        Some(if inputs.output() == Some("outputPrediction") { Part::Value(chain) } else { Part::Chain(chain) })
    }
}

/// A prompt with these places, and no others that nobody gives a value.
fn prompt(inputs: &mut Inputs<'_, '_, '_>, input: &str, places: &[&str]) -> Option<Arc<Prompt>> {
    let prompt = inputs.part_as(input, Part::into_prompt, "a prompt")?;
    if prompt.elsewhere.is_some() {
        inputs.refuse(input, "expected a prompt whose words stand in the flow");
        return None;
    }
    let has = |place: &&&str| prompt.names.iter().any(|name| name == **place);
    let lacks = places.iter().find(|place| !has(place)).copied();
    if let Some(place) = lacks {
        inputs.refuse(input, format!("the prompt must include {{{place}}}"));
    }
    Some(prompt)
}

#[derive(Debug)]
struct AsksGraph {
    writer: Arc<dyn ChatModel>,
    answerer: Arc<dyn ChatModel>,
    graph: Arc<Neo4j>,
    cypher: Option<Arc<Prompt>>,
    answer: Option<Arc<Prompt>>,
    /// What the query gives is the answer.
    is_direct: bool,
    moderations: Moderations,
}

impl AsksGraph {
    async fn asked(&self, question: &str, run: &Run<'_>, is_last: bool) -> Result<ReplyContent, Failure> {
        if javascript::length(question) > LONGEST {
            let words = format!("Input rejected: exceeds maximum allowed length of {LONGEST} characters.");
            run.tell_whole(&words, is_last);
            return Ok(ReplyContent::Text(words));
        }
        let question = match self.moderations.pass(&tidied(question), run, is_last).await? {
            Ok(question) => question,
            Err(sentence) => return Ok(ReplyContent::Text(sentence)),
        };
        match self.answered(&question, run, is_last).await {
            Err(failure) if failure.ends_run() => Err(failure),
            // As Flowise, whose answer it is.
            Err(failure) => {
                let words = run.told(&failure);
                run.tell_whole(&words, is_last);
                Ok(ReplyContent::Text(format!("Error: {words}")))
            }
            answered => answered,
        }
    }

    async fn answered(&self, question: &str, run: &Run<'_>, is_last: bool) -> Result<ReplyContent, Failure> {
        let schema = self.graph.schema(run).await?;
        let values = [("schema", schema.as_str()), ("question", question)];
        let asked = messages(self.cypher.as_deref(), &CYPHER, &values, run).await?;
        let written = run.ask(&*self.writer, ModelRequest::of(&asked)).await?.text;
        let query = extracted(&written);
        if writes(query) {
            return Err(Failure::flow(WRITES));
        }
        run.budget().tool_call()?;
        let mut rows = self.graph.query(query, json!({ "topK": 10 }), run).await?;
        rows.truncate(MOST_ROWS);
        let rows: Value = rows.into_iter().map(Value::Object).collect();
        if self.is_direct {
            run.tell_whole(&format!("```json\n{rows:#}"), is_last);
            return Ok(ReplyContent::Json(rows));
        }
        let context = javascript::json(&rows);
        let values = [("context", context.as_str()), ("question", question)];
        let asked = messages(self.answer.as_deref(), &ANSWER, &values, run).await?;
        let ask = ModelRequest::of(&asked).telling(is_last.then_some(run.sink));
        Ok(ReplyContent::Text(run.ask(&*self.answerer, ask).await?.text))
    }
}

/// A prompt, or else these words, with values in their places.
async fn messages(
    prompt: Option<&Prompt>,
    otherwise: &Template,
    values: &[(&str, &str)],
    run: &Run<'_>,
) -> Result<Vec<Message>, Failure> {
    let mut known: Map<String, Value> =
        values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let Some(prompt) = prompt else {
        return Ok(vec![Message::user(otherwise.render(&known).map_err(Failure::flow)?)]);
    };
    let question = values.iter().find(|(name, _)| *name == "question").map_or("", |(_, value)| value);
    let mut all = prompt.given(question, run).await?;
    all.append(&mut known);
    prompt.messages(&all, &[], None, run).await
}

/// A question in one line, without comments and semicolons.
fn tidied(question: &str) -> String {
    let mut out = String::with_capacity(question.len());
    let mut rest = question;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        rest = match letter {
            '/' if after.starts_with('/') => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            '/' if after.starts_with('*') && after.get(1..).is_some_and(|inner| inner.contains("*/")) => {
                after.get(1..).and_then(|inner| inner.split_once("*/")).map_or("", |(_, behind)| behind)
            }
            ';' => after,
            letter if letter.is_control() && !matches!(letter, '\t' | '\n') => after,
            letter => {
                out.push(letter);
                after
            }
        };
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands in the first block of Markdown, or all.
fn extracted(written: &str) -> &str {
    let block = written.split_once("```").and_then(|(_, rest)| Some(rest.split_once("```")?.0));
    let query = block.unwrap_or(written).trim();
    query.strip_prefix("cypher").filter(|rest| rest.starts_with(char::is_whitespace)).unwrap_or(query)
}

/// Whether a word of it, outside of texts, may change something.
fn writes(query: &str) -> bool {
    let mut quote = None;
    let bare: String = query
        .chars()
        .map(|letter| {
            let is_inside = quote.is_some();
            match quote {
                Some(open) if open == letter => quote = None,
                None if letter == '\'' || letter == '"' => quote = Some(letter),
                _ => {}
            }
            if is_inside || quote.is_some() { ' ' } else { letter }
        })
        .collect();
    // A text without an end hides nothing, and where quotes may stand that begin none, all of it is looked at.
    let is_unsure = quote.is_some() || ["\\", "`", "/*", "//"].iter().any(|sign| query.contains(sign));
    let bare = if is_unsure { query } else { &bare };
    let words = bare.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    // Cypher takes a letter's number for the letter, in words as well.
    query.contains("\\u")
        || words.iter().any(|word| WRITING.contains(&word.as_str()))
        || reaches_out(&words)
        || is_other(query, &words)
}

/// Whether it calls a function of the library that does more than reckon.
fn reaches_out(words: &[String]) -> bool {
    let mut calls = words.iter().enumerate().filter(|(_, word)| *word == "apoc");
    calls.any(|(at, _)| words.get(at + 1).is_none_or(|family| !RECKONING.contains(&family.as_str())))
}

/// Whether it, or a part of it, begins as no query of the node's graph does.
fn is_other(query: &str, words: &[String]) -> bool {
    let is_meant = |word: &String| OTHERS.contains(&word.as_str());
    let first = beginning(query).to_lowercase();
    // Behind what else may stand first, and where comments may be between, it is looked for everywhere.
    let is_hidden = matches!(first.as_str(), "cypher" | "profile" | "explain")
        || (words.iter().any(|word| word == "union") && ["/*", "//"].iter().any(|sign| query.contains(sign)));
    let next = |at: usize| words.get(at + 1).filter(|word| !matches!(word.as_str(), "all" | "distinct"));
    let begins = |(at, word): (usize, &String)| word == "union" && next(at).or(words.get(at + 2)).is_some_and(is_meant);
    is_meant(&first) || words.iter().enumerate().any(begins) || (is_hidden && words.iter().any(is_meant))
}

/// The word that it begins with, behind comments.
fn beginning(mut query: &str) -> &str {
    loop {
        query = query.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ';');
        query = if let Some(comment) = query.strip_prefix("//") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = query.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return query.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
        };
    }
}

impl Chain for AsksGraph {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let said = self.asked(question, run, is_last).await?;
            Ok(Reply { said, ..Reply::default() })
        })
    }
}

impl ValueSource for AsksGraph {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            Ok(match self.asked(question, run, false).await? {
                ReplyContent::Text(text) => text.into(),
                ReplyContent::Json(value) => value,
            })
        })
    }
}

#[cfg(test)]
mod tests;
