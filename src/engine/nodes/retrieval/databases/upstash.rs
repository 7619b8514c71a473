//! Upstash Vector.

use std::sync::Arc;

use serde_json::{Value, json};

use super::database::{CHAT, Database, Hit, NewPassage, Query, document_of, nearness_of, numbers};
use super::http::{HttpApi, endpoint_of_operator, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

const CREDENTIAL: &str = "upstashVectorApi";
/// The field of metadata with the text.
const TEXT: &str = "_pageContentLC";

/// The node `upstash`.
pub(super) struct UpstashNode;

impl NodeKind for UpstashNode {
    fn names(&self) -> &'static [&'static str] {
        &["upstash"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let text_filter = "upstashMetadataFilter";
        let common = node::read(inputs, DatabaseFeatures { text_filter, chats: true, ..DatabaseFeatures::default() });
        let address = connection::wanted(inputs, CREDENTIAL, "UPSTASH_VECTOR_REST_URL");
        let token = connection::wanted(inputs, CREDENTIAL, "UPSTASH_VECTOR_REST_TOKEN");
        let common = common?;
        let (Some(address), Some(token)) = (address, token) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let headers = connection::bearer(inputs, Some(&token));
        let endpoint = endpoint_of_operator(inputs, address.expose())?;
        let database = UpstashIndex(HttpApi { endpoint, headers });
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct UpstashIndex(HttpApi);

impl Database for UpstashIndex {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let mut body = json!({ "vector": numbers(&query.vector), "topK": query.most, "includeMetadata": true });
            if let (Some(filter), Value::Object(fields)) = (filter(query), &mut body) {
                fields.insert("filter".to_owned(), filter.into());
            }
            let mut answer = self.0.post("/query", &body, run).await?;
            let Some(Value::Array(found)) = answer.get_mut("result").map(Value::take) else {
                return Err(unreadable());
            };
            let hit = |mut found: Value| Hit {
                document: document_of(found.get_mut("metadata").map(Value::take), TEXT),
                nearness: nearness_of(found.get("score")),
                vector: Vec::new(),
            };
            Ok(found.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let vector = |passage: &NewPassage| {
                let mut metadata = passage.document.metadata.clone();
                metadata.insert(TEXT.to_owned(), passage.document.text.as_str().into());
                json!({ "id": passage.id, "vector": numbers(&passage.vector), "metadata": metadata })
            };
            self.0.post("/upsert", &passages.iter().map(vector).collect(), run).await.map(drop)
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move { self.0.post("/delete", &ids.into(), run).await.map(drop) })
    }
}

fn filter(query: &Query) -> Option<String> {
    let own = query.filter.as_ref().and_then(Value::as_str).filter(|filter| !filter.trim().is_empty());
    let Some(chat) = &query.chat else { return own.map(str::to_owned) };
    let chat = chat.replace(['"', '\\'], "");
    let of_chat = format!("{CHAT} = \"{chat}\" OR HAS NOT FIELD {CHAT}");
    // Flowise joins the two with OR, which finds the files of other chats as well.
    Some(own.map_or_else(|| of_chat.clone(), |own| format!("({own}) AND ({of_chat})")))
}
