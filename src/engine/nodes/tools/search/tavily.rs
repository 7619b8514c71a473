//! The node `tavilyAPI`.

use serde_json::{Map, Value, json};

use super::answers::{at, items, json_of};
use super::{Asked, Service, ServiceTool, endpoint, exposed};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::run::Run;
use crate::engine::nodes::tools::arguments::parameters;
use crate::engine::provider::ProviderResponse;
use crate::engine::text::variables::text_of;

const ORIGIN: &str = "https://api.tavily.com";
const DESCRIPTION: &str = "A search engine optimized for comprehensive, accurate, and trusted results. Useful for when \
                           you need to answer questions about current events. Input should be a search query.";
/// What models are told of the arguments, as Flowise tells it.
const ARGUMENTS: &str = include_str!("tavily.json");

/// What a model may say unless the author did: the argument's name, and the field's.
const OF_MODEL: [(&str, &str); 6] = [
    ("includeDomains", "include_domains"),
    ("excludeDomains", "exclude_domains"),
    ("searchDepth", "search_depth"),
    ("includeImages", "include_images"),
    ("timeRange", "time_range"),
    ("topic", "topic"),
];
/// What only the author may.
const OF_AUTHOR: [(&str, &str); 5] = [
    ("maxResults", "max_results"),
    ("includeAnswer", "include_answer"),
    ("includeRawContent", "include_raw_content"),
    ("includeImageDescriptions", "include_image_descriptions"),
    ("chunksPerSource", "chunks_per_source"),
];

/// See the module.
pub(super) struct TavilySearch;

impl NodeKind for TavilySearch {
    fn names(&self) -> &'static [&'static str] {
        &["tavilyAPI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // As in Flowise, which gives it to nobody.
        inputs.ignore(&["days"]);
        let mut set = Map::new();
        for (input, field) in OF_MODEL.iter().chain(&OF_AUTHOR) {
            let value = if input.ends_with("Domains") {
                let text = inputs.text(input);
                text.map(|text| text.split(',').map(|domain| Value::from(domain.trim())).collect())
            } else if input.starts_with("include") {
                inputs.flag(input).filter(|is_on| *is_on).map(Value::from)
            } else {
                inputs.value(input)
            };
            set.extend(value.map(|value| ((*field).to_owned(), value)));
        }
        let key = inputs.credential("tavilyApi", "tavilyApiKey");
        let endpoint = endpoint(ORIGIN, inputs)?;
        let properties: Value = serde_json::from_str(ARGUMENTS).unwrap_or_default();
        let parameters = parameters(&properties, &["query"]);
        let spec = ToolSpec { name: "tavily_search".to_owned(), description: DESCRIPTION.to_owned(), parameters };
        Some(Part::tool(ServiceTool { spec, endpoint, service: Tavily { key, set } }))
    }
}

/// What its author set, by the field's name.
#[derive(Debug)]
pub(super) struct Tavily {
    pub(super) key: Option<Secret>,
    pub(super) set: Map<String, Value>,
}

impl Tavily {
    /// The author's word, else the model's.
    fn effective<'a>(&'a self, (argument, field): (&str, &str), arguments: &'a Value) -> Option<&'a Value> {
        self.set.get(field).or_else(|| arguments.get(argument)).filter(|value| !value.is_null())
    }

    fn advice(&self, arguments: &Value) -> String {
        let of = |name: &str| {
            let found = OF_MODEL.iter().find(|(argument, _)| *argument == name)?;
            self.effective(*found, arguments)
        };
        let mut advice = Vec::new();
        if of("timeRange").is_some() {
            advice.push("Remove time_range argument");
        }
        for (name, words) in [
            ("includeDomains", "Remove include_domains argument"),
            ("excludeDomains", "Remove exclude_domains argument"),
        ] {
            if !items(of(name)).is_empty() {
                advice.push(words);
            }
        }
        if of("searchDepth").is_some_and(|depth| depth == "basic") {
            advice.push("Try a more detailed search using 'advanced' search_depth");
        }
        if of("topic").is_some_and(|topic| topic != "general") {
            advice.push("Try a general search using 'general' topic");
        }
        advice.join(", ")
    }
}

impl Service for Tavily {
    fn asked(&self, arguments: &Value) -> Result<Asked, Failure> {
        let mut body = Map::new();
        body.extend(arguments.get("query").map(|query| ("query".to_owned(), query.clone())));
        for pair in OF_MODEL {
            body.extend(self.effective(pair, arguments).map(|value| (pair.1.to_owned(), value.clone())));
        }
        for (_, field) in OF_AUTHOR {
            body.extend(self.set.get(field).map(|value| (field.to_owned(), value.clone())));
        }
        body.insert("client_source".to_owned(), "langchain-js".into());
        let key = format!("Bearer {}", exposed(self.key.as_ref()));
        Asked::post("/search", &Value::Object(body)).with_key("authorization", &key)
    }

    fn told(&self, answer: &ProviderResponse, arguments: &Value) -> Result<String, String> {
        let body = json_of(answer)?;
        if !answer.status.is_success() {
            let words = at(&body, &["detail", "error"]).map_or_else(|| "Unknown error".to_owned(), text_of);
            return Ok(error(&format!("Error {}: {words}", answer.status.as_u16())));
        }
        if items(body.get("results")).is_empty() {
            let query = arguments.get("query").map(text_of).unwrap_or_default();
            return Ok(error(&format!(
                "No search results found for '{query}'. Suggestions: {}. Try modifying your search parameters with one of \
                 these approaches.",
                self.advice(arguments)
            )));
        }
        Ok(format!("{body:#}"))
    }

    fn failed(&self, failure: Failure, run: &Run<'_>) -> Result<String, Failure> {
        Ok(error(&run.told(&failure)))
    }
}

/// A failure as the model is told of it.
fn error(words: &str) -> String {
    format!("{:#}", json!({ "error": words }))
}
