//! Elasticsearch and `OpenSearch`, which speak nearly the same.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers};
use super::http::{HttpApi, endpoint_of_operator, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

/// One of the two, and its nodes.
pub(super) struct ElasticNode {
    names: &'static [&'static str],
    dialect: SearchDialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchDialect {
    Elasticsearch,
    OpenSearch,
}

pub(super) const ELASTICSEARCH: ElasticNode = ElasticNode {
    names: &["elasticsearch", "ElasticsearchIndex", "ElasticsearchUpsert"],
    dialect: SearchDialect::Elasticsearch,
};

pub(super) const OPEN_SEARCH: ElasticNode = ElasticNode {
    names: &["openSearch", "openSearchUpsert", "openSearchExistingIndex"],
    dialect: SearchDialect::OpenSearch,
};

/// Where a server listens, and who asks.
struct ElasticPlace {
    address: Secret,
    authorization: Option<String>,
}

impl NodeKind for ElasticNode {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common =
            node::read(inputs, DatabaseFeatures { recorded_as: &["indexName"], ..DatabaseFeatures::default() });
        let index = segment(inputs, "indexName");
        // How a new index is made.
        let similarity = inputs.text("similarity").or_else(|| inputs.text("similarityMeasure"));
        let engine = inputs.text("engine").unwrap_or_else(|| "lucene".to_owned());
        let space = inputs.text("spaceType").unwrap_or_else(|| "l2".to_owned());
        let similarity = similarity.filter(|name| matches!(&**name, "dot_product" | "cosine"));
        let similarity = similarity.unwrap_or_else(|| "l2_norm".to_owned());
        let place = match self.dialect {
            SearchDialect::Elasticsearch => of_elasticsearch(inputs),
            SearchDialect::OpenSearch => of_open_search(inputs),
        };
        let (common, index) = (common?, index?);
        let ElasticPlace { address, authorization } = match place {
            Ok(place) => place,
            Err(credential) => return Some(node::part(inputs, common, Err(credential))),
        };
        let endpoint = endpoint_of_operator(inputs, address.expose())?;
        let headers = match authorization {
            Some(text) => connection::header(inputs, AUTHORIZATION, &text),
            None => connection::Headers::new(),
        };
        let making = Making { similarity, engine, space };
        let api = HttpApi { endpoint, headers };
        let database = Elastic { api, index, dialect: self.dialect, making };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// By an address and a key, or by a cloud's id or an address, a user and a password.
fn of_elasticsearch(inputs: &mut Inputs<'_, '_, '_>) -> Result<ElasticPlace, &'static str> {
    const BY_KEY: &str = "elasticsearchApi";
    const BY_USER: &str = "elasticSearchUserPassword";
    if let Some(cloud) = connection::optional(inputs, BY_USER, "cloudId") {
        let user = connection::wanted(inputs, BY_USER, "username").ok_or(BY_USER)?;
        let password = connection::wanted(inputs, BY_USER, "password").ok_or(BY_USER)?;
        let address = if cloud.expose().starts_with("http") { Some(cloud) } else { of_cloud(cloud.expose()) };
        let authorization = Some(basic(user.expose(), password.expose()));
        return Ok(ElasticPlace { address: address.ok_or(BY_USER)?, authorization });
    }
    let address = connection::wanted(inputs, BY_KEY, "endpoint").ok_or(BY_KEY)?;
    let key = connection::optional(inputs, BY_KEY, "apiKey");
    Ok(ElasticPlace { address, authorization: key.map(|key| format!("ApiKey {}", key.expose())) })
}

/// `name:` and, in Base64, `host$id$...`.
fn of_cloud(id: &str) -> Option<Secret> {
    let (_, encoded) = id.rsplit_once(':')?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let mut parts = decoded.split('$');
    let (host, id) = (parts.next()?, parts.next()?);
    Some(Secret::new(format!("https://{id}.{host}")))
}

fn of_open_search(inputs: &mut Inputs<'_, '_, '_>) -> Result<ElasticPlace, &'static str> {
    const CREDENTIAL: &str = "openSearchUrl";
    let address = connection::wanted(inputs, CREDENTIAL, "openSearchUrl").ok_or(CREDENTIAL)?;
    let user = connection::optional(inputs, CREDENTIAL, "user");
    let password = connection::optional(inputs, CREDENTIAL, "password");
    let authorization = user.zip(password).map(|(user, password)| basic(user.expose(), password.expose()));
    Ok(ElasticPlace { address, authorization })
}

/// How an index is made that is not there.
#[derive(Debug)]
struct Making {
    similarity: String,
    engine: String,
    space: String,
}

#[derive(Debug)]
struct Elastic {
    api: HttpApi,
    index: String,
    dialect: SearchDialect,
    making: Making,
}

impl Database for Elastic {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let (most, vector) = (query.most, numbers(&query.vector));
            let body = match self.dialect {
                SearchDialect::Elasticsearch => {
                    let filter = json!({ "bool": { "must": [], "must_not": [] } });
                    let candidates = most.max(200);
                    let knn = json!({ "field": "embedding", "query_vector": vector, "filter": filter, "k": most,
                        "num_candidates": candidates });
                    json!({ "size": most, "knn": knn })
                }
                SearchDialect::OpenSearch => {
                    let knn = json!({ "knn": { "embedding": { "vector": vector, "k": most } } });
                    json!({ "query": { "bool": { "filter": { "bool": {} }, "must": [knn] } }, "size": most })
                }
            };
            let answer = self.api.post(&format!("/{}/_search", self.index), &body, run).await?;
            let hits = answer.get("hits").and_then(|hits| hits.get("hits")?.as_array()).ok_or_else(unreadable)?;
            let hit = |found: &Value| {
                let source = found.get("_source");
                let text = source.and_then(|source| source.get("text")?.as_str()).unwrap_or_default().to_owned();
                let metadata = source.and_then(|source| source.get("metadata")?.as_object()).cloned();
                let document = Document { text, metadata: metadata.unwrap_or_default() };
                Hit { document, nearness: nearness_of(found.get("_score")), vector: Vec::new() }
            };
            Ok(hits.iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            self.ensure(passages.first().map_or(0, |passage| passage.vector.len()), run).await?;
            let mut lines = String::new();
            for NewPassage { id, document: Document { text, metadata }, vector, .. } in passages {
                let index = json!({ "index": { "_id": id, "_index": self.index } });
                let fields = json!({ "embedding": numbers(vector), "metadata": metadata, "text": text });
                let _ = writeln!(lines, "{index}\n{fields}");
            }
            let answer = self.bulk(lines, run).await?;
            if answer.get("errors").is_some_and(|errors| *errors == true) {
                return Err(Failure::flow("The database did not take all passages."));
            }
            Ok(())
        })
    }

    fn known_by(&self, metadata: &Map<String, Value>) -> Option<Map<String, Value>> {
        matches!(self.dialect, SearchDialect::Elasticsearch).then(|| without_place(metadata))
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let mut lines = String::new();
            for id in ids {
                let _ = writeln!(lines, "{}", json!({ "delete": { "_id": id, "_index": self.index } }));
            }
            let answer = self.bulk(lines, run).await?;
            let items = answer.get("items").and_then(Value::as_array).into_iter().flatten();
            let mut statuses = items.filter_map(|item| item.get("delete")?.get("status")?.as_u64());
            // What is not there any more is gone as well.
            if statuses.any(|status| status >= 400 && status != 404) {
                return Err(Failure::flow("The database did not let go of all passages."));
            }
            Ok(())
        })
    }
}

/// Flowise leaves out where a passage lies in its file.
pub(super) fn without_place(metadata: &Map<String, Value>) -> Map<String, Value> {
    let left = metadata.iter().filter(|(name, _)| !matches!(name.as_str(), "loc" | "pdf"));
    left.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Elastic {
    /// Several actions, a line each, of which the next search sees the effect.
    async fn bulk(&self, lines: String, run: &Run<'_>) -> Result<Value, Failure> {
        let mut api = self.api.clone();
        api.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")));
        api.ask(Method::POST, "/_bulk?refresh=true", Some(lines), run).await
    }

    /// Makes the index, if it is not there.
    async fn ensure(&self, dimensions: usize, run: &Run<'_>) -> Result<(), Failure> {
        let path = format!("/{}", self.index);
        match self.api.get(&path, run).await {
            Err(Failure::Provider { status: 404, .. }) => {}
            other => return other.map(drop),
        }
        let Making { similarity, engine, space } = &self.making;
        let (kind, embedding) = match self.dialect {
            SearchDialect::Elasticsearch => {
                let options = json!({ "type": "hnsw", "m": 16, "ef_construction": 100 });
                let embedding = json!({ "type": "dense_vector", "dims": dimensions, "index": true,
                    "similarity": similarity, "index_options": options });
                (json!({}), embedding)
            }
            SearchDialect::OpenSearch => {
                let method = json!({ "name": "hnsw", "engine": engine, "space_type": space,
                    "parameters": { "ef_construction": 512, "m": 16 } });
                let settings = json!({ "index": { "number_of_shards": 5, "number_of_replicas": 1, "knn": true,
                    "knn.algo_param.ef_search": 512 } });
                (settings, json!({ "type": "knn_vector", "dimension": dimensions, "method": method }))
            }
        };
        let mut body = json!({ "mappings": { "properties": {
            "text": { "type": "text" }, "metadata": { "type": "object" }, "embedding": embedding,
        } } });
        if self.dialect == SearchDialect::OpenSearch
            && let Value::Object(fields) = &mut body
        {
            fields.insert("settings".to_owned(), kind);
        }
        self.api.put(&path, &body, run).await.map(drop)
    }
}
