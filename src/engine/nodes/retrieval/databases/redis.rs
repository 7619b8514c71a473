//! Redis, where it can search.

use std::sync::Arc;

use serde_json::Value;

use super::database::{Database, Hit, NewPassage, Query, document_of};
use super::http::unreadable;
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::nodes::redis::{Redis, RedisCommand, command};
use crate::engine::provider::RedisReply;
use crate::wire::json;

/// What the search calls the distance.
const DISTANCE: &str = "vector_score";

/// The node `redis`, and those of Flowise's first versions.
pub(super) struct RedisNode;

impl NodeKind for RedisNode {
    fn names(&self) -> &'static [&'static str] {
        &["redis", "RedisIndex", "RedisUpsert"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(inputs, DatabaseFeatures::default());
        let index = inputs.required_text("indexName").map(|index| index.trim().to_owned());
        let mut field = |input: &str, otherwise: &str| {
            let name = inputs.text(input).unwrap_or_else(|| otherwise.to_owned());
            // It stands in a query, where other letters mean something.
            if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
                inputs.refuse(input, "expected letters, digits and _");
            }
            name
        };
        let content = field("contentKey", "content");
        let metadata = field("metadataKey", "metadata");
        let vector = field("vectorKey", "content_vector");
        if inputs.flag("replaceIndex") == Some(true) {
            inputs.pass_over("replaceIndex", "passages are added to what the index has");
        }
        let redis = Redis::read(inputs)?;
        let database = RedisIndex { redis, index: index?, content, metadata, vector };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct RedisIndex {
    redis: Redis,
    index: String,
    /// Fields of a passage.
    content: String,
    metadata: String,
    vector: String,
}

/// Numbers of four bytes each, the lowest first.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl RedisIndex {
    fn search_for(&self, query: &Query) -> RedisCommand {
        let most = query.most.to_string();
        let asked = format!("* => [KNN {most} @{} $vector AS {DISTANCE}]", self.vector);
        let mut words =
            command(&["FT.SEARCH", &self.index, &asked, "RETURN", "3", &self.metadata, &self.content, DISTANCE]);
        words.extend(command(&["SORTBY", DISTANCE, "LIMIT", "0", &most, "PARAMS", "2", "vector"]));
        words.push(bytes_of(&query.vector));
        words.extend(command(&["DIALECT", "2"]));
        words
    }

    fn hit(&self, fields: &RedisReply) -> Option<Hit> {
        let RedisReply::List(fields) = fields else { return None };
        let field = |name: &str| {
            let pair = fields.chunks_exact(2).find(|pair| pair.first().and_then(text_of).as_deref() == Some(name))?;
            pair.get(1).and_then(text_of)
        };
        let nearness = field(DISTANCE)?.parse().ok()?;
        // A minus means something in queries, and is written with a mark before it.
        let metadata: Value = json::read_str(&field(&self.metadata)?.replace("\\-", "-")).ok()?;
        let document = Document { text: field(&self.content).unwrap_or_default(), ..document_of(Some(metadata), "\0") };
        Some(Hit { document, nearness, vector: Vec::new() })
    }

    /// Makes the index, if it is not there.
    async fn ensure(&self, dimensions: usize, run: &Run<'_>) -> Result<(), Failure> {
        let known = self.redis.asked(vec![command(&["FT.INFO", &self.index])], run).await;
        match known {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(words)) if !words.contains("unknown command") => {}
            Err(failure) => return Err(failure),
        }
        let mut create = command(&["FT.CREATE", &self.index, "ON", "HASH", "PREFIX", "1", &self.prefix(), "SCHEMA"]);
        create.extend(command(&[&self.vector, "VECTOR", "HNSW", "6", "TYPE", "FLOAT32"]));
        create.extend(command(&["DIM", &dimensions.to_string(), "DISTANCE_METRIC", "COSINE"]));
        create.extend(command(&[&self.content, "TEXT", &self.metadata, "TEXT"]));
        self.redis.asked(vec![create], run).await.map(drop)
    }

    fn prefix(&self) -> String {
        format!("doc:{}:", self.index)
    }
}

fn text_of(reply: &RedisReply) -> Option<String> {
    if let RedisReply::Text(text) = reply { Some(String::from_utf8_lossy(text).into_owned()) } else { None }
}

impl Database for RedisIndex {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let found = self.redis.asked(vec![self.search_for(query)], run).await?;
            let RedisReply::List(found) = found else { return Err(unreadable()) };
            // How many there are, and then each with its key and its fields.
            Ok(found.get(1..).unwrap_or_default().chunks_exact(2).filter_map(|one| self.hit(one.get(1)?)).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let Some(first) = passages.first() else { return Ok(()) };
            self.ensure(first.vector.len(), run).await?;
            let set = |passage: &NewPassage| {
                let Document { text, metadata } = &passage.document;
                let metadata = Value::Object(metadata.clone()).to_string().replace('-', "\\-");
                let mut words = command(&["HSET", &format!("{}{}", self.prefix(), passage.id), &self.vector]);
                words.push(bytes_of(&passage.vector));
                words.extend(command(&[&self.content, text, &self.metadata, &metadata]));
                words
            };
            self.redis.all(passages.iter().map(set).collect(), run).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests;
