use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Stage, asked, inputs, load, load_beside, retrieval_qa};

fn node(export: &mut Value, id: &str, name: &str, inputs: &Value) {
    let nodes = export["nodes"].as_array_mut().unwrap();
    nodes.retain(|node| node["id"] != id);
    let data = json!({ "name": name, "label": name, "inputs": inputs, "outputs": { "output": "document" } });
    nodes.push(json!({ "id": id, "data": data }));
}

/// The example with one loader of another kind in its place.
fn with_loader(name: &str, inputs: &Value) -> Value {
    let mut export = retrieval_qa();
    node(&mut export, "plainText_0", name, inputs);
    export
}

fn sources(export: &Value, question: &str) -> Vec<Value> {
    let flow = load(export).unwrap();
    let (reply, _) = Stage::new().ask(&flow, &json!({ "question": question, "chatId": "c" }));
    reply.unwrap().fields["sourceDocuments"].as_array().unwrap().clone()
}

fn problems(export: &Value) -> String {
    let problems = load(export).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn files_in_the_export_are_found_again() {
    let uri = |text: &str| format!("data:text/csv;base64,{},filename:a.csv", STANDARD.encode(text));
    let csv = uri("animal,sound\nowl,hoots\ncow,moos\n");
    let found = sources(&with_loader("csvFile", &json!({ "csvFile": csv })), "what hoots?");
    assert_eq!(found[0]["pageContent"], "animal: owl\nsound: hoots");
    assert_eq!(found[0]["metadata"], json!({ "source": "blob", "blobType": "", "line": 1 }));
    let json = uri(r#"[{"id":"a","text":"owls hoot"},{"id":"b","text":"cows moo"}]"#);
    let wanted = json!({ "jsonFile": json, "pointersName": "text", "metadata": { "key": "/id" } });
    let found = sources(&with_loader("jsonFile", &wanted), "cows");
    assert_eq!((&found[0]["pageContent"], &found[0]["metadata"]["key"]), (&json!("cows moo"), &json!("b")));
    let broken = with_loader("jsonFile", &json!({ "jsonFile": uri("{") }));
    assert!(problems(&broken).contains("node \"jsonFile\" (jsonFile), input jsonFile: no valid JSON"));
}

#[test]
fn faiss_is_an_index_in_memory_and_needs_its_documents() {
    let mut export = retrieval_qa();
    let store = json!({
        "document": ["{{plainText_0.data.instance}}"],
        "embeddings": "{{openAIEmbeddings_0.data.instance}}",
        "basePath": "C:\\Users\\index",
        "topK": "1",
    });
    node(&mut export, "memoryVectorStore_0", "faiss", &store);
    let found = sources(&export, "Otters sleep while holding hands so that the river does not carry them apart?");
    assert_eq!(found.len(), 1);
    assert!(found[0]["pageContent"].as_str().unwrap().starts_with("Otters"));
    inputs(&mut export, "memoryVectorStore_0")["document"] = json!("");
    let needs: Vec<String> = load(&export).unwrap().missing.iter().map(|missing| missing.need.to_string()).collect();
    assert!(needs.contains(&"documents connected to document".to_owned()), "{needs:?}");
}

#[test]
fn passages_of_a_saved_faiss_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let saved = json!([[["7a", { "pageContent": "owls hoot", "metadata": { "a": 1 } }]], { "0": "7a" }]);
    std::fs::write(folder.path().join("docstore.json"), saved.to_string()).unwrap();
    let mut export = retrieval_qa();
    let store = json!({ "embeddings": "{{openAIEmbeddings_0.data.instance}}", "basePath": "/root/.flowise/index" });
    node(&mut export, "memoryVectorStore_0", "faiss", &store);
    let flow = load_beside(folder.path(), &export).unwrap();
    assert_eq!(flow.missing, []);
    let (reply, _) = Stage::new().ask(&flow, &json!({ "question": "owls?", "chatId": "c" }));
    let found = json!([{ "pageContent": "owls hoot", "metadata": { "a": 1 } }]);
    assert_eq!(reply.unwrap().fields["sourceDocuments"], found);
    std::fs::write(folder.path().join("docstore.json"), "{}").unwrap();
    let problems = load_beside(folder.path(), &export).err().unwrap_or_default();
    assert!(problems.iter().any(|problem| problem.to_string().contains("holds no passages")), "{problems:?}");
}

#[test]
fn a_flow_without_its_file_is_loaded_and_says_what_it_lacks() {
    let flow = load(&with_loader("textFile", &json!({ "txtFile": "", "metadata": "" }))).unwrap();
    let missing: Vec<_> = flow.missing.iter().map(|missing| missing.need.to_string()).collect();
    assert_eq!(missing, ["a file in txtFile"]);
    let stage = Stage::new();
    let ask = |body: Value| stage.ask(&flow, &body).0;
    let failure = ask(json!({ "question": "q", "chatId": "c" })).unwrap_err();
    let told = "textFile: no file is chosen: choose it in Flowise's editor, and export the flow again";
    assert!(failure.to_string().contains(told), "{failure}");
    let file = "data:text/plain;base64,b3dscyBob290";
    let reply = ask(json!({ "question": "q", "chatId": "c", "overrideConfig": { "txtFile": file } })).unwrap();
    assert_eq!(reply.fields["sourceDocuments"][0]["pageContent"], "owls hoot");
    let stored = with_loader("textFile", &json!({ "txtFile": "FILE-STORAGE::[\"handbook.txt\"]" }));
    let problem = problems(&stored);
    assert!(problem.contains("input txtFile: the file \"handbook.txt\" is not in the export"), "{problem}");
}

#[test]
fn nothing_is_embedded_where_there_is_nothing() {
    assert_eq!(sources(&with_loader("documentStore", &json!({ "selectedStore": "" })), "q"), Vec::<Value>::new());
    assert!(asked().iter().all(|asked| asked["input"].is_null()));
}

#[test]
fn passages_may_be_cut_by_tokens() {
    let refused = |inputs: Value| problems(&with_loader("tokenTextSplitter", &inputs));
    assert!(refused(json!({ "encodingName": "o200k_base" })).contains("input encodingName: expected gpt2, r50k_base"));
    assert!(refused(json!({ "chunkSize": "4", "chunkOverlap": "4" })).contains("chunkOverlap >= chunkSize"));
    let mut export = retrieval_qa();
    node(
        &mut export,
        "recursiveCharacterTextSplitter_0",
        "tokenTextSplitter",
        &json!({ "chunkSize": 4, "chunkOverlap": "0" }),
    );
    sources(&export, "q");
    let embedded = asked().into_iter().find_map(|asked| asked["input"].as_array().cloned()).unwrap();
    let first: String = embedded.iter().take(2).filter_map(Value::as_str).collect();
    assert!(embedded.len() > 10 && first.starts_with("The Aurora gateway"), "{first}");
}

#[test]
fn documents_and_what_is_found_can_be_values_of_a_prompt() {
    let mut export = retrieval_qa();
    for (id, output) in [("plainText_0", "document"), ("memoryVectorStore_0", "vectorStore")] {
        let nodes = export["nodes"].as_array_mut().unwrap().iter_mut();
        nodes.filter(|node| node["id"] == id).for_each(|node| node["data"]["outputs"]["output"] = json!(output));
    }
    let look = json!({ "vectorStore": "{{memoryVectorStore_0.data.instance}}", "query": "otters {{question}}" });
    node(&mut export, "look_0", "vectorStoreToDocument", &look);
    node(&mut export, "plain_0", "plainText", &json!({ "text": "one" }));
    let nodes = export["nodes"].as_array_mut().unwrap();
    for node in nodes.iter_mut().filter(|node| node["id"] == "look_0" || node["id"] == "plain_0") {
        node["data"]["outputs"]["output"] = json!("text");
    }
    let values = json!({ "found": "{{look_0.data.instance}}", "given": "{{plain_0.data.instance}}" });
    node(
        &mut export,
        "prompt_0",
        "promptTemplate",
        &json!({ "template": "{given}|{found}|{q}", "promptValues": values }),
    );
    let model = "{{chatOpenAI_0.data.instance}}";
    node(&mut export, "chain_0", "llmChain", &json!({ "model": model, "prompt": "{{prompt_0.data.instance}}" }));
    let nodes = export["nodes"].as_array_mut().unwrap();
    nodes.retain(|node| node["id"] != "conversationalRetrievalQAChain_0");
    export["edges"] = json!([
        { "source": "chatOpenAI_0", "target": "chain_0" },
        { "source": "recursiveCharacterTextSplitter_0", "target": "plainText_0" },
        { "source": "bufferMemory_0", "target": "chain_0" },
    ]);
    let flow = load(&export).unwrap();
    let (reply, _) = Stage::new().ask(&flow, &json!({ "question": "hands", "chatId": "c" }));
    reply.unwrap();
    let asked = asked();
    assert_eq!(asked[1]["input"], "otters hands");
    let content = asked[2]["messages"][0]["content"].as_str().unwrap();
    assert!(content.starts_with("one\n|Otters sleep") && content.ends_with("\n|hands"), "{content}");
}
