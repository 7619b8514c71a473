use std::path::PathBuf;

use serde_json::json;

use super::super::testing::{Stage, asked, load_with, retrieval_qa};
use super::*;
use crate::engine::documents::stores::DocumentStores;

fn export(database: &Value) -> Arc<DocumentStores> {
    let embeddings = json!({ "name": "stubEmbeddings", "config": { "credential": "", "stubEmbeddings": "" } });
    let chunk = |number: u32, text: &str| json!({ "docId": "loader", "storeId": "7f3", "chunkNo": number, "pageContent": text, "metadata": "{\"n\":1}" });
    let text = json!({
        "DocumentStore": [
            { "id": "7f3", "name": "animals", "embeddingConfig": embeddings.to_string(), "vectorStoreConfig": database.to_string() },
            { "id": "8f4", "name": "empty", "embeddingConfig": null, "vectorStoreConfig": null },
        ],
        "DocumentStoreFileChunk": [chunk(1, "owls hoot"), chunk(2, "cows moo"), chunk(3, "cows graze")],
    });
    DocumentStores::read(&[(PathBuf::from("all.json"), text.to_string())]).unwrap()
}

/// The example with a node of that kind for its documents or its vectors.
fn with(id: &str, kind: &str, chosen: &str) -> Value {
    let mut export = retrieval_qa();
    for node in export["nodes"].as_array_mut().unwrap().iter_mut().filter(|node| node["id"] == id) {
        node["data"]["name"] = kind.into();
        node["data"]["inputs"] = json!({ "selectedStore": chosen });
    }
    export
}

fn search(chosen: &str) -> Value {
    with("memoryVectorStore_0", "documentStoreVS", chosen)
}

fn problem(export: &Value, stores: &Arc<DocumentStores>) -> String {
    load_with(export, stores).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn sources(export: &Value, stores: &Arc<DocumentStores>) -> Result<Vec<Value>, String> {
    let flow = load_with(export, stores).unwrap();
    let (reply, _) = Stage::new().ask(&flow, &json!({ "question": "cows", "chatId": "c" }));
    let fields = reply.map_err(|failure| failure.to_string())?.fields;
    Ok(fields["sourceDocuments"].as_array().unwrap().clone())
}

#[test]
fn a_store_is_searched_as_its_database_was_told_and_embedded_once_for_all_flows() {
    let stores = export(&json!({ "name": "qdrant", "config": { "qdrantServerUrl": "http://gone:6333", "topK": "2",
        "qdrantSimilarity": "Cosine", "qdrantFilter": "{}" } }));
    asked();
    for _ in 0..2 {
        let found = sources(&search("7f3"), &stores).unwrap();
        assert_eq!(found.len(), 2);
        let first = json!({ "pageContent": "cows moo", "metadata": { "n": 1, "docId": "loader" } });
        assert_eq!(found[0], first);
    }
    let passages = asked().into_iter().filter(|asked| asked["input"].is_array()).count();
    assert_eq!(passages, 1);
}

#[test]
fn a_loader_gives_passages_as_they_are() {
    let found = sources(&with("plainText_0", "documentStore", "7f3"), &export(&json!({ "name": "faiss" }))).unwrap();
    assert_eq!((found.len(), &found[0]["metadata"]), (2, &json!({ "n": 1 })));
}

#[test]
fn a_store_that_is_not_there_is_missing_and_none_chosen_is_nothing() {
    let none = Arc::default();
    for export in [search("7f3"), with("plainText_0", "documentStore", "7f3")] {
        let flow = load_with(&export, &none).unwrap();
        assert_eq!(flow.missing[0].need, Need::Store { name: Some("7f3".to_owned()) });
        assert_eq!(sources(&export, &none).unwrap_err(), "The document store \"7f3\" is not there.");
    }
    let unchosen = with("plainText_0", "documentStore", "");
    assert_eq!(load_with(&unchosen, &none).unwrap().missing[0].need, Need::Store { name: None });
    assert_eq!(sources(&unchosen, &none), Ok(Vec::new()));
    assert_eq!(load_with(&search(""), &none).unwrap().missing[0].need.to_string(), "selectedStore");
}

#[test]
fn what_would_find_other_passages_is_refused() {
    for (database, why) in [
        (
            json!({ "name": "faiss", "config": { "metadataFilter": { "must": [] } } }),
            "input metadataFilter of faiss: the engine searches by similarity alone",
        ),
        (
            json!({ "name": "qdrant", "config": { "qdrantSimilarity": "Manhattan" } }),
            "input qdrantSimilarity of qdrant: the engine does not know the measure Manhattan",
        ),
        (
            json!({ "name": "qdrant", "config": { "topK": "many" } }),
            "input topK of qdrant: expected a number of passages",
        ),
        (json!({ "name": "vectara" }), "the engine cannot search as vectara does"),
    ] {
        let expected = format!("input selectedStore: the document store \"animals\": {why}");
        let told = problem(&search("7f3"), &export(&database));
        assert!(told.contains(&expected), "{told}");
    }
    let told = problem(&search("8f4"), &export(&json!({ "name": "faiss" })));
    assert!(told.contains("the document store \"empty\" has no embeddings: nobody upserted it in Flowise"), "{told}");
}

#[test]
fn nearness_is_the_databases() {
    let nearness = |name: &str, config: Value| {
        let Value::Object(config) = config else { panic!() };
        way(&Component { name: name.to_owned(), config }).unwrap()
    };
    assert_eq!(nearness("pinecone", json!({})), (Similarity::Cosine, MOST));
    assert_eq!(nearness("chroma", json!({ "topK": 7 })), (Similarity::Distance, 7));
    assert_eq!(
        nearness("postgres", json!({ "distanceStrategy": "innerProduct", "topK": "" })),
        (Similarity::Product, MOST)
    );
    assert_eq!(nearness("elasticsearch", json!({ "similarity": "cosine" })), (Similarity::Cosine, MOST));
}
