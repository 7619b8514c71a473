//! Pages that `FireCrawl` reads: one, all of a site, what is found by a search, or what is to be taken out of a page.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, bearer, document, loader, posted, service};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const SERVICE: &str = "https://api.firecrawl.dev";
/// Between two questions whether a job is done.
const PAUSE: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(2) };
/// Such questions about one job.
const MOST_QUESTIONS: usize = 600;
const MOST_PAGES: usize = 20_000;

/// Inputs about pages, and about a search.
const OF_PAGES: &[&str] = &[
    "includeTags",
    "excludeTags",
    "onlyMainContent",
    "limit",
    "includePaths",
    "excludePaths",
    "extractSchema",
    "extractPrompt",
];
const OF_SEARCH: &[&str] = &["searchQuery", "searchLimit", "searchLang", "searchCountry", "searchTimeout"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CrawlMode {
    Scrape,
    Crawl,
    Extract,
    Search,
}

impl CrawlMode {
    fn path(self) -> &'static str {
        match self {
            Self::Scrape => "scrape",
            Self::Crawl => "crawl",
            Self::Extract => "extract",
            Self::Search => "search",
        }
    }

    /// What a job says of itself while it goes on; `None`: the answer comes at once.
    fn going_on(self) -> Option<&'static str> {
        match self {
            Self::Crawl => Some("scraping"),
            Self::Extract => Some("processing"),
            Self::Scrape | Self::Search => None,
        }
    }
}

pub(super) struct FireCrawl;

impl NodeKind for FireCrawl {
    fn names(&self) -> &'static [&'static str] {
        &["fireCrawl"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let mode = match inputs.text("crawlerType").as_deref() {
            None | Some("crawl") => CrawlMode::Crawl,
            Some("scrape") => CrawlMode::Scrape,
            Some("extract") => CrawlMode::Extract,
            Some("search") => CrawlMode::Search,
            Some(_) => {
                inputs.refuse("crawlerType", "expected crawl, scrape, extract or search");
                return None;
            }
        };
        // What is said of other ways than the chosen one changes nothing.
        inputs.ignore(if mode == CrawlMode::Search { OF_PAGES } else { OF_SEARCH });
        let url = if mode == CrawlMode::Search { inputs.text("url") } else { inputs.required_text("url") };
        let asked = if mode == CrawlMode::Search { search(inputs) } else { pages(mode, url.as_deref(), inputs) };
        let token = inputs.credential("fireCrawlApi", "firecrawlApiToken");
        let own = inputs.optional_credential("fireCrawlApi", "firecrawlApiUrl");
        let targets = Arc::clone(&inputs.compiler.context.targets);
        let (place, reader) = match own {
            Some(own) => {
                (own.expose().trim_end_matches('/').to_owned(), WebReader::of_operator(&targets, own.expose()))
            }
            None => (service(inputs, SERVICE), WebReader::new(&targets)),
        };
        let crawled = CrawledPages { reader, place, token, mode, url: url.unwrap_or_default(), asked };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(crawled))))
    }
}

fn search(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let query = inputs.required_text("searchQuery");
    let mut asked = Map::new();
    let mut add = |name: &str, value: Option<Value>| asked.extend(value.map(|value| (name.to_owned(), value)));
    add("query", query.map(Value::from));
    add("limit", Some(inputs.integer("searchLimit").unwrap_or(5).into()));
    add("lang", inputs.text("searchLang").map(Value::from));
    add("country", inputs.text("searchCountry").map(Value::from));
    add("timeout", inputs.integer("searchTimeout").map(Value::from));
    asked
}

/// What is asked of pages.
fn pages(mode: CrawlMode, url: Option<&str>, inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let list = |inputs: &mut Inputs<'_, '_, '_>, name: &str| {
        let text = inputs.text(name)?;
        Some(text.split(',').map(Value::from).collect::<Value>())
    };
    let (include_tags, exclude_tags) = (list(inputs, "includeTags"), list(inputs, "excludeTags"));
    let (include_paths, exclude_paths) = (list(inputs, "includePaths"), list(inputs, "excludePaths"));
    let limit = inputs.integer("limit").unwrap_or(1000);
    let (schema, prompt) = (inputs.json("extractSchema"), inputs.text("extractPrompt"));
    inputs.flag("onlyMainContent");
    let mut reading = Map::new();
    reading.insert("formats".to_owned(), json!(["markdown"]));
    reading.insert("onlyMainContent".to_owned(), true.into());
    reading.extend(include_tags.map(|tags| ("includeTags".to_owned(), tags)));
    reading.extend(exclude_tags.map(|tags| ("excludeTags".to_owned(), tags)));
    let is_special = reading.len() > 2;
    let mut asked = Map::new();
    let mut add = |name: &str, value: Option<Value>| asked.extend(value.map(|value| (name.to_owned(), value)));
    match mode {
        CrawlMode::Extract => {
            add("urls", Some(json!([url])));
            add("prompt", prompt.map(Value::from));
            add("schema", schema);
        }
        _ => add("url", Some(url.into())),
    }
    if mode == CrawlMode::Crawl {
        add("includePaths", include_paths);
        add("excludePaths", exclude_paths);
        add("limit", Some(limit.into()));
    }
    if mode == CrawlMode::Scrape {
        asked.extend(reading);
    } else {
        add("scrapeOptions", is_special.then_some(Value::Object(reading)));
    }
    asked
}

#[derive(Debug)]
struct CrawledPages {
    reader: WebReader,
    place: String,
    token: Option<Secret>,
    mode: CrawlMode,
    url: String,
    asked: Map<String, Value>,
}

impl RemoteDocuments for CrawledPages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let mut asked = self.asked.clone();
            asked.insert("integration".to_owned(), "flowise".into());
            let begun = self.ask("", posted(&Value::Object(asked)), &mut room, run).await?;
            if begun.get("success") != Some(&Value::Bool(true)) {
                let why = ["error", "warning"]
                    .iter()
                    .find_map(|field| begun.get(*field)?.as_str())
                    .unwrap_or("Unknown error");
                return Err(Failure::flow(format!("FireCrawl: {why}")));
            }
            let answer = match self.mode.going_on() {
                None => begun,
                Some(going_on) => self.finished(&begun, going_on, &mut room, run).await?,
            };
            self.documents(answer, &mut room)
        })
    }
}

impl CrawledPages {
    async fn ask(
        &self,
        more: &str,
        mut request: WebRequest,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let url = web_address(&format!("{}/v1/{}{more}", self.place, self.mode.path())).map_err(Failure::flow)?;
        request.headers.extend(self.token.as_ref().and_then(bearer));
        room.json(&self.reader, &url, request, run).await
    }

    /// What a job has found, once it is done.
    async fn finished(
        &self,
        begun: &Value,
        going_on: &str,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let id = begun.get("id").and_then(Value::as_str).unwrap_or_default();
        let more = format!("/{}", crate::engine::text::percent::component(id));
        for _ in 0..MOST_QUESTIONS {
            let answer = self.ask(&more, WebRequest::default(), room, run).await?;
            match answer.get("status").and_then(Value::as_str).unwrap_or_default() {
                "completed" => return Ok(answer),
                "failed" => return Err(Failure::flow(format!("FireCrawl: the {} failed", self.mode.path()))),
                status if status == going_on => tokio::time::sleep(PAUSE).await,
                status => return Err(Failure::flow(format!("FireCrawl: unknown status {status}"))),
            }
        }
        Err(Failure::flow("FireCrawl: the job takes too long"))
    }

    fn documents(&self, mut answer: Value, room: &mut FetchBudget) -> Result<Vec<Document>, Failure> {
        let data = answer.get_mut("data").map(Value::take).unwrap_or_default();
        Ok(match self.mode {
            CrawlMode::Extract if data.is_null() => Vec::new(),
            CrawlMode::Extract => vec![self.extracted(&answer, data, room)?],
            CrawlMode::Scrape => vec![self.page(data)],
            CrawlMode::Crawl => listed(data).map(|page| self.page(page)).collect(),
            CrawlMode::Search => listed(data).map(|found| self.found(&found)).collect(),
        })
    }

    fn extracted(&self, answer: &Value, data: Value, room: &mut FetchBudget) -> Result<Document, Failure> {
        let mut told =
            document(room.spread(&data)?, [("source", self.url.as_str().into()), ("type", "extracted_data".into())]);
        let field = |name: &str| Some((name.to_owned(), answer.get(name)?.clone()));
        told.metadata.extend(field("status"));
        told.metadata.insert("data".to_owned(), data);
        told.metadata.extend(field("expiresAt"));
        Ok(told)
    }

    fn found(&self, result: &Value) -> Document {
        let field = |name: &str| result.get(name).cloned().unwrap_or_default();
        let about = json!({ "title": field("title"), "sourceURL": field("url") });
        self.page(json!({ "markdown": field("description"), "metadata": about }))
    }

    fn page(&self, mut page: Value) -> Document {
        let text = ["markdown", "html", "rawHtml"]
            .iter()
            .find_map(|name| page.get(*name)?.as_str().filter(|text| !text.is_empty()));
        let mut told = document(text.unwrap_or_default().to_owned(), []);
        if let Some(Value::Object(about)) = page.get_mut("metadata").map(Value::take) {
            told.metadata = about;
        }
        let source = told.metadata.get("sourceURL").filter(|source| source.as_str().is_some_and(|url| !url.is_empty()));
        let source = source.cloned().unwrap_or_else(|| self.url.as_str().into());
        told.metadata.insert("source".to_owned(), source);
        told
    }
}

fn listed(data: Value) -> impl Iterator<Item = Value> {
    let pages = match data {
        Value::Array(pages) => pages,
        _ => Vec::new(),
    };
    pages.into_iter().take(MOST_PAGES)
}
