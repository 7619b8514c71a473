//! The node `searXNG`: a search engine that the flow's author runs.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use serde_json::{Value, json};

use super::answers::{at, items, json_of};
use super::{input, of_text};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::nodes::tools::requests::headers_of;
use crate::engine::provider::address::Address;
use crate::engine::provider::{ProviderCall, ProviderResponse};
use crate::engine::text::mustache::{JsonTemplate, Mustache};
use crate::engine::text::percent::{located, pairs};
use crate::engine::text::variables::text_of;

/// As long as Flowise waits.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_RESULTS: usize = 10;
const NOTHING_FOUND: &str = "No good results found.";
const DESCRIPTION: &str = "A meta search engine. Useful for when you need to answer questions about current events. Input \
                           should be a search query. Output is a JSON array of the query results";

/// See the module.
pub(super) struct SearXng;

impl NodeKind for SearXng {
    fn names(&self) -> &'static [&'static str] {
        &["searXNG"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.fills(&["toolDescription"]);
        let name = inputs.text("toolName").unwrap_or_else(|| "searxng-search".to_owned());
        let description = inputs.text("toolDescription").unwrap_or_else(|| DESCRIPTION.to_owned());
        let params = params(inputs);
        let headers = match inputs.json_template("headers").map(JsonTemplate::into_fields) {
            None => Vec::new(),
            Some(Some(headers)) => headers_of(headers, "headers", inputs),
            Some(None) => {
                inputs.refuse("headers", "expected a JSON object");
                Vec::new()
            }
        };
        if !inputs.has("apiBase") {
            inputs.lacks("apiBase");
        }
        let url = inputs.mustache("apiBase")?;
        let address = Address::read(&url, &inputs.compiler.context.targets, PATIENCE);
        let address = address.map_err(|error| inputs.refuse_address("apiBase", &url.written(), error)).ok()?;
        inputs.look_at(&address.endpoint);
        Some(Part::tool(Searching { spec: of_text(&name, &description), address, headers, params }))
    }
}

/// What is asked beside the text, in Flowise's order.
fn params(inputs: &mut Inputs<'_, '_, '_>) -> Vec<(&'static str, String)> {
    let page = inputs.number("pageno").filter(|page| *page != 0.0);
    let page = page.map_or_else(|| "1".to_owned(), |page| json!(page).to_string().trim_end_matches(".0").to_owned());
    let safe = inputs.text("safesearch").unwrap_or_else(|| "0".to_owned());
    let mut params = vec![
        ("numResults", MOST_RESULTS.to_string()),
        ("pageNumber", page),
        ("imageProxy", "true".to_owned()),
        ("safesearch", safe),
    ];
    for name in ["categories", "engines", "language"] {
        params.extend(inputs.text(name).map(|value| (name, value)));
    }
    // Flowise makes a number of it, which no range is.
    params.extend(inputs.text("time_range").map(|range| {
        let number = range.trim().parse::<f64>().map_or_else(|_| "NaN".to_owned(), |number| number.to_string());
        ("timeRange", number)
    }));
    params.extend(inputs.text("format").map(|format| ("format", format)));
    params
}

#[derive(Debug)]
struct Searching {
    spec: ToolSpec,
    address: Address,
    headers: Vec<(HeaderName, Mustache)>,
    params: Vec<(&'static str, String)>,
}

impl Tool for Searching {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let base = self.address.path.address(run).map_err(Failure::flow)?;
            let mut query = vec![("q", input(arguments))];
            query.extend(self.params.iter().cloned());
            let path = format!("{}?{}", located(&format!("{base}/search")), pairs(&query));
            let mut headers = vec![(CONTENT_TYPE, http::HeaderValue::from_static("application/json"))];
            for (name, value) in &self.headers {
                headers.retain(|(set, _)| set != name);
                headers.push((name.clone(), value.header(name, run).map_err(Failure::flow)?));
            }
            let call = ProviderCall { method: Method::POST, path: &path, headers: &headers, body: bytes::Bytes::new() };
            let answer = self.address.endpoint.fetch(call, run).await?;
            let text = told(&answer).map_err(Failure::Refused)?;
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

/// What a model is told of an answer.
pub(super) fn told(answer: &ProviderResponse) -> Result<String, String> {
    if !answer.status.is_success() {
        return Err(answer.status.canonical_reason().unwrap_or_default().to_owned());
    }
    let answer = json_of(answer)?;
    let list = |name: &str| items(answer.get(name));
    let text = |item: &Value, name: &str| at(item, &[name]).map(text_of).unwrap_or_default();
    if !list("results").is_empty() {
        let result = |item: &Value| {
            json!({ "title": text(item, "title"), "link": text(item, "url"), "snippet": text(item, "content") })
                .to_string()
        };
        let results = list("results").iter().take(MOST_RESULTS).map(result);
        return Ok(results.collect::<Vec<_>>().join(","));
    }
    if let Some(first) = list("answers").first() {
        return Ok(text_of(first));
    }
    if let Some(first) = list("infoboxes").first() {
        return Ok(text(first, "content"));
    }
    if list("suggestions").is_empty() {
        return Ok(NOTHING_FOUND.to_owned());
    }
    let suggestions = list("suggestions").iter().map(|suggestion| format!("{}, ", text_of(suggestion)));
    Ok(format!("Suggestions: {}", suggestions.collect::<String>()))
}
