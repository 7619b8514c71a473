//! Pages that Spider reads, as Markdown.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, bearer, document, loader, posted, service};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, web_address};

const SERVICE: &str = "https://api.spider.cloud/v1/crawl";

pub(super) struct Spider;

impl NodeKind for Spider {
    fn names(&self) -> &'static [&'static str] {
        &["spiderDocumentLoaders"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let url = inputs.required_text("url");
        let is_crawl = inputs.text("mode").is_none_or(|mode| mode == "crawl");
        let limit = inputs.integer("limit").unwrap_or(0);
        let more = match inputs.json("params") {
            Some(Value::Object(params)) => params,
            _ => Map::new(),
        };
        let mut asked = Map::new();
        asked.insert("url".to_owned(), url.unwrap_or_default().into());
        if !is_crawl {
            asked.insert("limit".to_owned(), 1.into());
        }
        asked.extend(more);
        asked.insert("return_format".to_owned(), "markdown".into());
        if is_crawl {
            asked.insert("limit".to_owned(), limit.into());
        }
        let additional = match inputs.json("additional_metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        let token = inputs.credential("spiderApi", "spiderApiKey");
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let place = service(inputs, SERVICE);
        let pages = SpiderPages { reader, place, token, asked, additional };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(pages))))
    }
}

#[derive(Debug)]
struct SpiderPages {
    reader: WebReader,
    place: String,
    token: Option<Secret>,
    asked: Map<String, Value>,
    /// The author's own.
    additional: Map<String, Value>,
}

impl RemoteDocuments for SpiderPages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let url = web_address(&self.place).map_err(Failure::flow)?;
            let mut request = posted(&Value::Object(self.asked.clone()));
            request.headers.extend(self.token.as_ref().and_then(bearer));
            let answer = FetchBudget::new().json(&self.reader, &url, request, run).await?;
            let pages = answer.as_array().ok_or_else(|| Failure::flow("Spider: Failed to crawl URL."))?;
            let told = |page: &Value| {
                let text = page.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
                let mut told = document(text, [("source", page.get("url").cloned().unwrap_or_default())]);
                told.metadata.extend(self.additional.clone());
                told
            };
            Ok(pages.iter().map(told).collect())
        })
    }
}
