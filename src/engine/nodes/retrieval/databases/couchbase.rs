//! Couchbase, by its search and query services over HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers};
use super::http::{HttpApi, endpoint_of_operator, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

const CREDENTIAL: &str = "couchbaseApi";
/// Before the names of a passage's metadata.
const METADATA: &str = "metadata";

/// The node `couchbase`.
pub(super) struct CouchbaseNode {
    /// For tests, the input with the address of both services.
    pub(super) address_input: &'static str,
}

impl NodeKind for CouchbaseNode {
    fn names(&self) -> &'static [&'static str] {
        &["couchbase"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common =
            node::read(inputs, DatabaseFeatures { filter: "couchbaseMetadataFilter", ..DatabaseFeatures::default() });
        let own = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let mut place = |input: &str| {
            let encoded = segment(inputs, input);
            let plain = inputs.text(input).unwrap_or_default().trim().to_owned();
            if plain.contains('`') {
                inputs.refuse(input, "expected a name");
            }
            Some((encoded?, plain))
        };
        let (bucket, scope, collection) = (place("bucketName"), place("scopeName"), place("collectionName"));
        let index = segment(inputs, "indexName");
        let text_key = inputs.text("textKey").unwrap_or_else(|| "text".to_owned());
        let vector_key = inputs.text("embeddingKey").unwrap_or_else(|| "embedding".to_owned());
        let servers = connection::wanted(inputs, CREDENTIAL, "connectionString");
        let user = connection::wanted(inputs, CREDENTIAL, "username");
        let password = connection::wanted(inputs, CREDENTIAL, "password");
        let ((bucket, in_bucket), (scope, in_scope), (_, in_collection)) = (bucket?, scope?, collection?);
        let (common, index) = (common?, index?);
        let (Some(servers), Some(user), Some(password)) = (servers, user, password) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let proof = BASE64_STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        let headers = connection::header(inputs, AUTHORIZATION, &format!("Basic {proof}"));
        let mut api = |port: (u16, u16)| {
            let address = own.clone().unwrap_or_else(|| address(servers.expose(), port));
            Some(HttpApi { endpoint: endpoint_of_operator(inputs, &address)?, headers: headers.clone() })
        };
        let (search, query) = (api((8094, 18094))?, api((8093, 18093))?);
        let path = format!("/api/bucket/{bucket}/scope/{scope}/index/{index}/query");
        let keyspace = format!("`{in_bucket}`.`{in_scope}`.`{in_collection}`");
        let database = Couchbase { search, query, path, keyspace, text_key, vector_key };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

/// Where a service listens that is found by a connection string: on the first server that it names.
fn address(servers: &str, (plain, secure): (u16, u16)) -> String {
    let (scheme, rest) = servers.split_once("://").unwrap_or(("couchbase", servers));
    let host = rest.split([',', '/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let end = host.rfind(':').filter(|end| !host.ends_with(']') && host.get(end + 1..).is_some_and(is_port));
    let host = end.and_then(|end| host.get(..end)).unwrap_or(host);
    if scheme == "couchbases" { format!("https://{host}:{secure}") } else { format!("http://{host}:{plain}") }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[derive(Debug)]
struct Couchbase {
    search: HttpApi,
    query: HttpApi,
    /// Of the index.
    path: String,
    /// Where passages are kept, as statements name it.
    keyspace: String,
    text_key: String,
    vector_key: String,
}

impl Database for Couchbase {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let knn = json!({ "field": self.vector_key, "vector": numbers(&query.vector), "k": query.most });
            let option = |name: &str| query.filter.as_ref().and_then(|filter| filter.get(name));
            let mut fields: Vec<Value> = option("fields").and_then(Value::as_array).cloned().unwrap_or_default();
            if fields.is_empty() {
                fields.push("*".into());
            } else if !fields.iter().any(|field| *field == "*" || *field == self.text_key.as_str()) {
                fields.push(self.text_key.as_str().into());
            }
            let mut body = json!({ "query": { "match_none": {} }, "knn": [knn], "size": query.most, "fields": fields });
            if let (Some(more), Value::Object(body)) = (option("searchOptions").and_then(Value::as_object), &mut body) {
                body.extend(more.clone());
            }
            let answer = self.search.post(&self.path, &body, run).await?;
            let hits = answer.get("hits").and_then(Value::as_array).ok_or_else(unreadable)?;
            Ok(hits.iter().map(|found| self.hit(found)).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let places: Vec<String> =
                (0..passages.len()).map(|number| format!("(${}, ${})", number * 2 + 1, number * 2 + 2)).collect();
            let statement = format!("UPSERT INTO {} (KEY, VALUE) VALUES {}", self.keyspace, places.join(", "));
            let args: Vec<Value> = passages.iter().flat_map(|passage| self.kept(passage)).collect();
            let answer =
                self.query.post("/query/service", &json!({ "statement": statement, "args": args }), run).await?;
            if answer.get("status").is_none_or(|status| status == "success") {
                return Ok(());
            }
            let words = answer.pointer("/errors/0/msg").and_then(Value::as_str);
            Err(Failure::Refused(words.unwrap_or("The database did not take all passages.").to_owned()))
        })
    }
}

impl Couchbase {
    /// The key and the value of a passage.
    fn kept(&self, passage: &NewPassage) -> [Value; 2] {
        let Document { text, metadata } = &passage.document;
        let fields = Map::from_iter([
            (self.text_key.clone(), text.as_str().into()),
            (self.vector_key.clone(), numbers(&passage.vector)),
            (METADATA.to_owned(), metadata.clone().into()),
        ]);
        [passage.id.as_str().into(), fields.into()]
    }

    fn hit(&self, found: &Value) -> Hit {
        let mut fields = found.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
        let text = fields.shift_remove(&self.text_key).and_then(|text| text.as_str().map(str::to_owned));
        fields.shift_remove(&self.vector_key);
        let plain = |(name, value): (String, Value)| {
            let plain = name.strip_prefix(METADATA).and_then(|name| name.strip_prefix('.')).map(str::to_owned);
            (plain.unwrap_or(name), value)
        };
        let metadata = fields.into_iter().map(plain).collect();
        let document = Document { text: text.unwrap_or_default(), metadata };
        Hit { document, nearness: nearness_of(found.get("score")), vector: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_the_first_server() {
        let of = |servers: &str| address(servers, (8094, 18094));
        assert_eq!(of("couchbase://db.example"), "http://db.example:8094");
        assert_eq!(of("couchbases://cb.one:11207,cb.two?network=default"), "https://cb.one:18094");
        assert_eq!(of("10.0.0.1"), "http://10.0.0.1:8094");
        assert_eq!(of("couchbase://[::1]"), "http://[::1]:8094");
    }
}
