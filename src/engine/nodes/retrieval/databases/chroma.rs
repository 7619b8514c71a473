//! Chroma.

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers};
use super::http::{HttpApi, endpoint, endpoint_of_operator, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::text::percent::component;

const CREDENTIAL: &str = "chromaApi";
const LOCAL: &str = "http://localhost:8000";
/// Where Chroma's own service listens, if a key is set.
const CLOUD: &str = "https://api.trychroma.com:8000";

/// The node `chroma`, and those of Flowise's first versions.
pub(super) struct ChromaNode;

impl NodeKind for ChromaNode {
    fn names(&self) -> &'static [&'static str] {
        &["chroma", "chromaUpsert", "chromaExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures {
                filter: "chromaMetadataFilter",
                recorded_as: &["collectionName"],
                ..DatabaseFeatures::default()
            },
        );
        let collection = inputs.required_text("collectionName");
        let key = connection::optional(inputs, CREDENTIAL, "chromaApiKey");
        let named = |field: &str, inputs: &Inputs<'_, '_, '_>| {
            inputs.optional_credential(CREDENTIAL, field).map(|secret| component(secret.expose()))
        };
        let (tenant, database) = (named("chromaTenant", inputs), named("chromaDatabase", inputs));
        let is_cloud = key.is_some() && (tenant.is_some() || database.is_some());
        let own = inputs.text("chromaURL");
        let endpoint = match own {
            Some(own) if !is_cloud => endpoint(inputs, "chromaURL", &own),
            _ if is_cloud => endpoint_of_operator(inputs, CLOUD),
            _ => endpoint(inputs, "chromaURL", LOCAL),
        };
        let headers = match &key {
            Some(key) => connection::header(inputs, HeaderName::from_static("x-chroma-token"), key.expose()),
            None => connection::Headers::new(),
        };
        let tenant = tenant.unwrap_or_else(|| "default_tenant".to_owned());
        let database = database.unwrap_or_else(|| "default_database".to_owned());
        let base = format!("/api/v2/tenants/{tenant}/databases/{database}/collections");
        let api = HttpApi { endpoint: endpoint?, headers };
        let chroma = Chroma { api, base, collection: collection?, found: OnceCell::new() };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(chroma))))
    }
}

#[derive(Debug)]
struct Chroma {
    api: HttpApi,
    /// Before the collection's id.
    base: String,
    collection: String,
    /// The collection's path.
    found: OnceCell<String>,
}

impl Chroma {
    async fn path(&self, run: &Run<'_>) -> Result<&str, Failure> {
        let path = self.found.get_or_try_init(|| async {
            let body = json!({ "name": self.collection, "configuration": {}, "get_or_create": true });
            let told = self.api.post(&self.base, &body, run).await?;
            let id = told.get("id").and_then(Value::as_str).ok_or_else(unreadable)?;
            Ok::<_, Failure>(format!("{}/{}", self.base, component(id)))
        });
        path.await.map(String::as_str)
    }
}

impl Database for Chroma {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut body = json!({
                "include": ["metadatas", "documents", "distances"],
                "n_results": query.most,
                "query_embeddings": [numbers(&query.vector)],
            });
            if let (Some(filter), Value::Object(fields)) = (&query.filter, &mut body) {
                fields.insert("where".to_owned(), filter.clone());
            }
            let answer = self.api.post(&format!("{}/query", self.path(run).await?), &body, run).await?;
            let first = |field: &str| answer.get(field).and_then(|lists| lists.get(0)?.as_array());
            let texts = first("documents").ok_or_else(unreadable)?;
            let (metadatas, distances) = (first("metadatas"), first("distances"));
            let hit = |(at, text): (usize, &Value)| {
                let metadata = metadatas.and_then(|all| all.get(at)?.as_object()).cloned().unwrap_or_default();
                let text = text.as_str().unwrap_or_default().to_owned();
                let nearness = nearness_of(distances.and_then(|all| all.get(at)));
                Hit { document: Document { text, metadata: located(metadata) }, nearness, vector: Vec::new() }
            };
            Ok(texts.iter().enumerate().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let each = |part: &dyn Fn(&NewPassage) -> Value| passages.iter().map(part).collect::<Value>();
            let body = json!({
                "ids": each(&|passage| passage.id.as_str().into()),
                "embeddings": each(&|passage| numbers(&passage.vector)),
                "metadatas": each(&|passage| plain(&passage.document.metadata)),
                "documents": each(&|passage| passage.document.text.as_str().into()),
            });
            self.api.post(&format!("{}/upsert", self.path(run).await?), &body, run).await.map(drop)
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            self.api.post(&format!("{}/delete", self.path(run).await?), &json!({ "ids": ids }), run).await.map(drop)
        })
    }
}

/// Where a passage lies is kept in two numbers.
fn located(mut metadata: Map<String, Value>) -> Map<String, Value> {
    let is_number = |name: &str| metadata.get(name).is_some_and(Value::is_number);
    if is_number("locFrom") && is_number("locTo") {
        let (from, to) = (metadata.shift_remove("locFrom"), metadata.shift_remove("locTo"));
        metadata.insert("loc".to_owned(), json!({ "lines": { "from": from, "to": to } }));
    }
    metadata
}

/// As it holds nothing but texts, numbers and switches.
fn plain(metadata: &Map<String, Value>) -> Value {
    let mut fields = Map::new();
    for (name, value) in metadata {
        let line = |end: &str| value.get("lines").and_then(|lines| lines.get(end)).cloned();
        match value {
            Value::Object(_) if name == "loc" => {
                for (end, name) in [("from", "locFrom"), ("to", "locTo")] {
                    fields.extend(line(end).map(|line| (name.to_owned(), line)));
                }
            }
            Value::Null => {}
            Value::Object(_) | Value::Array(_) => drop(fields.insert(name.clone(), value.to_string().into())),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    fields.into()
}
