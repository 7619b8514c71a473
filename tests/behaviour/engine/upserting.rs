//! `vector/upsert` of flows that the engine runs.

use serde_json::{Value, json};

use super::WIDE;
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::upstream::{Seen, Upstream};
use crate::harness::{KEY, model, sha256};

const PATH: &str = "/api/v1/vector/upsert/support";
const LOADER: &str = "loader-key-0123456789";

/// Embeds every text alike, answers as a model, and is a Qdrant without collections.
fn services() -> Upstream {
    Upstream::start(|seen, reply| {
        let body = match seen.path.as_str() {
            "/v1/embeddings" => {
                let count = seen.json()["input"].as_array().map_or(1, Vec::len);
                json!({ "data": vec![json!({ "embedding": [1, 2] }); count] })
            }
            "/collections" => json!({ "result": { "collections": [] } }),
            path if path.starts_with("/collections/") => json!({ "result": true, "status": "ok" }),
            _ => return model::answer(seen, reply, "three years"),
        };
        reply.json("200 OK", &body.to_string());
    })
}

fn node(id: &str, kind: &str, category: &str, inputs: &Value) -> Value {
    json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "category": category, "inputs": inputs, "outputs": {} } })
}

/// A store with two passages, and a chain that searches it.
fn flow(services: &Upstream, store: &str, more: &Value) -> String {
    let base = format!("http://{}/v1", services.address);
    let text = |text: &str| json!({ "text": text });
    let mut inputs =
        json!({ "document": ["{{a.data.instance}}", "{{b.data.instance}}"], "embeddings": "{{e.data.instance}}" });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let chain = json!({ "model": "{{m.data.instance}}", "vectorStoreRetriever": "{{s.data.instance}}" });
    let nodes = [
        node("m", "chatOpenAI", "Chat Models", &json!({ "modelName": "m", "basepath": base, "streaming": false })),
        node("e", "openAIEmbeddings", "Embeddings", &json!({ "modelName": "e", "basepath": base })),
        node("a", "plainText", "Document Loaders", &text("The kettle has a warranty of three years.")),
        node("b", "plainText", "Document Loaders", &text("The pot has none.")),
        node("s", store, "Vector Stores", &inputs),
        node("c", "retrievalQAChain", "Chains", &chain),
    ];
    let edge = |source: &str, target: &str| json!({ "source": source, "target": target });
    let edges = [edge("a", "s"), edge("b", "s"), edge("e", "s"), edge("m", "c"), edge("s", "c")];
    json!({ "nodes": nodes, "edges": edges }).to_string()
}

fn running(flow: &str) -> Gateway {
    let config = model::config("", "", WIDE).replace("engine: { ", "engine: { allow_networks: ['127.0.0.0/8'], ");
    let keys = format!("{}  - {{ id: loader, sha256: {}, upsert: true }}\n", keys(""), sha256(LOADER));
    Gateway::start_with(&config, &keys, |dir| model::write(dir, "support", flow))
}

fn upsert(gateway: &Gateway, key: &str, body: &str) -> Response {
    client::post(gateway.http, PATH, &[("x-api-key", key)], body)
}

fn embedded(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.path == "/v1/embeddings").count()
}

#[test]
fn passages_are_put_in_by_a_key_that_may() {
    let services = services();
    let gateway = running(&flow(&services, "memoryVectorStore", &json!({})));
    upsert(&gateway, KEY, "{}").assert_refused(403, "chatflow_not_allowed");
    gateway.wait_metric("flowgate_rejected_total{rule=\"upsert_scope\"}", 1.0);
    assert_eq!(services.seen().len(), 0, "nobody was asked anything");

    let put = upsert(&gateway, LOADER, "{}");
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.json()["numAdded"], 2);
    let passages: Vec<_> =
        put.json()["addedDocs"].as_array().unwrap().iter().map(|one| one["pageContent"].clone()).collect();
    assert_eq!(passages, ["The kettle has a warranty of three years.", "The pot has none."]);
    assert_eq!(embedded(&services.seen()), 1);

    // What was put in is searched: only the question is embedded then.
    let answer = gateway.predict(r#"{"question":"How long?"}"#);
    assert_eq!((answer.status, answer.json()["text"].clone()), (200, json!("three years")));
    let seen = services.seen();
    assert_eq!(embedded(&seen), 2);
    let told = model::told(seen.last().unwrap());
    assert!(told.iter().any(|(_, text)| text.contains("The kettle has a warranty")), "{told:?}");
}

#[test]
fn a_database_is_given_them() {
    let services = services();
    let place = json!({ "qdrantServerUrl": format!("http://{}", services.address), "qdrantCollection": "manuals" });
    let gateway = running(&flow(&services, "qdrant", &place));
    let put = upsert(&gateway, LOADER, r#"{"stopNodeId":"s"}"#);
    assert_eq!((put.status, put.json()["numAdded"].clone()), (200, json!(2)), "{}", put.text());
    let points = services.wait_request("PUT", "/collections/manuals/points");
    let points = points.json()["points"].as_array().cloned().unwrap();
    let texts: Vec<_> = points.iter().map(|point| point["payload"]["content"].clone()).collect();
    assert_eq!(texts, ["The kettle has a warranty of three years.", "The pot has none."]);
    assert!(points.iter().all(|point| point["vector"] == json!([1.0, 2.0])), "{points:?}");

    upsert(&gateway, LOADER, r#"{"stopNodeId":"elsewhere"}"#).assert_refused(500, "upstream_error");
}
