//! Milvus, by its second REST interface, which listens where its other one does.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::database::{CHAT, Database, Hit, NewPassage, Query, document_of, nearness_of, numbers};
use super::http::{HttpApi, endpoint, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::wire::json;

const ADDRESS: &str = "milvusServerUrl";
const CREDENTIAL: &str = "milvusAuth";

/// The node `milvus`, and those of Flowise's first versions.
pub(super) struct MilvusNode;

impl NodeKind for MilvusNode {
    fn names(&self) -> &'static [&'static str] {
        &["milvus", "milvusUpsert", "milvusExistingCollection"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures { text_filter: "milvusFilter", chats: true, ..DatabaseFeatures::default() },
        );
        let collection = inputs.required_text("milvusCollection");
        let partition = inputs.text("milvusPartition").filter(|name| name != "_default");
        let text_field = inputs.text("milvusTextField").unwrap_or_else(|| "langchain_text".to_owned());
        let secure = inputs.flag("secure").unwrap_or(false);
        for input in ["clientPemPath", "clientKeyPath", "caPemPath", "serverName"] {
            if inputs.has(input) {
                inputs.refuse(input, "the engine trusts whom the system trusts, and brings no certificate along");
            }
        }
        let user = connection::optional(inputs, CREDENTIAL, "milvusUser");
        let password = connection::optional(inputs, CREDENTIAL, "milvusPassword");
        let headers = match (user, password) {
            (Some(user), Some(password)) => {
                let token = format!("Bearer {}:{}", user.expose(), password.expose());
                connection::header(inputs, AUTHORIZATION, &token)
            }
            _ => connection::Headers::new(),
        };
        let address = inputs.required_text(ADDRESS)?;
        let scheme = if secure { "https" } else { "http" };
        let address = if address.contains("://") { address } else { format!("{scheme}://{address}") };
        let endpoint = endpoint(inputs, ADDRESS, &address);
        let api = HttpApi { endpoint: endpoint?, headers };
        let database = Milvus { api, collection: collection?, partition, text_field, known: OnceCell::new() };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Milvus {
    api: HttpApi,
    collection: String,
    partition: Option<String>,
    text_field: String,
    known: OnceCell<Known>,
}

/// What the database says of a collection.
#[derive(Debug)]
struct Known {
    vector_field: String,
    /// All but the vector and what the database fills in.
    fields: Vec<String>,
    measure: String,
}

impl Milvus {
    async fn ask(&self, path: &str, mut body: Value, run: &Run<'_>) -> Result<Value, Failure> {
        if let Value::Object(fields) = &mut body {
            fields.insert("collectionName".to_owned(), self.collection.as_str().into());
        }
        let mut answer = self.api.post(path, &body, run).await?;
        if let Some(0 | 200) = answer.get("code").and_then(Value::as_i64) {
            return Ok(answer.get_mut("data").map(Value::take).unwrap_or_default());
        }
        let words = answer.get("message").and_then(Value::as_str).unwrap_or_default();
        Err(Failure::flow(format!("Error searching data: {words}")))
    }

    async fn known(&self, run: &Run<'_>) -> Result<&Known, Failure> {
        self.known
            .get_or_try_init(|| async {
                let told = self.ask("/v2/vectordb/collections/describe", json!({}), run).await?;
                let fields = told.get("fields").and_then(Value::as_array).ok_or_else(unreadable)?;
                let name = |field: &Value| field.get("name")?.as_str().map(str::to_owned);
                let is_vector = |field: &&Value| {
                    field.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("Vector"))
                };
                let is_given = |field: &&Value| !field.get("autoId").is_some_and(|given| *given == true);
                let vector_field = fields.iter().find(is_vector).and_then(name).ok_or_else(unreadable)?;
                let measure = told.get("indexes").and_then(|all| all.get(0)?.get("metricType")?.as_str());
                let others = fields.iter().filter(|field| !is_vector(field) && is_given(field));
                Ok(Known {
                    vector_field,
                    fields: others.filter_map(name).collect(),
                    measure: measure.unwrap_or("L2").to_owned(),
                })
            })
            .await
    }
}

impl Database for Milvus {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let known = self.known(run).await?;
            let mut body = json!({
                "data": [numbers(&query.vector)],
                "annsField": known.vector_field,
                "limit": query.most,
                "outputFields": ["*"],
                "filter": filter(query),
            });
            if let (Some(partition), Value::Object(fields)) = (&self.partition, &mut body) {
                fields.insert("partitionNames".to_owned(), json!([partition]));
            }
            let Value::Array(found) = self.ask("/v2/vectordb/entities/search", body, run).await? else {
                return Err(unreadable());
            };
            let hit = |found: Value| {
                let distance = nearness_of(found.get("distance"));
                let nearness = match &*known.measure {
                    "L2" => 1.0 / (1.0 + distance),
                    "IP" | "COSINE" => f32::midpoint(distance, 1.0),
                    _ => distance,
                };
                let mut document = document_of(Some(found), &self.text_field);
                document.metadata.shift_remove("distance");
                document.metadata.shift_remove(&known.vector_field);
                let read = |value: Value| match &value {
                    Value::String(text) => json::read_str(text).unwrap_or(value),
                    _ => value,
                };
                document.metadata = document.metadata.into_iter().map(|(name, value)| (name, read(value))).collect();
                Hit { document, nearness, vector: Vec::new() }
            };
            Ok(found.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let known = self.known(run).await?;
            let row = |passage: &NewPassage| {
                let mut row = Map::new();
                for field in known.fields.iter().filter(|field| **field != self.text_field) {
                    let value = passage.document.metadata.get(field).cloned().ok_or_else(|| {
                        Failure::flow(format!("The field \"{field}\" is not provided in documents[0].metadata."))
                    })?;
                    let value = if value.is_object() || value.is_array() { value.to_string().into() } else { value };
                    row.insert(field.clone(), value);
                }
                row.insert(self.text_field.clone(), passage.document.text.as_str().into());
                row.insert(known.vector_field.clone(), numbers(&passage.vector));
                Ok(Value::Object(row))
            };
            let rows = passages.iter().map(row).collect::<Result<Value, Failure>>()?;
            self.ask("/v2/vectordb/entities/insert", json!({ "data": rows }), run).await.map(drop)
        })
    }
}

fn filter(query: &Query) -> String {
    let own = query.filter.as_ref().and_then(Value::as_str).unwrap_or_default().trim();
    let Some(chat) = &query.chat else { return own.to_owned() };
    let chat = chat.replace(['"', '\\'], "");
    let of_chat = format!("{CHAT} == \"{chat}\" OR NOT EXISTS({CHAT})");
    if own.is_empty() { of_chat } else { format!("({own}) AND ({of_chat})") }
}
