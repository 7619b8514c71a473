//! Pages of Notion as Markdown: one with those below it, or those of a database.

mod blocks;
mod properties;
mod yaml;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use self::blocks::{NotionBlock, markdown_of, told};
use self::properties::shown_properties;
use self::yaml::front_matter;
use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, bearer, loader, posted, service};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::percent::component;

const SERVICE: &str = "https://api.notion.com";
const VERSION: &str = "2022-06-28";
const MOST_PAGES: usize = 2000;
const MOST_BLOCKS: usize = 50_000;
/// Blocks within each other.
const DEEPEST: usize = 50;

/// The nodes `notionPage` and `notionDB`.
pub(super) struct Notion {
    pub(super) names: &'static [&'static str],
    /// The input with the id.
    pub(super) id: &'static str,
    /// Properties of a page stand before its text.
    pub(super) with_properties: bool,
}

pub(super) const PAGE: Notion = Notion { names: &["notionPage"], id: "pageId", with_properties: false };
pub(super) const DATABASE: Notion = Notion { names: &["notionDB"], id: "databaseId", with_properties: true };

impl NodeKind for Notion {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let id = inputs.required_text(self.id).unwrap_or_default();
        let token = inputs.credential("notionApi", "notionIntegrationToken");
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let place = service(inputs, SERVICE);
        let with_properties = self.with_properties;
        let pages = Arc::new(NotionPages { reader, place, token, id: id.trim().to_owned(), with_properties });
        loader(inputs, Some(LoaderInput::Remote(pages)))
    }
}

#[derive(Debug)]
struct NotionPages {
    reader: WebReader,
    place: String,
    token: Option<Secret>,
    id: String,
    with_properties: bool,
}

/// What is still to be read, and what may still be.
struct NotionWork<'w> {
    room: FetchBudget,
    run: &'w Run<'w>,
    waiting: VecDeque<String>,
    known: HashSet<String>,
    blocks: usize,
}

impl NotionWork<'_> {
    fn add(&mut self, page: &str) {
        if self.known.len() < MOST_PAGES && self.known.insert(page.to_owned()) {
            self.waiting.push_back(page.to_owned());
        }
    }
}

impl RemoteDocuments for NotionPages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let (waiting, known) = (VecDeque::new(), HashSet::new());
            let mut work = NotionWork { room: FetchBudget::new(), run, waiting, known, blocks: 0 };
            let id = component(&self.id);
            let page = self.get(&format!("pages/{id}"), &mut work).await;
            let database = self.get(&format!("databases/{id}"), &mut work).await;
            match (page, database) {
                (Err(failure), Err(_)) => return Err(failure),
                (Ok(_), Err(failure)) | (Err(failure), Ok(_)) if failure.ends_run() => return Err(failure),
                (page, database) => {
                    if page.is_ok() {
                        work.add(&self.id);
                    }
                    if database.is_ok() {
                        self.add_pages_of(&self.id, &mut work).await?;
                    }
                }
            }
            let mut documents = Vec::new();
            while let Some(page) = work.waiting.pop_front() {
                documents.extend(self.page(&page, &mut work).await?);
            }
            Ok(documents)
        })
    }
}

impl NotionPages {
    async fn ask(&self, path: &str, mut request: WebRequest, work: &mut NotionWork<'_>) -> Result<Value, Failure> {
        let url = web_address(&format!("{}/v1/{path}", self.place)).map_err(Failure::flow)?;
        request.headers.extend(self.token.as_ref().and_then(bearer));
        request.headers.push((HeaderName::from_static("notion-version"), HeaderValue::from_static(VERSION)));
        work.room.json(&self.reader, &url, request, work.run).await
    }

    async fn get(&self, path: &str, work: &mut NotionWork<'_>) -> Result<Value, Failure> {
        self.ask(path, WebRequest::default(), work).await
    }

    /// Notes all pages of a database.
    async fn add_pages_of(&self, database: &str, work: &mut NotionWork<'_>) -> Result<(), Failure> {
        let path = format!("databases/{}/query", component(database));
        let mut asked = json!({ "page_size": 50 });
        loop {
            let answer = self.ask(&path, posted(&asked), work).await?;
            let (pages, next) = listed(answer);
            for page in &pages {
                work.add(page.get("id").and_then(Value::as_str).unwrap_or_default());
            }
            let Some(next) = next.filter(|_| !pages.is_empty() && work.known.len() < MOST_PAGES) else { return Ok(()) };
            asked = json!({ "page_size": 50, "start_cursor": next });
        }
    }

    /// The document of a page; one without words is none.
    async fn page(&self, id: &str, work: &mut NotionWork<'_>) -> Result<Option<Document>, Failure> {
        let details = self.get(&format!("pages/{}", component(id)), work).await?;
        let Value::Object(mut details) = details else { return Ok(None) };
        let blocks = self.blocks(id, 0, work).await?;
        if !details.contains_key("url") {
            return Ok(None);
        }
        let properties = details.get("properties").and_then(Value::as_object).map(shown_properties).unwrap_or_default();
        let mut text = markdown_of(&blocks, 0);
        if self.with_properties {
            text = format!("---\n{}---\n\n{text}", front_matter(&properties));
        }
        if text.is_empty() {
            return Ok(None);
        }
        let id = details.shift_remove("id").unwrap_or_default();
        let mut metadata: Map<String, Value> = details;
        metadata.insert("notionId".to_owned(), id);
        metadata.insert("properties".to_owned(), properties.into());
        Ok(Some(Document { text, metadata }))
    }

    /// All that stands directly in a block.
    async fn children(&self, id: &str, work: &mut NotionWork<'_>) -> Result<Vec<Value>, Failure> {
        let path = format!("blocks/{}/children", component(id));
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("{path}{cursor}"), work).await?;
            let (blocks, next) = listed(answer);
            let is_last = blocks.is_empty();
            work.blocks += blocks.len();
            if work.blocks > MOST_BLOCKS {
                return Err(Failure::flow(format!("Notion: the pages have more than {MOST_BLOCKS} blocks")));
            }
            all.extend(blocks);
            let Some(next) = next.filter(|_| !is_last) else { break };
            cursor = format!("?start_cursor={}", component(&next));
        }
        let mut number = 0_u64;
        for block in &mut all {
            let is_numbered = kind_of(block) == "numbered_list_item";
            number = if is_numbered { number + 1 } else { 0 };
            if let Some(Value::Object(item)) = block.get_mut("numbered_list_item").filter(|_| is_numbered) {
                item.insert("number".to_owned(), number.into());
            }
        }
        Ok(all)
    }

    /// What stands in a block as Markdown, block by block. Pages and databases in it are noted to be read by themselves.
    fn blocks<'a>(&'a self, id: &'a str, depth: usize, work: &'a mut NotionWork<'_>) -> Task<'a, Vec<NotionBlock>> {
        Box::pin(async move {
            if depth > DEEPEST {
                return Ok(Vec::new());
            }
            let all = self.children(id, work).await?;
            let of_kind = |part: &'static str| all.iter().filter(move |block| kind_of(block).contains(part));
            for page in of_kind("child_page") {
                work.add(id_of(page));
            }
            for database in of_kind("child_database") {
                match self.add_pages_of(id_of(database), work).await {
                    Err(failure) if failure.ends_run() => return Err(failure),
                    // One that is not shared is left out.
                    _ => {}
                }
            }
            let mut read = Vec::new();
            for block in &all {
                let kind = kind_of(block).to_owned();
                if kind.is_empty() || matches!(&*kind, "child_page" | "child_database") {
                    continue;
                }
                let (mut rows, mut children) = (Vec::new(), Vec::new());
                if block.get("has_children") == Some(&Value::Bool(true)) {
                    let origin = block.pointer("/synced_block/synced_from/block_id").and_then(Value::as_str);
                    let inside = origin.filter(|_| kind == "synced_block").unwrap_or_else(|| id_of(block));
                    match &*kind {
                        "table" => rows = self.children(inside, work).await?,
                        _ => children = self.blocks(inside, depth + 1, work).await?,
                    }
                }
                let parent = told(block, &rows, &children);
                read.push(NotionBlock { kind, parent, children });
            }
            Ok(read)
        })
    }
}

fn kind_of(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn id_of(block: &Value) -> &str {
    block.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The items of an answer, and where the next begin.
fn listed(mut answer: Value) -> (Vec<Value>, Option<String>) {
    let next = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
    match answer.get_mut("results").map(Value::take) {
        Some(Value::Array(items)) => (items, next),
        _ => (Vec::new(), None),
    }
}
