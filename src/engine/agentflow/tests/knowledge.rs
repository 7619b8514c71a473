//! Nodes that search document stores.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::draw::{Drawing, model};
use super::lab::{Lab, run};
use crate::engine::documents::stores::DocumentStores;

fn stores() -> Arc<DocumentStores> {
    let store = |id: &str, name: &str| {
        let embeddings = json!({ "name": "stubEmbeddings", "config": {} });
        let database = json!({ "name": "qdrant", "config": { "topK": 1 } });
        json!({ "id": id, "name": name, "embeddingConfig": embeddings.to_string(), "vectorStoreConfig": database.to_string() })
    };
    let chunk = |store: &str, text: &str| json!({ "docId": "d", "storeId": store, "chunkNo": 1, "pageContent": text, "metadata": "{\"page\":1}" });
    let text = json!({
        "DocumentStore": [store("1", "Night Birds"), store("2", "cattle")],
        "DocumentStoreFileChunk": [chunk("1", "owls hoot"), chunk("1", "bats squeak"), chunk("2", "cows moo")],
    });
    DocumentStores::read(&[(PathBuf::from("all.json"), text.to_string())]).unwrap()
}

fn retriever(inputs: &Value) -> Drawing {
    let mut all = json!({ "retrieverKnowledgeDocumentStores": [{ "documentStore": "1:Night Birds" }] });
    all.as_object_mut().unwrap().extend(inputs.as_object().cloned().unwrap());
    Drawing::new(&json!({})).node("find", "retrieverAgentflow", &all)
}

#[test]
fn the_last_node_tells_what_it_found() {
    run(async {
        let flow = retriever(&json!({ "outputFormat": "text" })).line(&["start", "find"]);
        let lab = Lab::with_stores(&flow.export(), stores()).await;
        let answer = lab.ask(json!({ "question": "who hoot?", "chatId": "c", "streaming": true })).await;
        assert_eq!(answer.text(), "owls hoot");
        assert_eq!(answer.data("find")["input"], json!({ "question": "who hoot?" }));
        let tokens: Vec<_> = answer.events.iter().filter(|event| event["event"] == "token").collect();
        assert_eq!((tokens.len(), &tokens[0]["data"]), (1, &json!("owls hoot")));
    });
}

#[test]
fn all_stores_are_searched_with_the_nodes_own_query() {
    run(async {
        let flow = retriever(&json!({
            "retrieverKnowledgeDocumentStores": [{ "documentStore": "1:Night Birds" }, { "documentStore": "9:cattle" }],
            "retrieverQuery": "<p>bats {{ question }}</p>",
            "outputFormat": "textWithMetadata",
        }));
        let lab = Lab::with_stores(&flow.line(&["start", "find"]).export(), stores()).await;
        let answer = lab.ask(json!({ "question": "squeak", "chatId": "c" })).await;
        assert_eq!(answer.data("find")["input"], json!({ "question": "bats squeak" }));
        let found: Value = serde_json::from_str(answer.text()).unwrap();
        let passage = |text: &str| json!({ "pageContent": text, "metadata": { "page": 1, "docId": "d" } });
        assert_eq!(found, json!([passage("bats squeak"), passage("cows moo")]));
        assert!(answer.text().starts_with("[\n  {\n    \"pageContent\""), "{}", answer.text());
    });
}

#[test]
fn what_was_found_goes_into_the_state() {
    run(async {
        let changes = json!([{ "key": "found", "value": "{{ output }}" }]);
        let flow = retriever(&json!({ "retrieverUpdateState": changes }))
            .node("say", "directReplyAgentflow", &json!({ "directReplyMessage": "It says: {{ $flow.state.found }}" }))
            .line(&["start", "find", "say"]);
        let lab = Lab::with_stores(&flow.export(), stores()).await;
        assert_eq!(lab.ask(json!({ "question": "hoot", "chatId": "c" })).await.text(), "It says: owls hoot");
    });
}

#[test]
fn an_agent_looks_into_its_knowledge() {
    let knowledge = json!([
        { "documentStore": "1:Night Birds", "docStoreDescription": "What flies", "returnSourceDocuments": true },
        { "documentStore": "2:cattle", "docStoreDescription": "", "returnSourceDocuments": "" },
    ]);
    let inputs = model("agent", json!({ "agentKnowledgeDocumentStores": knowledge }));
    let flow = Drawing::new(&json!({})).node("it", "agentAgentflow", &inputs).line(&["start", "it"]);
    run(async {
        let lab = Lab::with_stores(&flow.export(), stores()).await;
        let ask = async |tool: &str| {
            let question = format!("Look [[tool={tool}:{{\"input\":\"hoot\"}}]]");
            lab.ask(json!({ "question": question, "chatId": lab.chat().to_string(), "streaming": true })).await
        };
        let answer = ask("night_birds").await;
        assert_eq!(answer.text(), "Tool said: owls hoot");
        let sources = json!([{ "pageContent": "owls hoot", "metadata": { "page": 1, "docId": "d" } }]);
        assert_eq!(answer.data("it")["output"]["sourceDocuments"], sources);
        assert!(answer.names().contains(&"sourceDocuments".to_owned()), "{:?}", answer.names());
        let sent = lab.sent();
        let tools = sent[0]["tools"].as_array().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| &tool["function"]["name"]).collect();
        assert_eq!(names, ["night_birds", "cattle"]);
        assert_eq!(tools[0]["function"]["description"], "What flies");
        let available = &answer.data("it")["output"]["availableTools"][0]["toolNode"];
        assert_eq!(*available, json!({ "label": "Retriever Tool", "name": "retrieverTool" }));

        let answer = ask("cattle").await;
        assert_eq!(answer.text(), "Tool said: cows moo");
        assert_eq!(answer.data("it")["output"].get("sourceDocuments"), None);
    });
}

#[test]
fn a_store_that_is_not_there_fails_by_name() {
    run(async {
        let lab = Lab::with_stores(&retriever(&json!({})).line(&["start", "find"]).export(), Arc::default()).await;
        let answer = lab.ask(json!({ "question": "hoot", "chatId": "c" })).await;
        let sentence = answer.json.as_str().unwrap();
        assert!(sentence.contains("The document store \"Night Birds\" is not there."), "{sentence}");
    });
}

#[test]
fn an_agent_looks_into_databases() {
    let knowledge = json!([{
        "vectorStore": "memoryVectorStore", "vectorStoreConfig": { "vectorStore": "memoryVectorStore", "topK": "" },
        "embeddingModel": "stubEmbeddings", "embeddingModelConfig": { "embeddingModel": "stubEmbeddings" },
        "knowledgeName": "Night Birds!", "knowledgeDescription": "What flies", "returnSourceDocuments": "",
    }]);
    let inputs = model("agent", json!({ "agentKnowledgeVSEmbeddings": knowledge }));
    let flow = Drawing::new(&json!({})).node("it", "agentAgentflow", &inputs).line(&["start", "it"]);
    run(async {
        let lab = Lab::with_stores(&flow.export(), Arc::default()).await;
        let question = "Look [[tool=night_birds:{\"input\":\"hoot\"}]]";
        let answer = lab.ask(json!({ "question": question, "chatId": lab.chat().to_string() })).await;
        // Nothing is connected to it.
        assert_eq!(answer.text(), "Tool said: ");
        let sent = lab.sent();
        let tool = &sent[0]["tools"][0]["function"];
        assert_eq!((&tool["name"], &tool["description"]), (&json!("night_birds"), &json!("What flies")));
    });
}
