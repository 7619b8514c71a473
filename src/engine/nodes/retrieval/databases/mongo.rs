//! `MongoDB` Atlas, by its vector search.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, document_of, nearness_of, numbers, vector_of};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::mongo::Mongo;

const CREDENTIAL: &str = "mongoDBUrlApi";

/// The node `mongoDBAtlas`.
pub(super) struct MongoNode;

impl NodeKind for MongoNode {
    fn names(&self) -> &'static [&'static str] {
        &["mongoDBAtlas"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let filter = "mongoMetadataFilter";
        let common = node::read(inputs, DatabaseFeatures { filter, diversity: true, ..DatabaseFeatures::default() });
        let (database, collection) = (inputs.required_text("databaseName"), inputs.required_text("collectionName"));
        let index = inputs.text("indexName").unwrap_or_else(|| "default".to_owned());
        let text_key = inputs.text("textKey").unwrap_or_else(|| "text".to_owned());
        let vector_key = inputs.text("embeddingKey").unwrap_or_else(|| "embedding".to_owned());
        let url = connection::wanted(inputs, CREDENTIAL, "mongoDBConnectUrl");
        let (common, database, collection) = (common?, database?, collection?);
        let Some(url) = url else { return Some(node::part(inputs, common, Err(CREDENTIAL))) };
        let mongo = Mongo::new(url.expose(), &inputs.compiler.context.targets);
        let mongo = mongo.map_err(|problem| inputs.refuse("credential", problem)).ok()?;
        let database = Atlas { mongo, database, collection, index, text_key, vector_key };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Atlas {
    mongo: Mongo,
    database: String,
    collection: String,
    index: String,
    text_key: String,
    vector_key: String,
}

impl Atlas {
    /// As Flowise's own class asks.
    fn search_command(&self, query: &Query) -> Value {
        let mut search = json!({
            "queryVector": numbers(&query.vector),
            "index": self.index,
            "path": self.vector_key,
            "limit": query.most,
            "numCandidates": query.most * 10,
        });
        if let (Some(Value::Object(filter)), Value::Object(fields)) = (&query.filter, &mut search)
            && !filter.is_empty()
        {
            let equal = filter.iter().map(|(name, value)| (name.clone(), json!({ "$eq": value })));
            fields.insert("filter".to_owned(), Value::Object(equal.collect()));
        }
        let mut pipeline =
            vec![json!({ "$vectorSearch": search }), json!({ "$set": { "score": { "$meta": "vectorSearchScore" } } })];
        if !query.with_vectors {
            pipeline.push(json!({ "$project": { self.vector_key.as_str(): 0 } }));
        }
        json!({ "aggregate": self.collection, "pipeline": pipeline, "cursor": {} })
    }

    fn hit(&self, mut found: Value) -> Hit {
        let nearness = nearness_of(found.get("score"));
        let vector = vector_of(found.get(&self.vector_key));
        if let Value::Object(fields) = &mut found {
            fields.shift_remove("score");
            fields.shift_remove(&self.vector_key);
        }
        Hit { document: document_of(Some(found), &self.text_key), nearness, vector }
    }
}

impl Database for Atlas {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let command = self.search_command(query);
            let found = self.mongo.find(&self.database, &self.collection, command, run).await?;
            Ok(found.into_iter().map(|found| self.hit(found)).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let document = |passage: &NewPassage| {
                let mut fields = Map::new();
                fields.insert(self.text_key.clone(), passage.document.text.as_str().into());
                fields.insert(self.vector_key.clone(), numbers(&passage.vector));
                fields.extend(passage.document.metadata.clone());
                Value::Object(fields)
            };
            let documents: Value = passages.iter().map(document).collect();
            let command = json!({ "insert": self.collection, "documents": documents, "ordered": true });
            self.mongo.command(&self.database, command, run).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{needs, problems};
    use super::*;
    use crate::engine::models::lab::CREDENTIALS;

    fn atlas() -> Atlas {
        let metrics = crate::telemetry::metrics::Metrics::new().unwrap();
        let targets = Arc::new(crate::engine::provider::Targets::alone("test", &metrics));
        let of = str::to_owned;
        Atlas {
            mongo: Mongo::new("mongodb://localhost/", &targets).unwrap(),
            database: of("d"),
            collection: of("c"),
            index: of("i"),
            text_key: of("text"),
            vector_key: of("embedding"),
        }
    }

    #[test]
    fn it_is_asked_as_flowise_asks() {
        let filter = Some(json!({ "a": 1 }));
        let query =
            Query { text: String::new(), vector: vec![0.1, 1.0], most: 3, filter, chat: None, with_vectors: false };
        let search = json!({ "queryVector": [0.1, 1.0], "index": "i", "path": "embedding", "limit": 3,
            "numCandidates": 30, "filter": { "a": { "$eq": 1 } } });
        let pipeline = json!([{ "$vectorSearch": search },
            { "$set": { "score": { "$meta": "vectorSearchScore" } } }, { "$project": { "embedding": 0 } }]);
        let command = atlas().search_command(&query);
        assert_eq!(command, json!({ "aggregate": "c", "pipeline": pipeline, "cursor": {} }));
        let hit = atlas().hit(json!({ "_id": "7", "text": "one", "a": 1, "score": 0.5, "embedding": [1, 2] }));
        let shown = json!({ "pageContent": "one", "metadata": { "_id": "7", "a": 1 } });
        assert_eq!((hit.document.to_json(), hit.vector), (shown, vec![1.0, 2.0]));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let empty = ["databaseName", "collectionName", "credential mongoDBUrlApi.mongoDBConnectUrl"];
        assert_eq!(needs(&MongoNode, &json!({})), empty);
        let credential = json!({ "mongoDBUrlApi": { "mongoDBConnectUrl": "http://x" } });
        let told =
            problems(&MongoNode, &json!({ "databaseName": "d", "collectionName": "c", CREDENTIALS: credential }));
        assert!(told[0].contains("expected an address such as mongodb://"), "{told:?}");
    }
}
