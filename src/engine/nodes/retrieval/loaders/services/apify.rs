//! Pages of sites that Apify's crawler of their text reads.

use std::sync::Arc;

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
use crate::engine::text::percent::component;

const SERVICE: &str = "https://api.apify.com";
/// Seconds for which the service keeps a question whether a job is done.
const WAIT: u32 = 60;
/// Such questions about one job.
const MOST_QUESTIONS: usize = 60;
/// What a job is when it goes no further.
const ENDS: [&str; 4] = ["SUCCEEDED", "FAILED", "ABORTED", "TIMED-OUT"];

pub(super) struct Apify;

impl NodeKind for Apify {
    fn names(&self) -> &'static [&'static str] {
        &["apifyWebsiteContentCrawler"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let urls = inputs.required_text("urls").unwrap_or_default();
        let mut asked = Map::new();
        let mut add = |name: &str, value: Value| _ = asked.insert(name.to_owned(), value);
        add("startUrls", urls.split(',').map(|url| json!({ "url": url.trim() })).collect());
        if let Some(crawler) = inputs.text("crawlerType") {
            add("crawlerType", crawler.into());
        }
        for name in ["maxCrawlDepth", "maxCrawlPages"] {
            add(name, inputs.integer(name).map_or(Value::Null, Value::from));
        }
        if let Some(Value::Object(more)) = inputs.json("additionalInput") {
            asked.extend(more);
        }
        let token = inputs.credential("apifyApi", "apifyApiToken");
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let place = service(inputs, SERVICE);
        loader(inputs, Some(LoaderInput::Remote(Arc::new(ApifyPages { reader, place, token, asked }))))
    }
}

#[derive(Debug)]
struct ApifyPages {
    reader: WebReader,
    place: String,
    token: Option<Secret>,
    asked: Map<String, Value>,
}

impl RemoteDocuments for ApifyPages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let asked = posted(&Value::Object(self.asked.clone()));
            let begun = self.ask("acts/apify~website-content-crawler/runs", asked, &mut room, run).await?;
            let field = |answer: &Value, name: &str| {
                answer.get("data").and_then(|data| data.get(name)?.as_str()).unwrap_or_default().to_owned()
            };
            let waiting = format!("actor-runs/{}?waitForFinish={WAIT}", component(&field(&begun, "id")));
            let mut job = begun;
            for _ in 0..MOST_QUESTIONS {
                if ENDS.contains(&&*field(&job, "status")) {
                    break;
                }
                job = self.ask(&waiting, WebRequest::default(), &mut room, run).await?;
            }
            let found = format!("datasets/{}/items?clean=1", component(&field(&job, "defaultDatasetId")));
            let pages = self.ask(&found, WebRequest::default(), &mut room, run).await?;
            let pages = pages.as_array().map(Vec::as_slice).unwrap_or_default();
            let told = |page: &Value| {
                let text = page.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
                document(text, [("source", page.get("url").cloned().unwrap_or_default())])
            };
            Ok(pages.iter().map(told).collect())
        })
    }
}

impl ApifyPages {
    async fn ask(
        &self,
        path: &str,
        mut request: WebRequest,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let url = web_address(&format!("{}/v2/{path}", self.place)).map_err(Failure::flow)?;
        request.headers.extend(self.token.as_ref().and_then(bearer));
        room.json(&self.reader, &url, request, run).await
    }
}
