//! `SingleStore`, by its Data API over HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers};
use super::http::{HttpApi, endpoint, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::wire::json::read_str;

const CREDENTIAL: &str = "singleStoreApi";
const HOST: &str = "host";

/// The node `singlestore`, and those of Flowise's first versions.
pub(super) struct SingleStoreNode;

impl NodeKind for SingleStoreNode {
    fn names(&self) -> &'static [&'static str] {
        &["singlestore", "singlestoreUpsert", "singlestoreExisting"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(inputs, DatabaseFeatures::default());
        let database = inputs.required_text("database");
        let mut name = |input: &str, usual: &str| {
            let name = inputs.text(input).unwrap_or_else(|| usual.to_owned());
            if !is_name(&name) {
                inputs.refuse(input, "expected a name of letters, digits and underscores");
            }
            name
        };
        let table = name("tableName", "embeddings");
        let content = name("contentColumnName", "content");
        let vector = name("vectorColumnName", "vector");
        let metadata = name("metadataColumnName", "metadata");
        let user = connection::wanted(inputs, CREDENTIAL, "user");
        let password = connection::wanted(inputs, CREDENTIAL, "password");
        let host = inputs.required_text(HOST)?;
        let address = if host.contains("://") { host } else { format!("https://{host}") };
        let endpoint = endpoint(inputs, HOST, &address);
        let (common, endpoint, database) = (common?, endpoint?, database?);
        let (Some(user), Some(password)) = (user, password) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let proof = BASE64_STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        let headers = connection::header(inputs, AUTHORIZATION, &format!("Basic {proof}"));
        let api = HttpApi { endpoint, headers };
        let store = SingleStore { api, database, table, content, vector, metadata };
        Some(node::part(inputs, common, Ok(Arc::new(store))))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[derive(Debug)]
struct SingleStore {
    api: HttpApi,
    database: String,
    table: String,
    /// Its columns.
    content: String,
    vector: String,
    metadata: String,
}

impl SingleStore {
    async fn ask(&self, path: &str, sql: String, args: Vec<Value>, run: &Run<'_>) -> Result<Value, Failure> {
        let body = json!({ "sql": sql, "args": args, "database": self.database });
        self.api.post(path, &body, run).await
    }
}

impl Database for SingleStore {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let Self { table, content, vector, metadata, .. } = self;
            let sql = format!(
                "SELECT {content}, {metadata}, DOT_PRODUCT({vector}, JSON_ARRAY_PACK(?)) as __score FROM {table} \
                 ORDER BY __score DESC LIMIT {}",
                query.most
            );
            let args = vec![numbers(&query.vector).to_string().into()];
            let answer = self.ask("/api/v2/query/rows", sql, args, run).await?;
            let rows = answer.pointer("/results/0/rows").and_then(Value::as_array).ok_or_else(unreadable)?;
            let hit = |row: &Value| Hit {
                document: Document {
                    text: row.get(content).and_then(Value::as_str).unwrap_or_default().to_owned(),
                    metadata: fields(row.get(metadata)),
                },
                nearness: nearness_of(row.get("__score")),
                vector: Vec::new(),
            };
            Ok(rows.iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let Self { table, content, vector, metadata, .. } = self;
            let made = format!(
                "CREATE TABLE IF NOT EXISTS {table} ({content} TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, \
                 {vector} BLOB, {metadata} JSON)"
            );
            self.ask("/api/v2/exec", made, Vec::new(), run).await?;
            let places = vec!["(?, JSON_ARRAY_PACK(?), ?)"; passages.len()].join(", ");
            let sql = format!("INSERT INTO {table} ({content}, {vector}, {metadata}) VALUES {places}");
            let args = passages.iter().flat_map(|passage| {
                let Document { text, metadata } = &passage.document;
                let metadata = Value::Object(metadata.clone()).to_string();
                [text.as_str().into(), numbers(&passage.vector).to_string().into(), metadata.into()]
            });
            self.ask("/api/v2/exec", sql, args.collect(), run).await.map(drop)
        })
    }
}

/// A column of JSON, which may come as a text.
fn fields(column: Option<&Value>) -> Map<String, Value> {
    match column {
        Some(Value::Object(fields)) => fields.clone(),
        Some(Value::String(text)) => read_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_as_node_reads_json() {
        let read = fields(Some(&r#"{"a":"x\ud83d"}"#.into()));
        assert_eq!(read["a"], "x\u{fffd}");
        assert!(fields(Some(&"no JSON".into())).is_empty() && fields(None).is_empty());
    }
}
