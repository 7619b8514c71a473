//! Pinecone.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::database::{CHAT, Database, Hit, NewPassage, Query, document_of, nearness_of, numbers, vector_of};
use super::http::{HttpApi, endpoint_of_operator, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::provider::Targets;

/// Where Pinecone says where an index is.
const API: &str = "https://api.pinecone.io";
const CREDENTIAL: &str = "pineconeApi";
const VERSION: HeaderName = HeaderName::from_static("x-pinecone-api-version");

/// The node `pinecone`, and those of Flowise's first versions.
pub(super) struct PineconeNode {
    /// An input with another address than Pinecone's own; empty: none.
    pub(super) api_input: &'static str,
}

impl NodeKind for PineconeNode {
    fn names(&self) -> &'static [&'static str] {
        &["pinecone", "pineconeUpsert", "pineconeExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Of the first versions; indexes have names of their own since.
        inputs.ignore(&["pineconeEnv"]);
        let filter = "pineconeMetadataFilter";
        let recorded_as = &["pineconeNamespace"];
        let features =
            DatabaseFeatures { filter, diversity: true, chats: true, recorded_as, ..DatabaseFeatures::default() };
        let common = node::read(inputs, features);
        let index = segment(inputs, "pineconeIndex");
        let namespace = inputs.text("pineconeNamespace").unwrap_or_default();
        let text_key = inputs.text("pineconeTextKey").unwrap_or_else(|| "text".to_owned());
        let key = connection::wanted(inputs, CREDENTIAL, "pineconeApiKey");
        let api = if self.api_input.is_empty() { None } else { inputs.text(self.api_input) };
        let endpoint = endpoint_of_operator(inputs, api.as_deref().unwrap_or(API));
        let (common, index, endpoint) = (common?, index?, endpoint?);
        let Some(key) = key else { return Some(node::part(inputs, common, Err(CREDENTIAL))) };
        let mut headers = connection::header(inputs, HeaderName::from_static("api-key"), key.expose());
        headers.push((VERSION, HeaderValue::from_static("2024-10")));
        let api = HttpApi { endpoint, headers };
        // Its host is known only once it was asked for, and is one of the open internet.
        let targets = Arc::clone(&inputs.compiler.context.targets);
        let database = Pinecone { api, index, namespace, text_key, targets, found: OnceCell::new() };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Pinecone {
    api: HttpApi,
    index: String,
    /// Empty: the one that every index has.
    namespace: String,
    text_key: String,
    targets: Arc<Targets>,
    /// Where the index is.
    found: OnceCell<HttpApi>,
}

impl Pinecone {
    async fn index(&self, run: &Run<'_>) -> Result<&HttpApi, Failure> {
        self.found
            .get_or_try_init(|| async {
                let told = self.api.get(&format!("/indexes/{}", self.index), run).await?;
                let host = told.get("host").and_then(Value::as_str).ok_or_else(unreadable)?;
                let address = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
                let endpoint = self.targets.outward(&address, None).map_err(|_| unreadable())?;
                Ok(HttpApi { endpoint, headers: self.api.headers.clone() })
            })
            .await
    }
}

impl Database for Pinecone {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut body = json!({ "topK": query.most, "includeMetadata": true, "namespace": self.namespace,
                "vector": numbers(&query.vector) });
            if let Value::Object(fields) = &mut body {
                if let Some(filter) = filter(query) {
                    fields.insert("filter".to_owned(), filter);
                }
                if query.with_vectors {
                    fields.insert("includeValues".to_owned(), true.into());
                }
            }
            let mut answer = self.index(run).await?.post("/query", &body, run).await?;
            let Some(Value::Array(matches)) = answer.get_mut("matches").map(Value::take) else {
                return Err(unreadable());
            };
            let hit = |mut found: Value| Hit {
                document: document_of(found.get_mut("metadata").map(Value::take), &self.text_key),
                nearness: nearness_of(found.get("score")),
                vector: vector_of(found.get("values")),
            };
            Ok(matches.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let vector = |passage: &NewPassage| {
                let mut metadata = Map::new();
                flatten("", &passage.document.metadata, &mut metadata);
                metadata.insert(self.text_key.clone(), passage.document.text.as_str().into());
                json!({ "id": passage.id, "values": numbers(&passage.vector), "metadata": metadata })
            };
            let vectors: Value = passages.iter().map(vector).collect();
            let body = json!({ "vectors": vectors, "namespace": self.namespace });
            self.index(run).await?.post("/vectors/upsert", &body, run).await.map(drop)
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let body = json!({ "ids": ids, "namespace": self.namespace });
            self.index(run).await?.post("/vectors/delete", &body, run).await.map(drop)
        })
    }
}

/// The author's filter, and, where files of chats are kept apart, what keeps them so.
fn filter(query: &Query) -> Option<Value> {
    let Some(chat) = &query.chat else { return query.filter.clone() };
    let of_chat = json!({ "$or": [{ CHAT: { "$eq": chat } }, { CHAT: { "$exists": false } }] });
    // Flowise adds it to the author's own `$or`, by which files of other chats are found as well.
    Some(query.filter.as_ref().map_or_else(|| of_chat.clone(), |own| json!({ "$and": [own, of_chat] })))
}

/// Fields of fields by their paths, as Pinecone holds no others; what is nothing is left out.
fn flatten(path: &str, fields: &Map<String, Value>, into: &mut Map<String, Value>) {
    for (name, value) in fields {
        let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Null => {}
            Value::Object(fields) => flatten(&name, fields, into),
            Value::Array(items) if !items.iter().all(Value::is_string) => {
                let items = items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone()));
                flatten(&name, &items.collect(), into);
            }
            value => drop(into.insert(name, value.clone())),
        }
    }
}
