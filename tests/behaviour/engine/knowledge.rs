//! Document stores beside the flows.

use std::process::Command;

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{model, wait_for};

const ACCEPTED: &str = r#"flowgate_config_reloads_total{file="flows",result="accepted"}"#;
const REJECTED: &str = r#"flowgate_config_reloads_total{file="flows",result="rejected"}"#;
const FILE: &str = "flows/ExportData.json";

/// Embeds a text as how often it has the letters of "hi" in it.
fn embedder() -> Upstream {
    Upstream::start(|seen, reply| {
        let input = seen.json()["input"].clone();
        let texts = input.as_array().cloned().unwrap_or_else(|| vec![input]);
        let count = |text: &Value, letter: char| text.as_str().unwrap().matches(letter).count();
        let vectors = texts.iter().map(|text| json!({ "embedding": [count(text, 'h'), count(text, 'i'), 1] }));
        reply.json("200 OK", &json!({ "data": vectors.collect::<Vec<_>>() }).to_string());
    })
}

/// What the embedder was asked: how many times for passages, and for questions.
fn asked(embedder: &Upstream) -> (usize, usize) {
    let seen = embedder.seen();
    let passages = seen.iter().filter(|seen| seen.json()["input"].is_array()).count();
    (passages, seen.len() - passages)
}

/// A flow that answers with what it finds, as a template has it: another Flowise's id, and the name.
fn flow() -> String {
    let node = |id: &str, name: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": name, "label": id, "inputs": inputs, "inputParams": [] } });
    let found = json!({ "retrieverKnowledgeDocumentStores": [{ "documentStore": "elsewhere:ai paper" }] });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("find", "retrieverAgentflow", found),
    ];
    json!({ "nodes": nodes, "edges": [{ "source": "start", "target": "find" }] }).to_string()
}

/// What *Settings, Export* writes, with one store of these passages.
fn export(embedder: &Upstream, passages: &[&str]) -> String {
    let embeddings = json!({ "name": "openAIEmbeddings", "config": {
        "credential": "b2f1", "modelName": "m", "basepath": format!("http://{}/v1", embedder.address) } });
    let database =
        json!({ "name": "pinecone", "config": { "credential": "c3a2", "pineconeIndex": "gone", "topK": "1" } });
    let chunk = |(number, text): (usize, &&str)| json!({ "id": number.to_string(), "docId": "d", "storeId": "7f3", "chunkNo": number, "pageContent": text, "metadata": "{}" });
    json!({
        "ChatFlow": [], "ChatMessage": [{ "content": "not read" }],
        "DocumentStore": [{ "id": "7f3", "name": "ai paper", "status": "UPSERTED", "loaders": "[]", "whereUsed": "[]",
            "embeddingConfig": embeddings.to_string(), "vectorStoreConfig": database.to_string(), "recordManagerConfig": null }],
        "DocumentStoreFileChunk": passages.iter().enumerate().map(chunk).collect::<Vec<_>>(),
    })
    .to_string()
}

fn gateway(files: &[(&str, String)]) -> Gateway {
    Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        for (name, text) in files {
            model::write(dir, name, text);
        }
    })
}

fn answer(gateway: &Gateway) -> String {
    let answer = gateway.predict(ASK);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_store_is_embedded_once_and_again_only_when_it_changes() {
    let embedder = embedder();
    let gateway = gateway(&[("support", flow()), ("ExportData", export(&embedder, &["owls", "hi hi"]))]);
    gateway.log_line(|line| line["message"] == "a document store was loaded" && line["passages"] == 2);
    assert_eq!((answer(&gateway).as_str(), answer(&gateway).as_str()), ("hi hi", "hi hi"));
    assert_eq!(asked(&embedder), (1, 2));

    // Another flow, and nothing else of the store: what there is stays.
    model::write(gateway.dir(), "sales", &flow());
    gateway.wait_metric(ACCEPTED, 1.0);
    let again = export(&embedder, &["owls", "hi hi"]).replace("not read", "said since");
    gateway.write(FILE, again);
    gateway.wait_metric(ACCEPTED, 2.0);
    assert_eq!(answer(&gateway), "hi hi");
    assert_eq!(asked(&embedder), (1, 3));

    // Half a file changes nothing.
    gateway.write(FILE, "{\"DocumentStore\":[");
    wait_for("the count", || (gateway.metric(REJECTED) >= 1.0).then_some(()));
    assert_eq!(answer(&gateway), "hi hi");
    gateway.write(FILE, export(&embedder, &["hi there, more than before"]));
    gateway.wait_metric(ACCEPTED, 3.0);
    assert_eq!(answer(&gateway), "hi there, more than before");
    assert_eq!(asked(&embedder), (2, 5));
}

#[test]
fn a_flow_waits_for_its_store_as_for_a_credential() {
    let embedder = embedder();
    let gateway = gateway(&[("support", flow())]);
    gateway.log_line(|line| {
        let need = "document store \"ai paper\"";
        line["message"] == "flows will fail for want of something" && line["need"] == need
    });
    let refused = gateway.predict(ASK);
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("The document store \\\"ai paper\\\" is not there."), "{}", refused.text());
    gateway.write(FILE, export(&embedder, &["hi"]));
    gateway.wait_metric(ACCEPTED, 1.0);
    assert_eq!(answer(&gateway), "hi");
}

#[test]
fn what_is_wrong_with_an_export_of_stores_is_told_with_its_file() {
    let embedder = embedder();
    let folder = tempfile::tempdir().unwrap();
    let whole = export(&embedder, &["hi"]);
    model::write(folder.path(), "support", &flow());
    std::fs::write(folder.path().join("flowgate.yaml"), model::config("", "", "")).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let check = |text: &str| {
        model::write(folder.path(), "ExportData", text);
        let arguments = ["check", "--config", "flowgate.yaml"];
        let output = Command::new(BINARY).current_dir(folder.path()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&whole), (Some(0), String::new()));
    for (from, to, why) in [
        (
            "\"metadata\":\"{}\"",
            "\"metadata\":\"[]\"",
            "document store \"ai paper\": metadata of passage 0 is no JSON object",
        ),
        ("\"storeId\":\"7f3\"", "\"storeId\":\"8f4\"", "it has passages of a document store 8f4, but not the store"),
        (
            "openAIEmbeddings",
            "baiduQianfanEmbeddings",
            "node \"find\" (retrieverAgentflow), input retrieverKnowledgeDocumentStores: the document store \"ai paper\": baiduQianfanEmbeddings: the engine does not sign as this interface of Baidu's",
        ),
    ] {
        assert!(whole.contains(from), "{from} in {whole}");
        let (code, told) = check(&whole.replace(from, to));
        assert!(code == Some(2) && told.contains(why), "{told}");
    }
}

#[test]
fn flows_check_sees_stores_that_are_given() {
    let embedder = embedder();
    let folder = tempfile::tempdir().unwrap();
    model::write(folder.path(), "support", &flow());
    let check = |more: &[&str]| {
        let arguments = [&["flows", "check", "flows/support.json"], more].concat();
        let mut command = Command::new(BINARY);
        let output = command.env_remove("FLOWGATE_CONFIG").current_dir(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let without = check(&[]);
    assert!(without.contains("retrieverAgentflow  runs, needs document store \"ai paper\"\n"), "{without}");
    let verdict =
        "document store \"ai paper\": put Flowise's export of its document stores (Settings, Export) beside the flow\n";
    assert!(without.ends_with(verdict), "{without}");
    // Whether it is named or lies beside the flow.
    model::write(folder.path(), "ExportData", &export(&embedder, &["hi", "there"]));
    let beside = check(&[]);
    assert!(beside.contains("retrieverAgentflow  runs, needs credential openAIApi\n"), "{beside}");
    let with = check(&[FILE]);
    let stores = "flows/ExportData.json (document stores)\n  STORE     PASSAGES  EMBEDDINGS\n  ai paper  2         openAIEmbeddings\n\n";
    assert!(with.starts_with(stores), "{with}");
    assert!(with.contains("retrieverAgentflow  runs, needs credential openAIApi\n"), "{with}");
    std::fs::write(folder.path().join("flowgate.yaml"), model::config("", "", "")).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let configured = check(&["--config", "flowgate.yaml"]);
    assert!(configured.ends_with("the engine runs this flow\n"), "{configured}");
}
