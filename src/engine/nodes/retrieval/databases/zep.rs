//! Collections of documents in Zep, the open one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::database::{Database, Hit, NewPassage, Query, document_of, nearness_of, numbers, vector_of};
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

const ADDRESS: &str = "http://127.0.0.1:8000";
const DIMENSIONS: u64 = 1536;

/// The node `zep`, and those of Flowise's first versions.
pub(super) struct ZepNode;

impl NodeKind for ZepNode {
    fn names(&self) -> &'static [&'static str] {
        &["zep", "zepUpsert", "zepExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures { filter: "zepMetadataFilter", diversity: true, ..DatabaseFeatures::default() },
        );
        let collection = segment(inputs, "zepCollection");
        let dimensions = inputs.integer("dimension").filter(|size| *size > 0).unwrap_or(DIMENSIONS);
        let key = connection::optional(inputs, "zepMemoryApi", "apiKey");
        let headers = connection::bearer(inputs, key.as_ref());
        let address = inputs.text("baseURL").unwrap_or_else(|| ADDRESS.to_owned());
        let endpoint = endpoint(inputs, "baseURL", address.trim_end_matches('/'))?;
        let api = HttpApi { endpoint, headers };
        let database = ZepCollection { api, collection: collection?, dimensions };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct ZepCollection {
    api: HttpApi,
    collection: String,
    /// Numbers of a vector in one that is made.
    dimensions: u64,
}

/// Equalities, in the language that Zep looks with.
fn conditions(filter: Option<&Value>) -> Vec<Value> {
    let plain =
        |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let fields = filter.and_then(Value::as_object).into_iter().flatten();
    // A name with other letters would be more of the path.
    let fields = fields.filter(|(name, _)| plain(name));
    fields.map(|(name, value)| json!({ "jsonpath": format!("$[*] ? (@.{name} == {value})") })).collect()
}

impl ZepCollection {
    fn path(&self) -> String {
        format!("/api/v1/collection/{}", self.collection)
    }

    /// Makes the collection, if it is not there.
    async fn ensure(&self, run: &Run<'_>) -> Result<(), Failure> {
        match self.api.get(&self.path(), run).await {
            Err(Failure::Provider { status: 404, .. }) => {
                let made = json!({ "name": self.collection, "embedding_dimensions": self.dimensions,
                    "is_auto_embedded": false });
                self.api.post(&self.path(), &made, run).await.map(drop)
            }
            known => known.map(drop),
        }
    }
}

impl Database for ZepCollection {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let found = json!({ "where": { "and": conditions(query.filter.as_ref()) } });
            let body = json!({ "embedding": numbers(&query.vector), "metadata": found });
            let path = format!("{}/search?limit={}", self.path(), query.most);
            let mut answer = self.api.post(&path, &body, run).await?;
            let Some(Value::Array(results)) = answer.get_mut("results").map(Value::take) else {
                return Err(unreadable());
            };
            let hit = |mut found: Value| {
                let text = found.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
                let document = document_of(found.get_mut("metadata").map(Value::take), "\0");
                let nearness = nearness_of(found.get("score"));
                let vector = if query.with_vectors { vector_of(found.get("embedding")) } else { Vec::new() };
                Hit { document: Document { text, ..document }, nearness, vector }
            };
            Ok(results.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            self.ensure(run).await?;
            let document = |passage: &NewPassage| {
                let Document { text, metadata } = &passage.document;
                json!({ "content": text, "metadata": metadata, "embedding": numbers(&passage.vector) })
            };
            let path = format!("{}/document", self.path());
            self.api.post(&path, &passages.iter().map(document).collect(), run).await.map(drop)
        })
    }
}
