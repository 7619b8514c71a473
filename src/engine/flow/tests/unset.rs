//! Settings that an author left empty.

use serde_json::{Value, json};

use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{flow, load, predict};

const MODEL: &str = "{{m_0.data.instance}}";

fn needs(flow: &CompiledFlow) -> Vec<String> {
    flow.missing.iter().map(|missing| format!("{}: {}", missing.label, missing.need)).collect()
}

fn failure(flow: &CompiledFlow, body: &Value) -> String {
    predict(flow, body, &["an answer".into()]).reply.unwrap_err().to_string()
}

/// A chain that searches an index, of which nobody said the name.
fn searching(index: &str) -> Value {
    let node = |id: &str, kind: &str, inputs: Value, params: Value| json!({ "id": id, "data": { "name": kind, "label": format!("The {kind}"), "inputs": inputs, "inputParams": params } });
    let edge = |source: &str, target: &str| json!({ "source": source, "target": target });
    let index = json!({ "pineconeIndex": index, "embeddings": "{{e_0.data.instance}}" });
    let chain = json!({ "model": MODEL, "vectorStoreRetriever": "{{p_0.data.instance}}" });
    json!({
        "nodes": [
            node("m_0", "testModel", json!({}), json!([])),
            node("e_0", "openAIEmbeddings", json!({ "modelName": "e" }), json!([])),
            node("p_0", "pinecone", index, json!([{ "name": "pineconeIndex", "label": "Pinecone Index" }])),
            node("c_0", "conversationalRetrievalQAChain", chain, json!([])),
        ],
        "edges": [edge("m_0", "c_0"), edge("e_0", "p_0"), edge("p_0", "c_0")],
    })
}

#[test]
fn a_flow_with_an_empty_setting_is_loaded_and_fails_when_it_is_asked() {
    let told = "Nothing is set in Pinecone Index (pineconeIndex) of the node \"The pinecone\".";
    for empty in ["", " "] {
        let flow = load(&searching(empty)).unwrap();
        assert!(
            needs(&flow).contains(&"The pinecone: Pinecone Index (pineconeIndex)".to_owned()),
            "{:?}",
            needs(&flow)
        );
        assert_eq!(failure(&flow, &json!({ "question": "q" })), told);
    }
    // What else is wrong with it is told as before.
    let mut odd = searching("");
    odd["nodes"][2]["data"]["inputs"]["topK"] = "many".into();
    assert!(load(&odd).unwrap_err().contains("input topK: expected a number"));
}

#[test]
fn a_request_may_fill_in_what_is_empty() {
    let flow = load(&searching("")).unwrap();
    let body = json!({ "question": "q", "overrideConfig": { "pineconeIndex": { "p_0": "books" } } });
    assert_eq!(failure(&flow, &body), "The credential openAIApi is not configured.");
}

#[test]
fn only_the_way_that_leads_to_the_node_fails() {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "name": kind, "label": id, "inputs": inputs } });
    let edge = |source: &str, handle: &str, target: &str| json!({ "source": source, "target": target, "sourceHandle": format!("{source}-output-{handle}-string") });
    let prompt = |values: Value| json!({ "template": "{x} {q}", "promptValues": values });
    let chain = |prompt: &str| json!({ "model": MODEL, "prompt": format!("{{{{{prompt}.data.instance}}}}") });
    let flow = load(&json!({
        "nodes": [
            node("m_0", "testModel", json!({})),
            node("if_0", "ifElseFunction", json!({
                "functionInputVariables": "{\"q\":\"{{question}}\"}",
                "ifFunction": "return $q.includes('list')", "elseFunction": "return 'no'",
            })),
            node("f_0", "customFunction", json!({ "javascriptFunction": "" })),
            node("p_0", "promptTemplate", prompt(json!({ "x": "{{f_0.data.instance}}" }))),
            node("p_1", "promptTemplate", prompt(json!({ "x": "{{if_0.data.instance}}" }))),
            node("c_0", "llmChain", chain("p_0")),
            node("c_1", "llmChain", chain("p_1")),
        ],
        "edges": [
            edge("m_0", "m", "c_0"), edge("m_0", "m", "c_1"), edge("if_0", "returnTrue", "f_0"), edge("f_0", "f", "p_0"),
            edge("if_0", "returnFalse", "p_1"), edge("p_0", "p", "c_0"), edge("p_1", "p", "c_1"),
        ],
    }))
    .unwrap();
    let told = "Nothing is set in javascriptFunction of the node \"f_0\".";
    assert_eq!(failure(&flow, &json!({ "question": "list them" })), told);
    let answered = predict(&flow, &json!({ "question": "hello" }), &["an answer".into()]);
    assert!(answered.reply.is_ok(), "{:?}", answered.reply);
}

#[test]
fn whatever_refers_to_the_node_fails_as_it_does() {
    let agent = |tools: &[&str]| {
        let tools: Vec<String> = tools.iter().map(|tool| format!("{{{{{tool}.data.instance}}}}")).collect();
        json!({ "model": MODEL, "memory": "{{b_0.data.instance}}", "tools": tools })
    };
    let with = |kind: &str| {
        let nodes = [
            ("m_0", "testModel", json!({})),
            ("b_0", "bufferMemory", json!({})),
            ("c_0", "calculator", json!({})),
            ("t_0", kind, json!({})),
            ("a_0", "toolAgent", agent(&["c_0", "t_0"])),
        ];
        flow(&nodes).unwrap()
    };
    for (kind, field) in [
        ("requestsGet", "requestsGetUrl"),
        ("openAPIToolkit", "openApiFile"),
        ("customTool", "selectedTool"),
        ("ChatflowTool", "selectedChatflow"),
        ("customMCP", "mcpServerConfig"),
        ("searXNG", "apiBase"),
        ("jsonPathExtractor", "path"),
        ("composio", "appName"),
    ] {
        let flow = with(kind);
        assert!(needs(&flow).contains(&format!("t_0: {field}")), "{:?}", needs(&flow));
        let told = format!("Nothing is set in {field} of the node \"t_0\".");
        assert_eq!(failure(&flow, &json!({ "question": "q" })), told);
    }
    // What stands in its other settings is no matter then, and neither is what is no address at all.
    let left = |kind: &str, inputs: Value| {
        let nodes = [
            ("m_0", "testModel", json!({})),
            ("b_0", "bufferMemory", json!({})),
            ("t_0", kind, inputs),
            ("a_0", "toolAgent", agent(&["t_0"])),
        ];
        needs(&flow(&nodes).unwrap())
    };
    let spare =
        json!({ "requestsGetUrl": "your address", "requestsGetDescription": "x", "requestsGetMaxOutputLength": "9" });
    assert!(left("requestsGet", spare).contains(&"t_0: requestsGetUrl".to_owned()));
    assert!(left("jsonPathExtractor", json!({ "returnNullOnError": true })).contains(&"t_0: path".to_owned()));
    // What asks for several of something says no more of those that lack a setting.
    let way = json!({ "name": "books", "description": "on books", "vectorStore": "{{p_0.data.instance}}" });
    let several = [
        ("m_0", "testModel", json!({})),
        ("e_0", "openAIEmbeddings", json!({ "modelName": "e" })),
        ("p_0", "pinecone", json!({ "embeddings": "{{e_0.data.instance}}" })),
        ("r_0", "vectorStoreRetriever", way),
        ("c_0", "multiRetrievalQAChain", json!({ "model": MODEL, "vectorStoreRetriever": ["{{r_0.data.instance}}"] })),
    ];
    let told = "Nothing is set in pineconeIndex of the node \"p_0\".";
    assert_eq!(failure(&flow(&several).unwrap(), &json!({ "question": "q" })), told);
    let parsed = |kind: &str, input: &str| {
        let chain =
            json!({ "model": MODEL, "prompt": "{{p_0.data.instance}}", "outputParser": "{{o_0.data.instance}}" });
        let nodes = [
            ("m_0", "testModel", json!({})),
            ("p_0", "promptTemplate", json!({ "template": "{q}" })),
            ("o_0", kind, json!({ "autofixParser": true, input: "" })),
            ("c_0", "llmChain", chain),
        ];
        assert!(needs(&flow(&nodes).unwrap()).contains(&format!("o_0: {input}")), "{kind}");
    };
    parsed("structuredOutputParser", "jsonStructure");
    parsed("advancedStructuredOutputParser", "exampleJson");
    let model = [
        ("m_0", "chatMistralAI", json!({ "temperature": "0.5", "modelName": "" })),
        ("p_0", "promptTemplate", json!({ "template": "{q}" })),
        ("c_0", "llmChain", json!({ "model": MODEL, "prompt": "{{p_0.data.instance}}" })),
    ];
    assert!(needs(&flow(&model).unwrap()).contains(&"m_0: modelName".to_owned()));
    // What is not connected is no setting.
    let unconnected = flow(&[("c_0", "conversationChain", json!({}))]).unwrap_err();
    assert!(unconnected.contains("a chat model is required"), "{unconnected}");
}

#[test]
fn an_index_without_documents_wants_them_connected() {
    let index = json!({ "embeddings": "{{e_0.data.instance}}" });
    let chain = json!({ "model": MODEL, "vectorStoreRetriever": "{{f_0.data.instance}}" });
    let nodes = [
        ("m_0", "testModel", json!({})),
        ("e_0", "openAIEmbeddings", json!({ "modelName": "e" })),
        ("f_0", "faiss", index),
        ("c_0", "conversationalRetrievalQAChain", chain),
    ];
    let told = "Nothing is connected to document of the node \"f_0\".";
    assert_eq!(failure(&flow(&nodes).unwrap(), &json!({ "question": "q" })), told);
}
