//! Services that are asked with a text and a key, and nothing else.

use serde_json::{Map, Value, json};

use super::answers::{at, is_something, items, json_of, picked};
use super::{Asked, Service, ServiceTool, endpoint, exposed, input, of_text};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::provider::ProviderResponse;
use crate::engine::text::percent::{component, pairs};
use crate::engine::text::variables::text_of;

const NOTHING_FOUND: &str = "No good search result found";
const SEARCHES: &str = "a search engine. useful for when you need to answer questions about current events. input \
                        should be a search query.";

/// One of them.
pub(super) struct SimpleService {
    names: &'static [&'static str],
    /// As models call it.
    tool: &'static str,
    description: &'static str,
    origin: &'static str,
    credential: &'static str,
    fields: &'static [&'static str],
    protocol: ServiceProtocol,
}

/// What is asked for a text, with the keys in the order of their fields, and what is told of the answer.
#[derive(Clone, Copy)]
struct ServiceProtocol {
    asked: fn(&str, &[&str]) -> Result<Asked, Failure>,
    told: fn(&ProviderResponse) -> Result<String, String>,
}

pub(super) static BRAVE: SimpleService = SimpleService {
    names: &["braveSearchAPI"],
    tool: "brave-search",
    description: SEARCHES,
    origin: "https://api.search.brave.com",
    credential: "braveSearchApi",
    fields: &["braveApiKey"],
    protocol: ServiceProtocol {
        asked: |text, keys| {
            let asked = Asked::get(&format!("/res/v1/web/search?q={}", component(text)));
            asked.with_key("x-subscription-token", first(keys)).map(Asked::accepting_json)
        },
        told: |answer| {
            refused(answer, |status, _| format!("HTTP error {status}"))?;
            let answer = json_of(answer)?;
            Ok(found(
                at(&answer, &["web", "results"]),
                &[("title", "title"), ("link", "url"), ("snippet", "description")],
            ))
        },
    },
};

pub(super) static GOOGLE: SimpleService = SimpleService {
    names: &["googleCustomSearch"],
    tool: "google-custom-search",
    description: "a custom search engine. useful for when you need to answer questions about current events. input \
                  should be a search query. outputs a JSON array of results.",
    origin: "https://www.googleapis.com",
    credential: "googleCustomSearchApi",
    fields: &["googleCustomSearchApiKey", "googleCustomSearchApiId"],
    protocol: ServiceProtocol {
        asked: |text, keys| {
            let [key, id] = keys else { return Err(Failure::flow("Google custom search engine id not set.")) };
            Ok(Asked::get(&format!(
                "/customsearch/v1?key={}&cx={}&q={}",
                component(key),
                component(id),
                component(text)
            )))
        },
        told: |answer| {
            refused(answer, |status, words| format!("Got {status} error from Google custom search: {words}"))?;
            let answer = json_of(answer)?;
            Ok(found(at(&answer, &["items"]), &[("title", "title"), ("link", "link"), ("snippet", "snippet")]))
        },
    },
};

pub(super) static SERPER: SimpleService = SimpleService {
    names: &["serper"],
    tool: "search",
    description: SEARCHES,
    origin: "https://google.serper.dev",
    credential: "serperApi",
    fields: &["serperApiKey"],
    protocol: ServiceProtocol {
        asked: |text, keys| Asked::post("/search", &json!({ "q": text })).with_key("x-api-key", first(keys)),
        told: |answer| {
            refused(answer, |status, words| format!("Got {status} error from serper: {words}"))?;
            let answer = json_of(answer)?;
            if let Some(words) =
                at(&answer, &["answerBox", "answer"]).or_else(|| at(&answer, &["answerBox", "snippet"]))
            {
                return Ok(text_of(words));
            }
            if let Some(words) = at(&answer, &["answerBox", "snippet_highlighted_words"]) {
                return Ok(words.get(0).map(text_of).unwrap_or_default());
            }
            let ways: [&[&str]; 3] = [
                &["sportsResults", "game_spotlight"],
                &["knowledgeGraph", "description"],
                &["organic", "0", "snippet"],
            ];
            let found = ways.iter().find_map(|way| at(&answer, way));
            Ok(found.map_or_else(|| NOTHING_FOUND.to_owned(), text_of))
        },
    },
};

pub(super) static SEARCH_API: SimpleService = SimpleService {
    names: &["searchAPI"],
    tool: "search",
    description: SEARCHES,
    origin: "https://www.searchapi.io",
    credential: "searchApi",
    fields: &["searchApiKey"],
    protocol: ServiceProtocol {
        asked: |text, keys| {
            let query = pairs(&[("engine", "google"), ("api_key", first(keys)), ("q", text)]);
            Ok(Asked::get(&format!("/api/v1/search?{query}")))
        },
        told: search_api,
    },
};

pub(super) static SERP_API: SimpleService = SimpleService {
    names: &["serpAPI"],
    tool: "search",
    description: SEARCHES,
    origin: "https://serpapi.com",
    credential: "serpApi",
    fields: &["serpApiKey"],
    protocol: ServiceProtocol {
        asked: |text, keys| Ok(Asked::get(&format!("/search?{}", pairs(&[("api_key", first(keys)), ("q", text)])))),
        told: serp_api,
    },
};

pub(super) static WOLFRAM: SimpleService = SimpleService {
    names: &["wolframAlpha"],
    tool: "wolfram_alpha",
    description: "A wrapper around Wolfram Alpha. Useful for when you need to answer questions about Math, Science, \
                  Technology, Culture, Society and Everyday Life. Input should be a search query.",
    origin: "https://www.wolframalpha.com",
    credential: "wolframAlphaAppId",
    fields: &["wolframAlphaAppId"],
    protocol: ServiceProtocol {
        asked: |text, keys| {
            Ok(Asked::get(&format!("/api/v1/llm-api?appid={}&input={}", component(first(keys)), component(text))))
        },
        told: |answer| Ok(String::from_utf8_lossy(&answer.body).into_owned()),
    },
};

impl NodeKind for SimpleService {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let keys = self.fields.iter().map(|field| inputs.credential(self.credential, field)).collect();
        let endpoint = endpoint(self.origin, inputs)?;
        let service = KeyedService { protocol: self.protocol, keys };
        Some(Part::tool(ServiceTool { spec: of_text(self.tool, self.description), endpoint, service }))
    }
}

/// One with its keys.
pub(super) struct KeyedService {
    protocol: ServiceProtocol,
    keys: Vec<Option<Secret>>,
}

impl std::fmt::Debug for KeyedService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedService")
    }
}

impl Service for KeyedService {
    fn asked(&self, arguments: &Value) -> Result<Asked, Failure> {
        let keys: Vec<&str> = self.keys.iter().map(|key| exposed(key.as_ref())).collect();
        (self.protocol.asked)(&input(arguments), &keys)
    }

    fn told(&self, answer: &ProviderResponse, _: &Value) -> Result<String, String> {
        (self.protocol.told)(answer)
    }
}

#[cfg(test)]
impl SimpleService {
    /// With keys in the order of its fields.
    pub(super) fn keyed(&self, keys: &[&str]) -> KeyedService {
        KeyedService {
            protocol: self.protocol,
            keys: keys.iter().map(|key| Some(Secret::new((*key).to_owned()))).collect(),
        }
    }
}

fn first<'a>(keys: &[&'a str]) -> &'a str {
    keys.first().copied().unwrap_or_default()
}

/// # Errors
/// The answer is none; `words` makes a sentence of its status.
fn refused(answer: &ProviderResponse, words: impl Fn(u16, &str) -> String) -> Result<(), String> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    Err(words(status.as_u16(), status.canonical_reason().unwrap_or_default()))
}

/// A list of what was found, as JSON.
fn found(results: Option<&Value>, fields: &[(&str, &str)]) -> String {
    items(results).iter().map(|item| picked(item, fields)).collect::<Value>().to_string()
}

fn joined(results: &[Value], line: impl Fn(&Value) -> Option<String>) -> String {
    results.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn search_api(answer: &ProviderResponse) -> Result<String, String> {
    let answer = json_of(answer)?;
    if let Some(error) = at(&answer, &["error"]) {
        return Err(format!("Failed to load search results from SearchApi due to: {}", text_of(error)));
    }
    let ways: [&[&str]; 3] =
        [&["answer_box", "answer"], &["answer_box", "snippet"], &["knowledge_graph", "description"]];
    if let Some(words) = ways.iter().find_map(|way| at(&answer, way)) {
        return Ok(text_of(words));
    }
    let text = |item: &Value, name: &str| at(item, &[name]).map(text_of);
    Ok(if let Some(results) = at(&answer, &["organic_results"]) {
        joined(items(Some(results)), |item| text(item, "snippet"))
    } else if let Some(jobs) = at(&answer, &["jobs"]) {
        joined(items(Some(jobs)).get(..1).unwrap_or_default(), |job| text(job, "description"))
    } else if let Some(videos) = at(&answer, &["videos"]) {
        let line = |video: &Value| Some(format!("Title: \"{}\" Link: {}", text(video, "title")?, text(video, "link")?));
        joined(items(Some(videos)), line)
    } else if let Some(images) = at(&answer, &["images"]) {
        let line = |image: &Value| {
            let link = at(image, &["original"]).filter(|original| original.is_object())?;
            Some(format!("Title: \"{}\" Link: {}", text(image, "title")?, text(link, "link")?))
        };
        joined(&items(Some(images)).iter().take(15).cloned().collect::<Vec<_>>(), line)
    } else {
        NOTHING_FOUND.to_owned()
    })
}

fn serp_api(answer: &ProviderResponse) -> Result<String, String> {
    let answer = json_of(answer)?;
    if let Some(error) = at(&answer, &["error"]) {
        return Err(format!("Got error from serpAPI: {}", text_of(error)));
    }
    let listed = at(&answer, &["answer_box_list"]).map(|list| list.get(0));
    let box_of = listed.unwrap_or_else(|| answer.get("answer_box")).filter(|found| is_something(found));
    if let Some(found) = box_of {
        return Ok(boxed(found));
    }
    let ways: [&[&str]; 7] = [
        &["events_results"],
        &["sports_results"],
        &["top_stories"],
        &["news_results"],
        &["jobs_results", "jobs"],
        &["questions_and_answers"],
        &["popular_destinations", "destinations"],
    ];
    if let Some(found) = ways.iter().find_map(|way| at(&answer, way)) {
        return Ok(found.to_string());
    }
    if let Some(sights) = at(&answer, &["top_sights", "sights"]) {
        let fields = [("title", "title"), ("description", "description"), ("price", "price")];
        let sights = items(Some(sights)).iter().take(8).map(|sight| picked(sight, &fields));
        return Ok(sights.collect::<Value>().to_string());
    }
    if at(&answer, &["shopping_results", "0", "title"]).is_some() {
        let results = items(answer.get("shopping_results")).iter().take(3).cloned();
        return Ok(results.collect::<Value>().to_string());
    }
    if at(&answer, &["images_results", "0", "thumbnail"]).is_some() {
        let thumbnails = items(answer.get("images_results")).iter().take(10);
        let thumbnails = thumbnails.map(|image| image.get("thumbnail").map(text_of).unwrap_or_default());
        return Ok(thumbnails.collect::<Vec<_>>().join(","));
    }
    let snippets = snippets(&answer);
    Ok(if snippets.is_empty() { NOTHING_FOUND.to_owned() } else { Value::Array(snippets).to_string() })
}

/// What stands in an answer's box.
fn boxed(found: &Value) -> String {
    if let Some(words) = ["result", "answer", "snippet"].iter().find_map(|name| at(found, &[name])) {
        return text_of(words);
    }
    match at(found, &["snippet_highlighted_words"]) {
        Some(Value::Array(words)) => return words.iter().map(text_of).collect::<Vec<_>>().join(","),
        Some(words) => return text_of(words),
        None => {}
    }
    let is_plain = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) | Value::Null => false,
        Value::String(text) => !text.starts_with("http"),
        _ => true,
    };
    let plain = found.as_object().into_iter().flatten().filter(|(_, value)| is_plain(value));
    Value::Object(plain.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()).to_string()
}

fn snippets(answer: &Value) -> Vec<Value> {
    let mut snippets = Vec::new();
    if let Some(graph) = at(answer, &["knowledge_graph"]) {
        snippets.extend(at(graph, &["description"]).cloned());
        let title = at(graph, &["title"]).map(text_of).unwrap_or_default();
        for (name, value) in graph.as_object().into_iter().flatten() {
            let is_shown = !matches!(name.as_str(), "title" | "description")
                && !name.ends_with("_stick")
                && !name.ends_with("_link")
                && !name.starts_with("http");
            if let Some(text) = value.as_str().filter(|_| is_shown) {
                snippets.push(format!("{title} {name}: {text}").into());
            }
        }
    }
    if let Some(first) = at(answer, &["organic_results", "0"]) {
        let names = ["snippet", "snippet_highlighted_words", "rich_snippet", "rich_snippet_table", "link"];
        snippets.extend(names.iter().find_map(|name| at(first, &[name])).cloned());
    }
    snippets.extend(at(answer, &["buying_guide"]).cloned());
    snippets.extend(at(answer, &["local_results", "places"]).cloned());
    snippets
}
