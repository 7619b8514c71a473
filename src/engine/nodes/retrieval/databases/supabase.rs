//! Supabase, by the function that its users make for it.

use std::sync::Arc;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of, numbers, vector_of};
use super::http::{HttpApi, endpoint, segment, unreadable};
use super::node::{self, DatabaseFeatures};
use super::store::AT_ONCE;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::text::percent::component;

const ADDRESS: &str = "supabaseProjUrl";
const CREDENTIAL: &str = "supabaseApi";
/// What `PostgREST` says where a row wants an id.
const NO_ID: &str = "null value in column \"id\"";
const CALLS: &str = "supabaseRPCFilter";
/// What `PostgREST` compares with, as Flowise lets through.
const OPERATORS: &[&str] = &[
    "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "is", "in", "cs", "cd", "sl", "sr", "nxl", "nxr", "adj",
    "ov", "fts", "plfts", "phfts", "wfts",
];

/// The node `supabase`, and those of Flowise's first versions.
pub(super) struct SupabaseNode;

impl NodeKind for SupabaseNode {
    fn names(&self) -> &'static [&'static str] {
        &["supabase", "supabaseUpsert", "supabaseExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let filter = "supabaseMetadataFilter";
        let common = node::read(
            inputs,
            DatabaseFeatures {
                filter,
                diversity: true,
                recorded_as: &["tableName", "queryName"],
                ..DatabaseFeatures::default()
            },
        );
        let (function, table) = (segment(inputs, "queryName"), segment(inputs, "tableName"));
        let calls = match inputs.text(CALLS) {
            Some(text) => conditions(&text).map(Some),
            None => Ok(None),
        };
        let calls = calls.map_err(|problem| inputs.refuse(CALLS, problem)).ok();
        let address = inputs.required_text(ADDRESS);
        let key = connection::wanted(inputs, CREDENTIAL, "supabaseApiKey");
        let endpoint = endpoint(inputs, ADDRESS, &address?);
        let (common, endpoint, function, table, calls) = (common?, endpoint?, function?, table?, calls?);
        let Some(key) = key else { return Some(node::part(inputs, common, Err(CREDENTIAL))) };
        let mut headers = connection::bearer(inputs, Some(&key));
        headers.extend(connection::header(inputs, HeaderName::from_static("apikey"), key.expose()));
        let database = Supabase { api: HttpApi { endpoint, headers }, function, table, conditions: calls };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Supabase {
    api: HttpApi,
    function: String,
    table: String,
    /// As a query, in place of a filter.
    conditions: Option<String>,
}

impl Database for Supabase {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let (path, vector) = (format!("/rest/v1/rpc/{}", self.function), numbers(&query.vector));
            let most = query.most;
            let (path, body) = if let Some(conditions) = &self.conditions {
                (format!("{path}?{conditions}&limit={most}"), json!({ "query_embedding": vector }))
            } else {
                let filter = query.filter.clone().unwrap_or_else(|| json!({}));
                (path, json!({ "query_embedding": vector, "filter": filter, "match_count": most }))
            };
            let answer = self.api.post(&path, &body, run).await?;
            let rows = answer.as_array().ok_or_else(unreadable)?;
            let hit = |row: &Value| Hit {
                document: Document {
                    text: row.get("content").and_then(Value::as_str).unwrap_or_default().to_owned(),
                    metadata: row.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
                },
                nearness: nearness_of(row.get("similarity")),
                vector: if query.with_vectors { vector_of(row.get("embedding")) } else { Vec::new() },
            };
            Ok(rows.iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let rows = |with_ids: bool| {
                let row = |passage: &NewPassage| {
                    let Document { text, metadata } = &passage.document;
                    let mut row =
                        json!({ "content": text, "embedding": numbers(&passage.vector), "metadata": metadata });
                    if let (true, Value::Object(fields)) = (with_ids, &mut row) {
                        fields.insert("id".to_owned(), passage.id.as_str().into());
                    }
                    row
                };
                passages.iter().map(row).collect::<Value>()
            };
            let path = format!("/rest/v1/{}", self.table);
            let mut api = self.api.clone();
            // A row that is there already is written again.
            api.headers
                .push((HeaderName::from_static("prefer"), HeaderValue::from_static("resolution=merge-duplicates")));
            let is_recorded = passages.iter().any(|passage| passage.is_recorded);
            match api.post(&path, &rows(is_recorded), run).await {
                // A table that makes no ids of its own.
                Err(Failure::Provider { message, .. }) if !is_recorded && message.contains(NO_ID) => {
                    api.post(&path, &rows(true), run).await.map(drop)
                }
                answer => answer.map(drop),
            }
        })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            // Ids stand in the address, which has a bound.
            for ids in ids.chunks(AT_ONCE) {
                let quoted: Vec<String> = ids.iter().map(|id| component(&format!("\"{id}\""))).collect();
                let path = format!("/rest/v1/{}?id=in.({})", self.table, quoted.join(","));
                self.api.ask(Method::DELETE, &path, None, run).await?;
            }
            Ok(())
        })
    }
}

/// `filter("column", "operator", value).filter(...)`, as a query of `PostgREST`'s.
fn conditions(text: &str) -> Result<String, String> {
    let mut conditions = Vec::new();
    let mut rest = text.trim().trim_end_matches(';').trim();
    while !rest.is_empty() {
        let called = rest.trim_start_matches('.').trim_start().strip_prefix("filter");
        let inside = called.and_then(|called| called.trim_start().strip_prefix('('));
        let (arguments, after) =
            inside.and_then(arguments).ok_or("expected filter(\"column\", \"operator\", value)")?;
        let [column, operator, value] = arguments.as_slice() else {
            return Err("expected filter(\"column\", \"operator\", value)".to_owned());
        };
        if !OPERATORS.contains(&operator.trim_start_matches("not.")) {
            return Err(format!("{operator} is no operator"));
        }
        conditions.push(format!("{}={operator}.{}", component(column), component(value)));
        rest = after.trim_start();
    }
    if conditions.is_empty() { Err("it has no conditions".to_owned()) } else { Ok(conditions.join("&")) }
}

/// What stands between parentheses, and what comes after.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut all, mut current, mut quote) = (Vec::new(), String::new(), None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ',') => all.push(std::mem::take(&mut current).trim().to_owned()),
            (None, ')') => {
                all.push(current.trim().to_owned());
                return Some((all, text.get(at + 1..)?));
            }
            (_, letter) => current.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_conditions() {
        let text = r#"filter("metadata->a::int", "gt", 5).filter('metadata->b', 'eq', 'x, y');"#;
        assert_eq!(conditions(text).unwrap(), "metadata-%3Ea%3A%3Aint=gt.5&metadata-%3Eb=eq.x%2C%20y");
        for wrong in ["", "delete()", "filter(\"a\", \"drop\", 1)", "filter(\"a\"", "filter(1,2)"] {
            assert!(conditions(wrong).is_err(), "{wrong}");
        }
    }
}
