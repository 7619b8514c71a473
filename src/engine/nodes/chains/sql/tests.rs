//! Expected: what Flowise 3.1.4's own node asks, of a database with the same tables.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use crate::engine::compile::context::{CompileContext, Credentials, Missing, Need};
use crate::engine::contract::node::ReplyContent;
use crate::engine::flow::CompiledFlow;
use crate::engine::postgres::testing::{StubRows, stub};
use crate::engine::provider::Targets;
use crate::engine::testing::{Predicted, predict};
use crate::telemetry::metrics::Metrics;

fn load(inputs: &Value) -> Result<CompiledFlow, String> {
    let node = |id: &str, name: &str, inputs: &Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs } });
    let mut own = json!({ "model": "{{m_0.data.instance}}" });
    own.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    let nodes = [node("m_0", "testModel", &json!({})), node("c_0", "sqlDatabaseChain", &own)];
    let export = json!({ "nodes": nodes, "edges": [{ "source": "m_0", "target": "c_0" }] });
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let context = Arc::new(CompileContext::new(Credentials::default(), targets));
    let loaded = CompiledFlow::load(None, "flow", &export.to_string(), &context);
    loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn of(rows: Vec<Vec<Option<&'static str>>>, columns: Vec<(&'static str, u32)>) -> StubRows {
    StubRows::Found(columns, rows)
}

fn schema() -> (&'static str, StubRows) {
    let column = |table, name, kind, nullable| vec![Some(table), Some(name), Some(kind), Some(nullable)];
    let rows = vec![
        column("a\"b", "x", "text", "YES"),
        column("singer", "id", "integer", "NO"),
        column("singer", "born", "timestamp with time zone", "YES"),
    ];
    let columns = vec![("table_name", 19), ("column_name", 19), ("data_type", 1043), ("is_nullable", 1043)];
    ("information_schema", of(rows, columns))
}

fn asked(more: &Value, query: &str, result: StubRows) -> (Predicted, Receiver<String>) {
    let sample = of(
        vec![vec![Some("1"), Some("2026-01-02 03:04:05+00")], vec![Some("2"), None]],
        vec![("id", 23), ("born", 1184)],
    );
    let denied = StubRows::Refused("42501", "permission denied for table a\"b");
    let (port, heard) =
        stub(vec![schema(), ("FROM \"public\".\"singer\" LIMIT", sample), ("a\"\"b", denied), ("count", result)]);
    let mut inputs = json!({ "database": "postgres", "url": format!("postgres://u:p@127.0.0.1:{port}/d") });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({ "question": "How many {x}?" });
    (predict(&load(&inputs).unwrap(), &body, &[query.into(), "Seven of them.".into()]), heard)
}

fn content(asked: &Value) -> &str {
    asked["messages"][0]["content"].as_str().unwrap()
}

#[test]
fn the_model_is_told_of_tables_and_of_what_its_query_gave() {
    let result = of(vec![vec![Some("7"), Some("2026-01-02")]], vec![("count", 20), ("day", 1082)]);
    let (predicted, heard) = asked(&json!({}), "SELECT count(*), day FROM singer", result);
    let info = "CREATE TABLE \"public\".\"a\"b\" (\nx text ) \nSELECT * FROM \"public\".\"a\"b\" LIMIT 3;\n x\n\
                CREATE TABLE \"public\".\"singer\" (\nid integer NOT NULL, born timestamp with time zone ) \n\
                SELECT * FROM \"public\".\"singer\" LIMIT 3;\n id born\n \
                1 Fri Jan 02 2026 03:04:05 GMT+0000 (Coordinated Universal Time)\n 2 null\n";
    let first = content(&predicted.asked[0]);
    assert!(first.starts_with("You are a PostgreSQL expert. Given an input question, first create"), "{first}");
    assert!(first.contains("query for at most 5 results using the LIMIT clause"), "{first}");
    let end = format!("Only use the following tables:\n{info}\n\nQuestion: How many {{x}}?\nSQLQuery:");
    assert!(first.ends_with(&end), "{first}");
    let second = content(&predicted.asked[1]);
    let result = "SQLQuery:SELECT count(*), day FROM singer\nSQLResult: [{\"count\":\"7\",\"day\":\"2026-01-02T00:00:00.000Z\"}]\nAnswer:";
    assert!(second.ends_with(result), "{second}");
    assert!(predicted.asked.iter().all(|asked| asked["stop"] == json!(["\nSQLResult:"])));
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("Seven of them.".into()));
    // Only the answer is told as it comes.
    let tokens: String =
        predicted.events.iter().filter(|(name, _)| name == "token").map(|(_, token)| token.as_str().unwrap()).collect();
    assert_eq!(tokens, "Seven of them.");
    let heard: Vec<String> = heard.try_iter().collect();
    let at = heard.iter().position(|said| said.starts_with("SELECT count")).unwrap();
    assert_eq!(heard[at - 2..at], ["BEGIN READ ONLY", "SET LOCAL statement_timeout = 30000"]);
    assert_eq!(heard[at + 1], "ROLLBACK");
}

#[test]
fn what_the_editor_leaves_empty_is_told_empty_as_flowise_does() {
    let result = || of(vec![], vec![("count", 20)]);
    let empty = json!({ "topK": "", "sampleRowsInTableInfo": "", "includesTables": " singer ,", "ignoreTables": "" });
    let (predicted, heard) = asked(&empty, "SELECT count(*)", result());
    let first = content(&predicted.asked[0]);
    assert!(first.contains("query for at most  results using"), "{first}");
    assert!(first.contains("LIMIT ;\n id born\n\n\nQuestion") && !first.contains("a\"b"), "{first}");
    assert!(content(&predicted.asked[1]).ends_with("SQLResult: []\nAnswer:"));
    assert!(heard.try_iter().all(|said| !said.starts_with("SELECT *")));
    let own =
        json!({ "customPrompt": "{dialect} {top_k}: {input} of {table_info}", "topK": "2", "ignoreTables": "singer" });
    let (predicted, _) = asked(&own, "SELECT count(*)", result());
    let first = content(&predicted.asked[0]);
    assert!(first.starts_with("postgres 2: How many {x}?\nSQLQuery: of CREATE TABLE \"public\".\"a\"b\""), "{first}");
}

#[test]
fn a_model_changes_nothing() {
    let told = |query: &str, result: StubRows| {
        let (predicted, heard) = asked(&json!({}), query, result);
        let second = content(&predicted.asked[1]);
        let told = second.rsplit_once("SQLResult: ").unwrap().1.strip_suffix("\nAnswer:").unwrap().to_owned();
        (told, heard.try_iter().any(|said| said.starts_with(query)))
    };
    let none = || of(vec![], vec![]);
    for query in ["DROP TABLE singer", "/* x */ -- y\n (delete from singer)", "COPY singer TO PROGRAM 'x'", "COMMIT"] {
        let (told, was_run) = told(query, none());
        assert!(told.contains("was not run: only queries that read are") && !was_run, "{query}: {told}");
    }
    for query in [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT \"pg_catalog\".\"PG_Cancel_Backend\"(1)",
        "SELECT U&\"\\0070g_terminate_backend\"(1)",
        "SELECT * FROM dblink_exec('host=h', 'DROP TABLE singer')",
        "SELECT * FROM ts_stat('SELECT to_tsvector(pg_re' || 'ad_file(''x''))')",
        "SELECT * FROM crosstab('SELECT 1')",
        "SELECT set_config('role', 'postgres', false)",
    ] {
        let (told, was_run) = told(query, none());
        assert!(told.contains("does more than read tables") && !was_run, "{query}: {told}");
    }
    let read_only = StubRows::Refused("25006", "cannot execute INSERT in a read-only transaction");
    let (result, _) = told("WITH x AS (INSERT INTO count VALUES (1) RETURNING 1) SELECT 1", read_only);
    assert_eq!(result, "\"cannot execute INSERT in a read-only transaction\"");
    for query in ["```sql\nSELECT count(*)\n```", "Here it is: SELECT count(*)", ""] {
        assert_eq!(told(query, none()).0, "\"\"", "{query}");
    }
    // As Flowise, which tells nothing of errors.
    assert_eq!(told("SELECT count(", StubRows::Refused("42601", "syntax error")), ("\"\"".to_owned(), true));
}

#[test]
fn what_cannot_be_asked_is_refused_when_the_flow_is_loaded() {
    let refused = |inputs: Value| load(&inputs).unwrap_err();
    for kind in ["sqlite", "mysql", "mssql"] {
        let told = refused(json!({ "database": kind, "url": "x" }));
        assert!(told.contains(&format!("input database: the engine speaks to postgres, and not to {kind}")), "{told}");
    }
    assert!(refused(json!({ "url": "/tmp/x.db" })).contains("and not to sqlite"));
    for empty in [json!({}), json!({ "database": "postgres", "url": "" })] {
        let needs = load(&empty).unwrap().missing;
        assert!(
            matches!(&needs[..], [Missing { need: Need::Setting(field), .. }] if field.input == "url"),
            "{needs:?}"
        );
    }
    let wrong = |more: Value| {
        let mut inputs = json!({ "database": "postgres", "url": "postgres://u:secret@h/d" });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused(inputs)
    };
    let told = wrong(json!({ "url": "postgres://u:secret@" }));
    assert!(told.contains("input url: expected an address") && !told.contains("secret"), "{told}");
    let both = wrong(json!({ "includesTables": "a", "ignoreTables": "b" }));
    assert!(both.contains("Cannot specify both"), "{both}");
    assert!(wrong(json!({ "customPrompt": "{other}" })).contains("there is no value for {other}"));
    assert!(wrong(json!({ "sampleRowsInTableInfo": 1000 })).contains("expected at most 100"));
}

#[test]
fn a_table_that_is_not_there_is_named() {
    let (predicted, _) = asked(&json!({ "includesTables": "none" }), "", of(vec![], vec![]));
    let failure = predicted.reply.unwrap_err().to_string();
    assert_eq!(failure, "Include tables not found in database: the table none was not found in the database");
}
