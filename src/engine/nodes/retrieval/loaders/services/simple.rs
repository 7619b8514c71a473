//! Services that are asked once: what they answer is the documents.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, document, loader, posted, secret_header, service};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::javascript::{is_falsy, json, shown};
use crate::engine::text::percent::{component, pairs};

/// One request, and what becomes of its answer.
#[derive(Debug)]
struct AskedOnce {
    reader: WebReader,
    url: Url,
    request: WebRequest,
    told: fn(&Value, &Url) -> Result<Vec<Document>, String>,
}

impl RemoteDocuments for AskedOnce {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let answer = FetchBudget::new().json(&self.reader, &self.url, self.request.clone(), run).await?;
            (self.told)(&answer, &self.url).map_err(Failure::flow)
        })
    }
}

fn asked(
    inputs: &mut Inputs<'_, '_, '_>,
    address: &str,
    request: WebRequest,
    told: fn(&Value, &Url) -> Result<Vec<Document>, String>,
) -> Option<Part> {
    let reader = WebReader::new(&inputs.compiler.context.targets);
    let url = web_address(&service(inputs, address)).ok()?;
    loader(inputs, Some(LoaderInput::Remote(Arc::new(AskedOnce { reader, url, request, told }))))
}

fn exposed(secret: Option<&Secret>) -> &str {
    secret.map(Secret::expose).unwrap_or_default()
}

/// Each result of a search as JSON, by the list that it is in.
fn results(answer: &Value, source: &str, kinds: &[&str]) -> Result<Vec<Document>, String> {
    if let Some(error) = answer.get("error").filter(|error| !is_falsy(error)) {
        return Err(format!("Failed to load search results from {source} due to: {}", shown(error)));
    }
    let mut documents = Vec::new();
    let about = |text: String, kind: &str| document(text, [("source", source.into()), ("responseType", kind.into())]);
    for kind in kinds {
        let Some(found) = answer.get(*kind) else { continue };
        let found = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
        if *kind == "transcripts" {
            let lines: Vec<&str> = found.iter().filter_map(|line| line.get("text")?.as_str()).collect();
            documents.push(about(lines.join("\n"), kind));
        } else {
            documents.extend(found.iter().map(|result| about(json(result), kind)));
        }
    }
    Ok(documents)
}

pub(super) struct SerpApi;

impl NodeKind for SerpApi {
    fn names(&self) -> &'static [&'static str] {
        &["serpApi"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let query = inputs.required_text("query").unwrap_or_default();
        let key = inputs.credential("serpApi", "serpApiKey");
        let asked_for = pairs(&[("api_key", exposed(key.as_ref())), ("q", &query)]);
        asked(inputs, &format!("https://serpapi.com/search?{asked_for}"), WebRequest::default(), |answer, _| {
            let kinds = ["answer_box", "sports_results", "shopping_results", "knowledge_graph", "organic_results"];
            results(answer, "SerpAPI", &kinds)
        })
    }
}

pub(super) struct SearchApi;

impl NodeKind for SearchApi {
    fn names(&self) -> &'static [&'static str] {
        &["searchApi"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let key = inputs.credential("searchApi", "searchApiKey");
        let mut fields = Map::new();
        fields.insert("engine".to_owned(), "google".into());
        fields.insert("api_key".to_owned(), exposed(key.as_ref()).into());
        fields.extend(inputs.text("query").map(|query| ("q".to_owned(), query.into())));
        if let Some(Value::Object(more)) = inputs.json("customParameters") {
            fields.extend(more);
        }
        let given = fields.iter().filter(|(name, value)| !value.is_null() && *name != "apiKey");
        let given: Vec<(&str, String)> = given.map(|(name, value)| (name.as_str(), shown(value))).collect();
        let address = format!("https://www.searchapi.io/api/v1/search?{}", pairs(&given));
        asked(inputs, &address, WebRequest::default(), |answer, _| {
            let kinds = ["answer_box", "shopping_results", "knowledge_graph", "organic_results", "transcripts"];
            results(answer, "SearchApi", &kinds)
        })
    }
}

pub(super) struct BraveSearch;

impl NodeKind for BraveSearch {
    fn names(&self) -> &'static [&'static str] {
        &["braveSearchApiLoader"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let query = inputs.required_text("query").unwrap_or_default();
        let key = inputs.credential("braveSearchApi", "braveApiKey");
        let token = secret_header(HeaderName::from_static("x-subscription-token"), exposed(key.as_ref()));
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        headers.extend(token);
        let address = format!("https://api.search.brave.com/res/v1/web/search?q={}", component(&query));
        asked(inputs, &address, WebRequest { headers, ..WebRequest::default() }, |answer, _| {
            let found = answer.pointer("/web/results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let told = |result: &Value| {
                let text = result.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
                let field = |name: &str| result.get(name).cloned();
                let about = [("title", field("title")), ("link", field("url"))];
                let mut told = document(text, []);
                told.metadata.extend(about.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
                told
            };
            Ok(found.iter().map(told).collect())
        })
    }
}

pub(super) struct Figma;

impl NodeKind for Figma {
    fn names(&self) -> &'static [&'static str] {
        &["figma"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Flowise offers it, and does not look at it.
        inputs.ignore(&["recursive"]);
        let file = inputs.required_text("fileKey").unwrap_or_default();
        let nodes = inputs.text("nodeIds").unwrap_or_default();
        let nodes: Vec<String> = nodes.trim().split(',').map(component).collect();
        let token = inputs.credential("figmaApi", "accessToken");
        let token = secret_header(HeaderName::from_static("x-figma-token"), exposed(token.as_ref()));
        let address = format!("https://api.figma.com/v1/files/{}/nodes?ids={}", component(&file), nodes.join(","));
        let request = WebRequest { headers: token.into_iter().collect(), ..WebRequest::default() };
        asked(inputs, &address, request, |answer, url| {
            Ok(vec![document(json(answer), [("source", url.as_str().into())])])
        })
    }
}

pub(super) struct Oxylabs;

impl NodeKind for Oxylabs {
    fn names(&self) -> &'static [&'static str] {
        &["oxylabs"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (query, source) = (inputs.text("query"), inputs.text("source"));
        let is_page = source.as_deref() == Some("universal");
        let parse = inputs.flag("parse");
        let mut body = Map::new();
        let mut add = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
        add("source", source.map(Value::from));
        add("geo_location", inputs.text("geo_location").map(Value::from));
        add("render", inputs.flag("render").filter(|render| *render).map(|_| "html".into()));
        add("parse", parse.map(Value::from));
        add("user_agent_type", inputs.text("user_agent_type").map(Value::from));
        add("markdown", Some(Value::Bool(parse != Some(true))));
        add(if is_page { "url" } else { "query" }, query.map(Value::from));
        let (user, password) =
            (inputs.credential("oxylabsApi", "username"), inputs.credential("oxylabsApi", "password"));
        let caller = STANDARD.encode(format!("{}:{}", exposed(user.as_ref()), exposed(password.as_ref())));
        let mut request = posted(&Value::Object(body));
        let client = HeaderValue::from_static("oxylabs-integration-flowise/1.0.0 (1.0.0; 64bit)");
        request.headers.push((HeaderName::from_static("x-oxylabs-sdk"), client));
        request.headers.extend(secret_header(AUTHORIZATION, &format!("Basic {caller}")));
        asked(inputs, "https://realtime.oxylabs.io/v1/queries", request, |answer, _| {
            let found = answer.get("results").and_then(Value::as_array);
            let found = found.ok_or_else(|| "Oxylabs gave no results".to_owned())?;
            let text = |result: &Value| match result.get("content") {
                Some(Value::String(text)) => text.clone(),
                Some(content) => json(content),
                None => String::new(),
            };
            Ok(found.iter().map(|result| document(text(result), [])).collect())
        })
    }
}
