//! The node `webBrowser`: a page that a model names, and what another model says of it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName, HeaderValue, REFERER};
use serde_json::{Map, Value};
use url::Url;

use super::super::search::of_text;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Document, DocumentSource, Embeddings, Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::documents::html::HtmlPage;
use crate::engine::documents::index::{Index, PassageSources, Similarity};
use crate::engine::nodes::retrieval::cut_plainly;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::javascript::trim;
use crate::engine::text::variables::text_of;

/// Of a page, in bytes.
const LONGEST: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_mins(1);
/// Of a page, that its model reads.
const MOST_PASSAGES: usize = 4;
/// As JavaScript counts letters.
const PASSAGE: usize = 2000;
const OVERLAP: usize = 200;
const DESCRIPTION: &str = "useful for when you need to find something on or summarize a webpage. input should be a comma \
                           separated list of \"ONE valid http URL including protocol\",\"what you want to find on the \
                           page or empty string for a summary\".";
const KINDS: [&str; 5] = ["text/html", "application/json", "application/xml", "application/javascript", "text/plain"];

/// See the module.
pub(super) struct WebBrowser;

impl NodeKind for WebBrowser {
    fn names(&self) -> &'static [&'static str] {
        &["webBrowser"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let embeddings = inputs.part_as("embeddings", Part::into_embeddings, "embeddings");
        if !inputs.has("embeddings") {
            inputs.refuse("embeddings", "embeddings are required");
        }
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let spec = of_text("web-browser", DESCRIPTION);
        Some(Part::tool(Browsing { spec, reader, model: model?, embeddings: embeddings? }))
    }
}

#[derive(Debug)]
struct Browsing {
    spec: ToolSpec,
    reader: WebReader,
    model: Arc<dyn ChatModel>,
    embeddings: Arc<dyn Embeddings>,
}

impl Tool for Browsing {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let input = arguments.get("input").map(text_of).unwrap_or_default();
            let (address, task) = asked(&input);
            let text = match self.page(&address, task.is_empty(), run).await {
                Ok(text) => self.said(&text, &task, run).await?,
                Err(failure) if failure.ends_run() => return Err(failure),
                Err(failure) => format!("Error: {}", run.told(&failure)),
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

impl Browsing {
    /// What stands on a page.
    async fn page(&self, address: &str, is_summary: bool, run: &Run<'_>) -> Result<String, Failure> {
        let url = web_address(address).map_err(|_| Failure::flow("Invalid URL"))?;
        let header = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
        let headers = vec![
            header(ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
            header(ACCEPT_LANGUAGE, "en-US,en;q=0.5"),
            header(REFERER, "https://www.google.com/"),
        ];
        let request = WebRequest { headers, ..WebRequest::default() };
        let asked = self.reader.ask(&url, request, LONGEST, run);
        let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| Failure::Timeout)??;
        if !answer.status.is_success() {
            return Err(Failure::flow(format!("http response {}", answer.status.as_u16())));
        }
        let kind = answer.media_type.split(';').next().unwrap_or_default();
        if !kind.is_empty() && !KINDS.contains(&kind) {
            return Err(Failure::flow("returned page was not utf8"));
        }
        let html = answer.text();
        let read = tokio::task::spawn_blocking(move || text_on(&html, &url, is_summary)).await;
        read.map_err(|_| Failure::flow("a page cannot be read"))
    }

    /// The first passages for a summary, else those that are nearest to what is asked.
    async fn passages(&self, text: &str, task: &str, run: &Run<'_>) -> Result<Vec<String>, Failure> {
        let passages = cut_plainly(text, PASSAGE, OVERLAP).map_err(Failure::flow)?;
        if task.is_empty() {
            return Ok(passages.into_iter().take(MOST_PASSAGES).collect());
        }
        let document = |text: String| Document { text, metadata: Map::new() };
        let source = PagePassages(passages.into_iter().map(document).collect());
        let origin = PassageSources { sources: vec![Arc::new(source)], embeddings: Arc::clone(&self.embeddings) };
        let found = Index::default().nearest(&origin, Similarity::Cosine, task, MOST_PASSAGES, run).await?;
        Ok(found.into_iter().map(|(document, _)| document.text).collect())
    }

    /// What the model says of it.
    async fn said(&self, text: &str, task: &str, run: &Run<'_>) -> Result<String, Failure> {
        let found = self.passages(text, task, run).await?;
        let context = found.join(if task.is_empty() { "\n" } else { "\n\n" });
        let wanted = if task.is_empty() { "a summary" } else { task };
        let asked = [Message::user(format!(
            "Text:{context}\n\nI need {wanted} from the above text, also provide up to 5 markdown links from within that would \
             be of interest (always including URL and text). Links should be provided, if present, in markdown syntax as a \
             list under the heading \"Relevant Links:\"."
        ))];
        Ok(run.ask(&*self.model, ModelRequest::of(&asked)).await?.text)
    }
}

/// The passages of a page.
#[derive(Debug)]
struct PagePassages(Arc<[Document]>);

impl DocumentSource for PagePassages {
    fn documents<'a>(&'a self, _: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }
}

/// The page, and what is to be found on it.
fn asked(input: &str) -> (String, String) {
    let mut parts = input.split(',').map(|part| {
        let part = trim(part);
        let part = part.strip_prefix('"').unwrap_or(part);
        let part = part.strip_suffix('"').unwrap_or(part);
        trim(part.strip_suffix('/').unwrap_or(part)).to_owned()
    });
    let address = parts.next().unwrap_or_default();
    (address, parts.next().unwrap_or_default())
}

/// Texts and links in their order.
fn text_on(html: &str, url: &Url, is_summary: bool) -> String {
    let page = HtmlPage::parse(html);
    let mut text = String::new();
    for element in page.told_elements(is_summary) {
        let mut content = trim(&element.text).to_owned();
        match element.href.filter(|href| element.name == "a" && !href.is_empty()) {
            Some(href) => {
                let href = if href.starts_with("http") {
                    Some(href.to_owned())
                } else {
                    url.join(href).ok().map(String::from)
                };
                if let Some(alt) = element.alt {
                    content = format!("{content} {}", trim(alt));
                }
                text.extend([" [", &content, "](", &href.unwrap_or_default(), ")"]);
            }
            None if !content.is_empty() => text.extend([" ", &content]),
            None => {}
        }
    }
    let lines = trim(&text).split('\n').filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
