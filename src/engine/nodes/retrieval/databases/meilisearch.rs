//! Meilisearch: by words and by vectors at once.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers};
use super::http::{HttpApi, endpoint, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

const CREDENTIAL: &str = "meilisearchApi";
/// What Flowise calls the vectors, whoever made them.
const EMBEDDER: &str = "ollama";
const RATIO: f64 = 0.75;
/// Looks at one task, and between two of them.
const MOST_LOOKS: usize = 240;
const PAUSE: Duration = Duration::from_millis(250);

/// The node `meilisearch`.
pub(super) struct MeilisearchNode;

impl NodeKind for MeilisearchNode {
    fn names(&self) -> &'static [&'static str] {
        &["meilisearch"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures { text_filter: "searchFilter", most: "K", ..DatabaseFeatures::default() },
        );
        let index = segment(inputs, "indexUid");
        let ratio = inputs.number("semanticRatio").unwrap_or(RATIO).clamp(0.0, 1.0);
        if inputs.flag("deleteIndex") == Some(true) {
            inputs.pass_over("deleteIndex", "passages are added to what the index has");
        }
        let address = inputs.required_text("host")?;
        let endpoint = endpoint(inputs, "host", address.trim().trim_end_matches('/'));
        let search = connection::wanted(inputs, CREDENTIAL, "meilisearchSearchApiKey");
        // For who puts passages in.
        let admin = connection::optional(inputs, CREDENTIAL, "meilisearchAdminApiKey");
        let common = common?;
        if search.is_none() {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        }
        let endpoint = endpoint?;
        let searching = HttpApi { endpoint: endpoint.clone(), headers: connection::bearer(inputs, search.as_ref()) };
        let putting = HttpApi { endpoint, headers: connection::bearer(inputs, admin.as_ref()) };
        let database = Meilisearch { searching, putting, index: index?, ratio };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Meilisearch {
    searching: HttpApi,
    putting: HttpApi,
    index: String,
    /// How much vectors count against words.
    ratio: f64,
}

impl Meilisearch {
    /// Waits until what was begun is done; `Ok`: also if it failed, where that does not matter.
    async fn done(&self, begun: &Value, run: &Run<'_>) -> Result<bool, Failure> {
        let Some(task) = begun.get("taskUid").and_then(Value::as_u64) else { return Err(unreadable()) };
        for _ in 0..MOST_LOOKS {
            let now = self.putting.get(&format!("/tasks/{task}"), run).await?;
            match now.get("status").and_then(Value::as_str) {
                Some("succeeded") => return Ok(true),
                Some("failed" | "canceled") => return Ok(false),
                _ => {}
            }
            run.budget().in_time()?;
            tokio::time::sleep(PAUSE).await;
        }
        Err(Failure::Timeout)
    }
}

impl Database for Meilisearch {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut body = json!({
                "q": query.text,
                "vector": numbers(&query.vector),
                "limit": query.most,
                "attributesToRetrieve": ["*"],
                "showRankingScore": true,
                "hybrid": { "semanticRatio": self.ratio, "embedder": EMBEDDER },
            });
            let filter = query.filter.as_ref().and_then(Value::as_str).filter(|filter| !filter.trim().is_empty());
            if let (Some(filter), Value::Object(fields)) = (filter, &mut body) {
                fields.insert("filter".to_owned(), filter.into());
            }
            let mut answer = self.searching.post(&format!("/indexes/{}/search", self.index), &body, run).await?;
            let Some(Value::Array(hits)) = answer.get_mut("hits").map(Value::take) else { return Err(unreadable()) };
            let hit = |hit: Value| {
                let mut metadata = Map::new();
                metadata.extend(hit.get("objectID").map(|id| ("objectID".to_owned(), id.clone())));
                metadata.extend(hit.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default());
                let text = hit.get("pageContent").and_then(Value::as_str).unwrap_or_default().to_owned();
                let nearness = nearness_of(hit.get("_rankingScore"));
                Hit { document: Document { text, metadata }, nearness, vector: Vec::new() }
            };
            Ok(hits.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let Some(first) = passages.first() else { return Ok(()) };
            // One that is there already is left as it is: that task fails.
            let made =
                self.putting.post("/indexes", &json!({ "uid": self.index, "primaryKey": "objectID" }), run).await?;
            self.done(&made, run).await?;
            let index = format!("/indexes/{}", self.index);
            let embedder = json!({ "source": "userProvided", "dimensions": first.vector.len() });
            let settings = json!({ "filterableAttributes": ["metadata"], "embedders": { EMBEDDER: embedder } });
            let path = format!("{index}/settings");
            let set = self.putting.ask(Method::PATCH, &path, Some(settings.to_string()), run).await?;
            if !self.done(&set, run).await? {
                return Err(Failure::Refused("Meilisearch does not take the settings of the index".to_owned()));
            }
            let document = |passage: &NewPassage| {
                let Document { text, metadata } = &passage.document;
                let vectors = json!({ "embeddings": numbers(&passage.vector), "regenerate": false });
                json!({ "pageContent": text, "metadata": metadata, "objectID": passage.id,
                    "_vectors": { EMBEDDER: vectors } })
            };
            let documents: Value = passages.iter().map(document).collect();
            let put = self.putting.post(&format!("{index}/documents"), &documents, run).await?;
            if !self.done(&put, run).await? {
                return Err(Failure::Refused("Meilisearch does not take the passages".to_owned()));
            }
            Ok(())
        })
    }
}
