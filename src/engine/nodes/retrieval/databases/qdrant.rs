//! Qdrant.

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Map, Value, json};

use super::database::{CHAT, Database, Hit, NewPassage, Query, document_of, nearness_of, numbers};
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

const ADDRESS: &str = "qdrantServerUrl";
/// Numbers of a vector where the node says nothing.
const DIMENSIONS: u64 = 1536;

/// The node `qdrant`, and those of Flowise's first versions.
pub(super) struct QdrantNode;

impl NodeKind for QdrantNode {
    fn names(&self) -> &'static [&'static str] {
        &["qdrant", "qdrantUpsert", "qdrantExisting"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures {
                filter: "qdrantFilter",
                chats: true,
                recorded_as: &["qdrantCollection"],
                ..DatabaseFeatures::default()
            },
        );
        let collection = segment(inputs, "qdrantCollection");
        let content = inputs.text("contentPayloadKey").unwrap_or_else(|| "content".to_owned());
        let metadata = inputs.text("metadataPayloadKey").unwrap_or_else(|| "metadata".to_owned());
        let size = inputs.integer("qdrantVectorDimension").filter(|size| *size > 0).unwrap_or(DIMENSIONS);
        let distance = inputs.text("qdrantSimilarity").unwrap_or_else(|| "Cosine".to_owned());
        let mut made = match inputs.json("qdrantCollectionConfiguration") {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let vectors = json!({ "size": size, "distance": distance });
        let vectors = match made.shift_remove("vectors") {
            Some(Value::Object(mut own)) => {
                own.extend(vectors.as_object().cloned().unwrap_or_default());
                own.into()
            }
            _ => vectors,
        };
        made.insert("vectors".to_owned(), vectors);
        inputs.ignore(&["batchSize"]);
        let key = connection::optional(inputs, "qdrantApi", "qdrantApiKey");
        let headers = match &key {
            Some(key) => connection::header(inputs, HeaderName::from_static("api-key"), key.expose()),
            None => connection::Headers::new(),
        };
        let address = inputs.required_text(ADDRESS)?;
        // Its library knows no paths before its own.
        let end = address.find("://").map_or(0, |at| at + 3);
        let origin_end = address.get(end..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| end + at);
        let endpoint = endpoint(inputs, ADDRESS, address.get(..origin_end).unwrap_or(&address));
        let api = HttpApi { endpoint: endpoint?, headers };
        let database = Qdrant { api, collection: collection?, content, metadata, made: made.into() };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Qdrant {
    api: HttpApi,
    collection: String,
    /// The payload's fields with the text and the metadata.
    content: String,
    metadata: String,
    /// How a collection is made that is not there.
    made: Value,
}

impl Database for Qdrant {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut body = json!({
                "query": numbers(&query.vector),
                "limit": query.most,
                "with_vector": false,
                "with_payload": [self.metadata, self.content],
            });
            if let (Some(filter), Value::Object(fields)) = (filter(query, &self.metadata), &mut body) {
                fields.insert("filter".to_owned(), filter);
            }
            let path = format!("/collections/{}/points/query", self.collection);
            let mut answer = self.api.post(&path, &body, run).await?;
            let points = answer.get_mut("result").and_then(|result| result.get_mut("points")).map(Value::take);
            let Some(Value::Array(points)) = points else { return Err(unreadable()) };
            Ok(points.into_iter().map(|point| self.hit(point)).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            self.ensure(run).await?;
            let point = |passage: &NewPassage| {
                let Document { text, metadata } = &passage.document;
                let payload = json!({ self.content.as_str(): text, self.metadata.as_str(): metadata });
                json!({ "id": passage.id, "vector": numbers(&passage.vector), "payload": payload })
            };
            let body = json!({ "points": passages.iter().map(point).collect::<Value>() });
            let path = format!("/collections/{}/points?wait=true", self.collection);
            self.api.put(&path, &body, run).await.map(drop)
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let path = format!("/collections/{}/points/delete", self.collection);
            self.api.post(&path, &json!({ "points": ids }), run).await.map(drop)
        })
    }
}

impl Qdrant {
    fn hit(&self, mut point: Value) -> Hit {
        let mut payload = point.get_mut("payload").map(Value::take).unwrap_or_default();
        let metadata = payload.get_mut(&self.metadata).map(Value::take);
        let document = document_of(Some(payload), &self.content);
        let metadata = metadata.and_then(|metadata| metadata.as_object().cloned()).unwrap_or_default();
        let document = Document { metadata, ..document };
        Hit { document, nearness: nearness_of(point.get("score")), vector: Vec::new() }
    }

    /// Makes the collection, if it is not there.
    async fn ensure(&self, run: &Run<'_>) -> Result<(), Failure> {
        let answer = self.api.get("/collections", run).await?;
        let listed = answer.get("result").and_then(|result| result.get("collections")?.as_array());
        let names = listed.into_iter().flatten().filter_map(|one| one.get("name")?.as_str());
        let mut encoded = names.map(crate::engine::text::percent::component);
        if encoded.any(|name| name == self.collection) {
            return Ok(());
        }
        self.api.put(&format!("/collections/{}", self.collection), &self.made, run).await.map(drop)
    }
}

fn filter(query: &Query, metadata: &str) -> Option<Value> {
    let Some(chat) = &query.chat else { return query.filter.clone() };
    let key = format!("{metadata}.{CHAT}");
    let of_chat = json!({ "should": [{ "key": key, "match": { "value": chat } }, { "is_empty": { "key": key } }] });
    // Flowise adds it to the author's own `should`, by which files of other chats are found as well.
    Some(query.filter.as_ref().map_or_else(|| of_chat.clone(), |own| json!({ "must": [own, of_chat] })))
}
