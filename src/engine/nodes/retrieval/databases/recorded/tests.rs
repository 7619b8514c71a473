use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::json;
use tokio::net::TcpListener;

use serde_json::Value;

use super::super::elastic::{ELASTICSEARCH, without_place};
use super::super::milvus::MilvusNode;
use super::super::qdrant::QdrantNode;
use super::super::supabase::SupabaseNode;
use super::super::testing::{RECORDS, documents, put, put_twice};
use super::super::upstash::UpstashNode;
use super::super::weaviate::{WeaviateNode, normalized};
use super::*;
use crate::engine::compile::kind::NodeKind;
use crate::engine::models::lab::{CREDENTIALS, HERE, Received};
use crate::engine::postgres::stub::{StubRows, serve};

/// A table of records: the group of each, and whether it was put in by the last run.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, bool>,
    namespaces: Vec<String>,
}

impl Table {
    fn answer(&mut self, statement: &str, parameters: &[String]) -> StubRows {
        let listed = |list: &str| -> Vec<String> {
            let inside = list.trim_matches(['{', '}']).split(',').filter(|text| !text.is_empty());
            inside.map(|text| text.trim_matches('"').to_owned()).collect()
        };
        if !parameters.is_empty() {
            self.namespaces.push(parameters[0].clone());
        }
        let one = |text: String| vec![vec![Some(text)]];
        if statement.contains("AS begun") {
            self.rows.values_mut().for_each(|is_new| *is_new = false);
            (vec!["begun"], one("1700000000.5".to_owned()))
        } else if statement.starts_with("INSERT") {
            self.rows.extend(listed(&parameters[1]).into_iter().map(|key| (key, true)));
            (vec![], vec![])
        } else if statement.contains("updated_at <") {
            assert_eq!(parameters[1], "1700000000.5");
            let old = self.rows.iter().filter(|(_, is_new)| !**is_new);
            (vec!["key"], old.map(|(key, _)| vec![Some(key.clone())]).collect())
        } else if statement.contains("COUNT(*)") {
            (vec!["count"], one(self.rows.len().to_string()))
        } else if statement.starts_with("SELECT key") {
            let known = listed(&parameters[1]).into_iter().filter(|key| self.rows.contains_key(key));
            (vec!["key"], known.map(|key| vec![Some(key)]).collect())
        } else if statement.starts_with("DELETE") {
            for key in listed(&parameters[1]) {
                self.rows.remove(&key);
            }
            (vec![], vec![])
        } else {
            assert!(statement.starts_with("CREATE") || statement.starts_with("ALTER"), "{statement}");
            (vec![], vec![])
        }
    }
}

#[tokio::test]
async fn what_is_there_is_left_alone_and_what_is_gone_goes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = json!({ "qdrantServerUrl": HERE, "qdrantCollection": "owls",
            RECORDS: listener.local_addr().unwrap().port() });
    let table = RefCell::new(Table::default());
    table.borrow_mut().rows.insert("gone".to_owned(), true);
    let collections = json!({ "result": { "collections": [{ "name": "owls" }] } });
    let done = json!({ "result": {} });
    let answers = [collections, done.clone(), done];
    let (received, first) = tokio::select! {
        never = serve(&listener, |statement, parameters| table.borrow_mut().answer(statement, parameters)) => match never {},
        put = put(&QdrantNode, config.clone(), &answers) => put,
    };
    let keys: Vec<String> =
        documents()[..2].iter().map(|document| key_of(&document.text, &document.metadata).unwrap()).collect();
    let ids = received[1].body["points"].as_array().unwrap().iter().map(|point| point["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), keys);
    assert_eq!(received[2].line, "POST /collections/owls/points/delete HTTP/1.1");
    assert_eq!(received[2].body, json!({ "points": ["gone"] }));
    let first = first.unwrap();
    assert_eq!(first.documents, documents()[..2]);
    assert_eq!(first.counts, Some(PutCounts { deleted: 1, skipped: 0, total: 2 }));
    assert!(table.borrow().namespaces.iter().all(|namespace| namespace == "flow_owls"));
    // Once more: nothing is embedded, and nothing is sent.
    let (received, second) = tokio::select! {
        never = serve(&listener, |statement, parameters| table.borrow_mut().answer(statement, parameters)) => match never {},
        put = put(&QdrantNode, config, &[]) => put,
    };
    assert!(received.is_empty());
    let counts = Some(PutCounts { deleted: 0, skipped: 2, total: 2 });
    assert_eq!(second.unwrap(), PutDocuments { documents: Vec::new(), counts });
}

#[tokio::test]
async fn records_that_the_engine_keeps_are_compared_as_those_of_a_database() {
    let config = json!({ "qdrantServerUrl": HERE, "qdrantCollection": "owls" });
    let collections = json!({ "result": { "collections": [{ "name": "owls" }] } });
    let done = json!({ "result": {} });
    let answers = [collections, done.clone(), done];
    let (received, [first, second]) = put_twice(&QdrantNode, config, "flow_owls", &answers).await;
    assert_eq!(received[2].body, json!({ "points": ["gone"] }));
    assert_eq!(first.counts, Some(PutCounts { deleted: 1, skipped: 0, total: 2 }));
    let counts = Some(PutCounts { deleted: 0, skipped: 2, total: 2 });
    assert_eq!(second, PutDocuments { documents: Vec::new(), counts });
}

/// Puts the passages into a database of which the records know one more, `gone`.
async fn put_where_one_is_gone(kind: &dyn NodeKind, mut config: Value, answers: &[Value]) -> Vec<Received> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config[RECORDS] = listener.local_addr().unwrap().port().into();
    let table = RefCell::new(Table::default());
    table.borrow_mut().rows.insert("gone".to_owned(), true);
    let (received, put) = tokio::select! {
        never = serve(&listener, |statement, parameters| table.borrow_mut().answer(statement, parameters)) => match never {},
        put = put(kind, config, answers) => put,
    };
    assert_eq!(put.unwrap().counts, Some(PutCounts { deleted: 1, skipped: 0, total: 2 }));
    assert!(!table.borrow().rows.contains_key("gone"));
    received
}

fn keys() -> Vec<String> {
    documents()[..2].iter().map(|document| key_of(&document.text, &document.metadata).unwrap()).collect()
}

#[tokio::test]
async fn supabase_takes_passages_out_by_the_ids_of_their_rows() {
    let config = json!({ "supabaseProjUrl": HERE, "tableName": "documents", "queryName": "match_documents" });
    let received = put_where_one_is_gone(&SupabaseNode, config, &[json!([]), "".into()]).await;
    assert_eq!(received[0].headers["prefer"], "resolution=merge-duplicates");
    let rows = received[0].body.as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), keys());
    assert_eq!(received[1].line, "DELETE /rest/v1/documents?id=in.(%22gone%22) HTTP/1.1");
}

#[tokio::test]
async fn weaviate_takes_passages_out_by_their_ids() {
    let config = json!({ "weaviateHost": HERE, "weaviateIndex": "Test", "weaviateConnectionType": "local" });
    let gone = json!({ "results": { "matches": 1, "successful": 1, "failed": 0 } });
    let received = put_where_one_is_gone(&WeaviateNode, config, &[json!([]), gone]).await;
    assert_eq!(received[1].line, "DELETE /v1/batch/objects HTTP/1.1");
    let of_ids = json!({ "operator": "ContainsAny", "path": ["id"], "valueTextArray": ["gone"] });
    assert_eq!(received[1].body, json!({ "match": { "class": "Test", "where": of_ids } }));
}

#[tokio::test]
async fn elasticsearch_takes_passages_out_and_knows_them_gone() {
    let credential = json!({ "elasticsearchApi": { "endpoint": HERE, "apiKey": "K" } });
    let config = json!({ "indexName": "i", CREDENTIALS: credential });
    let gone = json!({ "errors": true, "items": [{ "delete": { "_id": "gone", "status": 404 } }] });
    let received = put_where_one_is_gone(&ELASTICSEARCH, config, &[json!({}), json!({}), gone]).await;
    assert_eq!(received[2].line, "POST /_bulk?refresh=true HTTP/1.1");
    assert_eq!(received[2].headers["content-type"], "application/x-ndjson");
    // One action is JSON as well.
    assert_eq!(received[2].body, json!({ "delete": { "_id": "gone", "_index": "i" } }));
}

#[test]
fn passages_are_known_by_what_flowises_nodes_leave_of_their_metadata() {
    let config = json!({ "loc": { "lines": 1 }, "pdf": {}, "a b": [{ "c.d": 1 }] });
    let metadata = config.as_object().unwrap();
    let left = without_place(metadata);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["a b"]);
    assert_eq!(Value::from(normalized(&left)), json!({ "a_b": [{ "c_d": 1 }] }));
}

#[tokio::test]
async fn upstash_takes_passages_out_by_their_ids() {
    let credential = json!({ "UPSTASH_VECTOR_REST_URL": HERE, "UPSTASH_VECTOR_REST_TOKEN": "t" });
    let config = json!({ CREDENTIALS: { "upstashVectorApi": credential } });
    let answers = [json!({ "result": "Success" }), json!({ "result": { "deleted": 1 } })];
    let received = put_where_one_is_gone(&UpstashNode, config, &answers).await;
    assert_eq!((&*received[1].line, &received[1].body), ("POST /delete HTTP/1.1", &json!(["gone"])));
}

#[tokio::test]
async fn a_database_that_lets_go_of_nothing_is_given_nothing() {
    let config = json!({ "milvusServerUrl": HERE, "milvusCollection": "c", RECORDS: 1 });
    let (received, refused) = put(&MilvusNode, config, &[]).await;
    assert!(received.is_empty());
    assert!(refused.unwrap_err().to_string().contains("set its cleanup to None"));
}
