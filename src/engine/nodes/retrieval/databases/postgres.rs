//! Postgres with pgvector.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::database::{CHAT, Database, Hit, NewPassage, Query, numbers};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::postgres::{FoundRows, Postgres};
use crate::wire::json;

const CREDENTIAL: &str = "PostgresApi";

/// The node `postgres`, and those of Flowise's first versions.
pub(super) struct PostgresNode;

impl NodeKind for PostgresNode {
    fn names(&self) -> &'static [&'static str] {
        &["postgres", "postgresUpsert", "postgresExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let common = node::read(
            inputs,
            DatabaseFeatures {
                filter: "pgMetadataFilter",
                chats: true,
                recorded_as: &["tableName"],
                ..DatabaseFeatures::default()
            },
        );
        // Flowise has one driver left, and looks at no name of the column.
        inputs.ignore(&["driver", "contentColumnName", "batchSize"]);
        let (host, database) = (inputs.required_text("host"), inputs.required_text("database"));
        let port = inputs.integer("port").map_or(Ok(5432), u16::try_from);
        let port = port.map_err(|_| inputs.refuse("port", "expected a port")).ok();
        let schema = inputs.json("additionalConfig").and_then(|more| more.get("schema")?.as_str().map(str::to_owned));
        let ssl = inputs.flag("ssl").unwrap_or(false);
        let table = inputs.text("tableName").unwrap_or_else(|| "documents".to_owned());
        let common = common.map(|common| node::StoreInputs { recorded_as: Some(table.clone()), ..common });
        let table = table_path(&table, schema.as_deref());
        if table.is_none() {
            inputs.refuse("tableName", "expected letters, digits and underscores");
        }
        let operator = match inputs.text("distanceStrategy").as_deref() {
            None | Some("cosine") => Some("<=>"),
            Some("innerProduct") => Some("<#>"),
            Some("euclidean") => Some("<->"),
            Some(_) => {
                inputs.refuse("distanceStrategy", "expected cosine, innerProduct or euclidean");
                None
            }
        };
        let user = connection::wanted(inputs, CREDENTIAL, "user");
        let password = connection::wanted(inputs, CREDENTIAL, "password");
        let server = inputs.compiler.context.targets.server(&host?, port?, ssl, false);
        let server = server.map_err(|error| inputs.refuse("host", error)).ok()?;
        if let Some(host) = server.denied() {
            inputs.compiler.miss(inputs.node, Need::Network { host: host.to_owned() });
        }
        let (common, table, operator, database) = (common?, table?, operator?, database?);
        let (Some(user), Some(password)) = (user, password) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let postgres = Postgres { server, user: user.expose().to_owned(), password, database };
        Some(node::part(inputs, common, Ok(Arc::new(PassageTable { postgres, table, operator }))))
    }
}

/// A table's name as it stands in a statement, where no parameter can.
fn table_path(table: &str, schema: Option<&str>) -> Option<String> {
    let name = |name: &str| {
        let name = name.trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("_");
        let fits = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        fits.then(|| format!("\"{name}\""))
    };
    match schema {
        Some(schema) => Some(format!("{}.{}", name(schema)?, name(table)?)),
        None => name(table),
    }
}

#[derive(Debug)]
struct PassageTable {
    postgres: Postgres,
    table: String,
    operator: &'static str,
}

impl PassageTable {
    fn search_statement(&self, query: &Query) -> (String, Vec<String>) {
        let filter = query.filter.clone().unwrap_or_else(|| Value::Object(Map::new()));
        let mut parameters = vec![numbers(&query.vector).to_string(), filter.to_string(), query.most.to_string()];
        let mut or = String::new();
        if let Some(chat) = &query.chat {
            let fields: Map<String, Value> = std::iter::once((CHAT.to_owned(), chat.as_str().into())).collect();
            parameters.push(Value::Object(fields).to_string());
            " OR metadata @> $4::jsonb".clone_into(&mut or);
        }
        let Self { table, operator, .. } = self;
        let statement = format!(
            "SELECT *, embedding {operator} $1::vector AS \"_distance\" FROM {table} WHERE ((metadata @> $2::jsonb) AND \
             NOT (metadata ? '{CHAT}')){or} ORDER BY \"_distance\" ASC LIMIT $3::int"
        );
        (statement, parameters)
    }
}

/// A UUID, or something as harmless.
fn is_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn hits(found: &FoundRows) -> Vec<Hit> {
    let hit = |row: &Vec<Option<String>>| {
        let nearness = found.value(row, "_distance")?.parse().ok()?;
        let text = found.value(row, "pageContent")?.to_owned();
        let metadata = found.value(row, "metadata").and_then(|text| json::read_str(text).ok());
        let document = Document { text, metadata: metadata.unwrap_or_default() };
        Some(Hit { document, nearness, vector: Vec::new() })
    };
    found.rows.iter().filter_map(hit).collect()
}

impl Database for PassageTable {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move { Ok(hits(&self.postgres.run(&[self.search_statement(query)], run).await?)) })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let table = &self.table;
            let mut statements = vec![
                ("CREATE EXTENSION IF NOT EXISTS vector".to_owned(), Vec::new()),
                (
                    format!(
                        "CREATE TABLE IF NOT EXISTS {table} (\"id\" uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY \
                         KEY, \"pageContent\" text, metadata jsonb, embedding vector)"
                    ),
                    Vec::new(),
                ),
            ];
            for NewPassage { id, document: Document { text, metadata }, vector, .. } in passages {
                let insert = format!(
                    "INSERT INTO {table} (id, \"pageContent\", metadata, embedding) VALUES ($1::uuid, $2, $3::jsonb, \
                     $4::vector) ON CONFLICT (id) DO UPDATE SET \"pageContent\" = EXCLUDED.\"pageContent\", metadata = \
                     EXCLUDED.metadata, embedding = EXCLUDED.embedding"
                );
                // Postgres holds no NUL.
                let metadata = Value::Object(metadata.clone()).to_string().replace("\\u0000", "");
                let parameters = vec![id.clone(), text.replace('\0', ""), metadata, numbers(vector).to_string()];
                statements.push((insert, parameters));
            }
            self.postgres.run(&statements, run).await.map(drop)
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            // Others are no ids of such a table.
            let ids: Vec<&str> = ids.iter().map(String::as_str).filter(|id| is_id(id)).collect();
            let statement = format!("DELETE FROM {} WHERE id = ANY($1::uuid[])", self.table);
            self.postgres.run(&[(statement, vec![format!("{{{}}}", ids.join(","))])], run).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{needs, problems};
    use super::*;

    #[test]
    fn names_of_tables_are_names() {
        assert_eq!(table_path(" My Table", Some("s")).as_deref(), Some("\"s\".\"my_table\""));
        for wrong in ["", "a\"b", "a;b", "ü"] {
            assert_eq!(table_path(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn rows_are_passages() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let row = |texts: &[&str]| of(texts).into_iter().map(Some).collect::<Vec<_>>();
        let rows = vec![row(&["one", "{\"a\":1}", "0.25"]), vec![None, None, None]];
        let columns = of(&["pageContent", "metadata", "_distance"]);
        let found = hits(&FoundRows { columns, rows, ..FoundRows::default() });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].document.to_json(), json!({ "pageContent": "one", "metadata": { "a": 1 } }));
    }

    #[test]
    fn what_is_missing_is_told() {
        let told = problems(&PostgresNode, &json!({ "tableName": "a-b", "port": "99999" })).join("\n");
        assert_eq!(&needs(&PostgresNode, &json!({}))[..2], ["host", "database"]);
        for input in ["tableName", "port"] {
            assert!(told.contains(&format!("input {input}:")), "{told}");
        }
    }
}
