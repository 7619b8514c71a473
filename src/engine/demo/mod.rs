//! The flow behind `flowgate demo`: answers questions about flowgate by quoting its pages. It needs no network and no
//! model, says so, and says when it has no answer.

mod pages;
mod passages;
mod search;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Chain, Document, Reply};
use crate::engine::contract::run::Run;
use pages::PAGES;
use passages::{Passage, passages};
use search::{Search, quote};

/// Between two tokens, so that a stream looks like one.
const PACE: Duration = Duration::from_millis(20);

const NO_ANSWER: &str = "I have no answer to that. I am flowgate's demo, not a model: I can only quote what flowgate's \
    pages say, and I find nothing about your question in them. Try \"What is flowgate?\" or \"What does exit \
    code 2 mean?\".";

/// Letters of a question that are looked at: each of its words is compared with every passage.
const LONGEST: usize = 4000;

/// See the module.
pub(super) struct DemoChain(Search);

impl fmt::Debug for DemoChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DemoChain")
    }
}

impl DemoChain {
    pub(super) fn new() -> Self {
        Self(Search::over(PAGES.iter().flat_map(|(page, text)| passages(page, text)).collect()))
    }
}

impl Chain for DemoChain {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let end = question.char_indices().nth(LONGEST).map_or(question.len(), |(at, _)| at);
            let question = question.get(..end).unwrap_or(question);
            let found = self.0.find(question);
            let text = answer(&found, question);
            if is_last && run.sink.streams() {
                for word in text.split_inclusive(' ') {
                    if run.watch.abort.is_cancelled() {
                        return Err(Failure::Aborted);
                    }
                    run.sink.token(word);
                    tokio::time::sleep(PACE).await;
                }
            }
            let mut reply = Reply::text(text);
            if !found.is_empty() {
                let sources: Vec<Value> = found.iter().map(|passage| source(passage)).collect();
                reply.fields.insert("sourceDocuments".to_owned(), sources.into());
            }
            Ok(reply)
        })
    }
}

fn answer(found: &[&Passage], question: &str) -> String {
    if found.is_empty() {
        return NO_ANSWER.to_owned();
    }
    let mut places: Vec<String> = Vec::new();
    for passage in found {
        let place = format!("{} ({})", title(passage), passage.page);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let quotes: Vec<String> = found.iter().map(|passage| quote(passage, question)).collect();
    format!("{}\n\n(Quoted from flowgate's pages: {}. No model wrote this.)", quotes.join("\n\n"), places.join(", "))
}

fn title(passage: &Passage) -> &str {
    passage.headings.last().map_or("flowgate", String::as_str)
}

fn source(passage: &Passage) -> Value {
    let (from, to) = passage.lines;
    let metadata = json!({
        "source": passage.page,
        "title": title(passage),
        "loc": { "lines": { "from": from, "to": to } },
    });
    let metadata = if let Value::Object(fields) = metadata { fields } else { serde_json::Map::new() };
    Document { text: passage.text.clone(), metadata }.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(question: &str) -> (String, Vec<Value>) {
        let guide = DemoChain::new();
        let found = guide.0.find(question);
        (answer(&found, question), found.iter().map(|passage| source(passage)).collect())
    }

    #[test]
    fn the_pages_answer_what_they_speak_of() {
        for (question, words) in [
            ("What is flowgate?", "flowgate is a"),
            ("What does exit code 2 mean?", "bad usage"),
            ("How do I revoke a key?", "revoke"),
            ("Which status does a body above max_body get?", "413"),
            ("What is charged before the body is looked at?", "charged"),
            ("Where does /metrics listen?", "/metrics"),
            ("What happens on SIGTERM?", "SIGTERM"),
            ("How do I leave Flowise?", "exported from Flowise"),
            ("How do I rotate a key?", "flowgate keys rotate"),
            ("What is CVE-2026-30820?", "x-request-from"),
            ("What does chat_busy mean?", "second stream"),
            ("How are wrong keys treated?", "429"),
            ("How do I configure CORS?", "pages of other origins"),
            ("What needs a restart?", "restart"),
            ("How do I add a metric?", "telemetry/metrics.rs"),
            ("Does it support TLS?", "TLS 1.2 and 1.3"),
        ] {
            let (text, sources) = ask(question);
            assert!(text.contains(words) && text.ends_with("No model wrote this.)"), "{question}: {text}");
            assert!((1..=3).contains(&sources.len()), "{question}");
            let metadata = &sources[0]["metadata"];
            let (_, page) = PAGES.iter().find(|(page, _)| metadata["source"] == *page).unwrap();
            let line = metadata["loc"]["lines"]["from"].as_u64().unwrap();
            assert!(page.lines().nth(usize::try_from(line).unwrap() - 1).is_some_and(|line| !line.is_empty()));
        }
    }

    #[test]
    fn it_says_what_it_is_when_it_has_no_answer() {
        for question in ["Who are you?", "What is the capital of France?", "Write me a poem about otters."] {
            let (text, sources) = ask(question);
            assert!(text.contains("not a model") && sources.is_empty(), "{question}: {text}");
        }
    }
}
