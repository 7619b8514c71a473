//! Web pages as documents.

mod crawl;

use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use self::crawl::{CrawlScope, PageCrawl};
use super::{LoaderInput, RemoteDocuments, loader};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::documents::html::{HtmlPage, Selector};
use crate::engine::provider::web::{WebReader, web_address};

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&Cheerio];

/// Pages where nothing else is said.
const USUAL_LIMIT: usize = 10;
/// Pages of one loader.
const MOST_PAGES: usize = 1000;

struct Cheerio;

impl NodeKind for Cheerio {
    fn names(&self) -> &'static [&'static str] {
        &["cheerioWebScraper"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let url = address(inputs, "url");
        let limit = limit(inputs);
        let selector = selector(inputs, "selector");
        let listed = selected(inputs);
        let scope = match (inputs.text("relativeLinksMethod").as_deref(), listed.is_empty()) {
            (None, true) => CrawlScope::One,
            (_, false) => CrawlScope::Listed(listed),
            (Some("webCrawl"), true) => CrawlScope::Crawl,
            (Some(_), true) => CrawlScope::Sitemap,
        };
        let pages =
            PageCrawl { reader: WebReader::new(&inputs.compiler.context.targets), url: url?, scope, limit: limit? };
        let label = inputs.node.data.label.clone();
        let scraped = Arc::new(Scraped { label, pages, selector: Arc::new(selector?) });
        loader(inputs, Some(LoaderInput::Remote(scraped)))
    }
}

/// An address that the author fixes; one that may not be asked is noted.
pub(super) fn address(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Url> {
    let text = inputs.required_text(name)?;
    if inputs.is_settled(name) {
        inputs.refuse(name, "only the flow's own author can write this; it cannot be filled in");
        return None;
    }
    match web_address(&text) {
        Ok(url) => {
            if let Some(host) = WebReader::new(&inputs.compiler.context.targets).denied(&url) {
                inputs.compiler.miss(inputs.node, Need::Network { host });
            }
            Some(url)
        }
        Err(problem) => {
            inputs.refuse_address(name, &text, problem);
            None
        }
    }
}

/// How many pages; none is as many as may be.
fn limit(inputs: &mut Inputs<'_, '_, '_>) -> Option<usize> {
    if !inputs.has("limit") {
        return Some(USUAL_LIMIT);
    }
    let limit = inputs.integer("limit").and_then(|limit| usize::try_from(limit).ok())?;
    Some(if limit == 0 { MOST_PAGES } else { limit.min(MOST_PAGES) })
}

fn selector(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Selector> {
    let text = inputs.text(name).unwrap_or_else(|| "body".to_owned());
    match Selector::parse(&text) {
        Ok(selector) => Some(selector),
        Err(problem) => {
            inputs.refuse(name, problem);
            None
        }
    }
}

/// Pages that the author has chosen among those that were found.
fn selected(inputs: &mut Inputs<'_, '_, '_>) -> Vec<Url> {
    let listed = match inputs.json("selectedLinks") {
        Some(Value::Array(links)) => links,
        _ => Vec::new(),
    };
    listed.iter().filter_map(|link| web_address(link.as_str()?).ok()).collect()
}

#[derive(Debug)]
struct Scraped {
    label: String,
    pages: PageCrawl,
    selector: Arc<Selector>,
}

impl RemoteDocuments for Scraped {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut documents = Vec::new();
            let selector = Arc::clone(&self.selector);
            let told = move |html: String, source: String| {
                let page = HtmlPage::parse(&html);
                let text = selector.text_in(&page)?;
                let mut metadata = Map::new();
                metadata.insert("source".to_owned(), source.into());
                metadata.insert("title".to_owned(), page.title().into());
                Ok(Document { text, metadata })
            };
            let problem = self.pages.visit(&told, &mut documents, run).await?;
            if documents.is_empty() {
                let problem = problem.unwrap_or_else(|| "there is none".to_owned());
                return Err(Failure::flow(format!("{}: no page could be read: {problem}", self.label)));
            }
            Ok(documents)
        })
    }
}

#[cfg(test)]
mod tests;
