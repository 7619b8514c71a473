//! Astra DB, by its data interface.

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Value, json};

use super::database::{Database, Hit, NewPassage, Query, document_of, nearness_of, numbers, vector_of};
use super::http::{HttpApi, endpoint_of_operator, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

const CREDENTIAL: &str = "AstraDBApi";
/// The field with the text.
const TEXT: &str = "text";

/// The node `Astra`.
pub(super) struct AstraNode;

impl NodeKind for AstraNode {
    fn names(&self) -> &'static [&'static str] {
        &["Astra"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(inputs, DatabaseFeatures { diversity: true, ..DatabaseFeatures::default() });
        let collection = segment(inputs, "astraCollection");
        // How a collection is made that is not there; here it must be there.
        inputs.ignore(&["vectorDimension", "similarityMetric"]);
        let token = connection::wanted(inputs, CREDENTIAL, "applicationToken");
        let address = connection::wanted(inputs, CREDENTIAL, "dbEndPoint");
        let keyspace = inputs.optional_credential(CREDENTIAL, "keyspace");
        let (common, collection) = (common?, collection?);
        let (Some(token), Some(address)) = (token, address) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let headers = connection::header(inputs, HeaderName::from_static("token"), token.expose());
        let endpoint = endpoint_of_operator(inputs, address.expose())?;
        let keyspace = keyspace.as_ref().map_or("default_keyspace", |keyspace| keyspace.expose());
        let path = format!("/api/json/v1/{}/{collection}", crate::engine::text::percent::component(keyspace));
        let database = Astra { api: HttpApi { endpoint, headers }, path };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Astra {
    api: HttpApi,
    path: String,
}

impl Astra {
    async fn ask(&self, body: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        let answer = self.api.post(&self.path, body, run).await?;
        match answer.get("errors").and_then(|errors| errors.get(0)?.get("message")?.as_str()) {
            Some(words) => Err(Failure::flow(words)),
            None => Ok(answer),
        }
    }
}

impl Database for Astra {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut find = json!({
                "filter": query.filter.clone().unwrap_or_else(|| json!({})),
                "sort": { "$vector": numbers(&query.vector) },
                "options": { "limit": query.most, "includeSimilarity": true },
            });
            if let Some(fields) = find.as_object_mut().filter(|_| query.with_vectors) {
                fields.insert("projection".to_owned(), json!({ "*": 1 }));
            }
            let mut answer = self.ask(&json!({ "find": find }), run).await?;
            let found = answer.get_mut("data").and_then(|data| data.get_mut("documents")).map(Value::take);
            let Some(Value::Array(found)) = found else { return Err(unreadable()) };
            let hit = |found: Value| {
                let (nearness, vector) = (nearness_of(found.get("$similarity")), vector_of(found.get("$vector")));
                let mut document = document_of(Some(found), TEXT);
                for own in ["_id", "$similarity", "$vector"] {
                    document.metadata.shift_remove(own);
                }
                Hit { document, nearness, vector }
            };
            Ok(found.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let document = |passage: &NewPassage| {
                let mut fields = passage.document.metadata.clone();
                fields.insert("_id".to_owned(), passage.id.as_str().into());
                fields.insert(TEXT.to_owned(), passage.document.text.as_str().into());
                fields.insert("$vector".to_owned(), numbers(&passage.vector));
                Value::Object(fields)
            };
            for batch in passages.chunks(20) {
                let documents: Value = batch.iter().map(document).collect();
                self.ask(&json!({ "insertMany": { "documents": documents } }), run).await?;
            }
            Ok(())
        })
    }
}
