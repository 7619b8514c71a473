//! Expected: what Flowise 3.1.4's own nodes ask with the same answers of a model.

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{Predicted, flow, load, predict};

const MODEL: &str = "{{m_0.data.instance}}";

fn multi_prompt(answers: &[Value]) -> Predicted {
    let prompt = |name: &str, message: &str| json!({ "name": name, "description": format!("On {name}"), "systemMessage": message });
    let chain = json!({ "model": MODEL, "promptRetriever": ["{{a_0.data.instance}}", "{{b_0.data.instance}}"] });
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("a_0", "promptRetriever", prompt("physics", "You know physics. {\"a\": 1}")),
        ("b_0", "promptRetriever", prompt("math", "M {input}!")),
        ("c_0", "multiPromptChain", chain),
    ]);
    predict(&flow.unwrap(), &json!({ "question": "What is {x}?" }), answers)
}

fn said(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

#[test]
fn the_model_chooses_a_prompt_and_words_the_question() {
    let route = "```json\n{\"destination\":\"physics\",\"next_inputs\":{\"input\":\"better {q}\"}}\n```";
    let predicted = multi_prompt(&[route.into(), "an answer".into()]);
    let prompt = predicted.asked[0][0]["content"].as_str().unwrap();
    let start = "Given a raw text input to a language model, select the model prompt best suited for the input.";
    let form = "```json\n{\n  \"destination\": string // name of the question answering system to use or \"DEFAULT\" \
                (optional)\n  \"next_inputs\": {\n    \"input\": string // a potentially modified version of the original \
                input\n  } // input to be fed to the next model\n}\n```";
    let end =
        "<< CANDIDATE PROMPTS >>\nphysics: On physics\nmath: On math\n\n<< INPUT >>\nWhat is {x}?\n\n<< OUTPUT >>\n";
    assert!(prompt.starts_with(start) && prompt.contains(form) && prompt.ends_with(end), "{prompt}");
    assert_eq!(predicted.asked[1], said("You know physics. {\"a\": 1}\nHere is a question:\nbetter {q}\n"));
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("an answer".into()));
    // The first answer is not the client's.
    let tokens: String =
        predicted.events.iter().filter(|(name, _)| name == "token").map(|(_, token)| token.as_str().unwrap()).collect();
    assert_eq!(tokens, "an answer");
}

#[test]
fn without_a_destination_it_is_a_conversation() {
    let none = "The following is a friendly conversation between a human and an AI. The AI is talkative and provides lots of \
                specific details from its context. If the AI does not know the answer to a question, it truthfully says it \
                does not know.\n\nCurrent conversation:\n\nHuman: better\nAI:";
    for route in [
        "x ```\n{\"destination\":\"Default\",\"next_inputs\":{\"input\":\"better\"}}\n``` y",
        "{\"next_inputs\":{\"input\":\"better\"}}",
    ] {
        let predicted = multi_prompt(&[route.into(), "an answer".into()]);
        assert_eq!(predicted.asked[1], said(none), "{route}");
    }
}

#[test]
fn a_destination_that_is_none_and_an_answer_that_is_no_json_are_failures() {
    let failed = |route: &str| multi_prompt(&[route.into()]).reply.unwrap_err().to_string();
    let unknown = "Destination chem not found in destination chains with keys physics,math";
    assert_eq!(failed("{\"destination\":\"chem\",\"next_inputs\":{\"input\":\"q\"}}"), unknown);
    assert!(failed("no json").starts_with("Failed to parse. Text: \"no json\"."));
    assert!(failed("{\"destination\":\"math\"}").starts_with("Failed to parse."));
    let flow = flow(&[("m_0", "testModel", json!({})), ("c_0", "multiPromptChain", json!({ "model": MODEL }))]);
    assert!(flow.unwrap_err().contains("input promptRetriever: expected retrievers"));
}

/// A flow with two stores, of which the chain takes a store or a way to it.
fn stores(chain: &str, inputs: &Value) -> Value {
    let node = |id: &str, name: &str, output: &str, inputs: Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs, "outputs": { "output": output } } });
    let store = |id: &str, text: &str| {
        let document = format!("{{{{t_{id}.data.instance}}}}");
        let more = json!({ "document": [document], "embeddings": "{{e_0.data.instance}}", "topK": "1" });
        let way = json!({ "name": id, "description": format!("About {id}"), "vectorStore": format!("{{{{{id}.data.instance}}}}") });
        [
            node(&format!("t_{id}"), "plainText", "document", json!({ "text": text })),
            node(id, "memoryVectorStore", "vectorStore", more),
            node(&format!("w_{id}"), "vectorStoreRetriever", "retriever", way),
        ]
    };
    let mut nodes = vec![node("m_0", "testModel", "", json!({})), node("e_0", "stubEmbeddings", "", json!({}))];
    nodes.extend(store("a", "Apples grow."));
    nodes.extend(store("b", "Bears sleep."));
    nodes.push(node("c_0", chain, "", inputs.clone()));
    let edge = |source: &str, target: &str| json!({ "source": source, "target": target });
    let edges = [
        edge("m_0", "c_0"),
        edge("e_0", "a"),
        edge("e_0", "b"),
        edge("t_a", "a"),
        edge("t_b", "b"),
        edge("a", "w_a"),
        edge("b", "w_b"),
        edge("w_a", "c_0"),
        edge("w_b", "c_0"),
    ];
    json!({ "nodes": nodes, "edges": edges })
}

#[test]
fn the_model_chooses_documents() {
    let ways = json!(["{{w_a.data.instance}}", "{{w_b.data.instance}}"]);
    let inputs = json!({ "model": MODEL, "vectorStoreRetriever": ways, "returnSourceDocuments": true });
    let flow = load(&stores("multiRetrievalQAChain", &inputs)).unwrap();
    let route = "```json\n{\"destination\":\"b\",\"next_inputs\":{\"query\":\"better\"}}\n```";
    let predicted = predict(&flow, &json!({ "question": "Q" }), &[route.into(), "an answer".into()]);
    let prompt = predicted.asked[0][0]["content"].as_str().unwrap();
    assert!(prompt.starts_with("Given a query to a question answering system, select the system"), "{prompt}");
    assert!(prompt.contains("\"query\": string") && prompt.contains("a: About a\nb: About b\n"), "{prompt}");
    let system = "Use the following pieces of context to answer the users question. \nIf you don't know the answer, just say \
                  that you don't know, don't try to make up an answer.\n----------------\nBears sleep.";
    let told = json!([{ "role": "system", "content": system }, { "role": "user", "content": "better" }]);
    assert_eq!(predicted.asked[1], told);
    let reply = predicted.reply.unwrap();
    assert_eq!(reply.said, ReplyContent::Text("an answer".into()));
    assert_eq!(reply.fields["sourceDocuments"][0]["pageContent"], "Bears sleep.");
    // Where the model chooses none, Flowise has no text to answer with.
    let route = "{\"destination\":\"DEFAULT\",\"next_inputs\":{\"query\":\"better\"}}";
    let predicted = predict(&flow, &json!({ "question": "Q" }), &[route.into(), "an answer".into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("an answer".into()));
}

#[test]
fn a_store_may_be_asked_as_it_is() {
    let inputs = json!({ "model": MODEL, "vectorStore": "{{a.data.instance}}" });
    let mut export = stores("vectorDBQAChain", &inputs);
    export["edges"].as_array_mut().unwrap().push(json!({ "source": "a", "target": "c_0" }));
    let predicted = predict(&load(&export).unwrap(), &json!({ "question": "Q" }), &["an answer".into()]);
    assert!(predicted.asked[0][0]["content"].as_str().unwrap().ends_with("----------------\nApples grow."));
    assert_eq!(predicted.asked[0][1], json!({ "role": "user", "content": "Q" }));
}

/// Expected: what Flowise's chain makes of a store that has neither name nor description.
#[test]
fn a_store_without_a_name_is_a_way() {
    let inputs = json!({ "model": MODEL, "vectorStoreRetriever": ["{{a.data.instance}}"] });
    let mut export = stores("multiRetrievalQAChain", &inputs);
    export["edges"].as_array_mut().unwrap().push(json!({ "source": "a", "target": "c_0" }));
    for output in ["vectorStore", "retriever"] {
        for node in export["nodes"].as_array_mut().unwrap().iter_mut().filter(|node| node["id"] == "a") {
            node["data"]["outputs"] = json!({ "output": output });
        }
        let route = "{\"destination\":\"undefined\",\"next_inputs\":{\"query\":\"better\"}}";
        let asked = json!({ "question": "Q" });
        let predicted = predict(&load(&export).unwrap(), &asked, &[route.into(), "an answer".into()]);
        assert!(predicted.asked[0][0]["content"].as_str().unwrap().contains("undefined: undefined\n"));
        assert!(predicted.asked[1][0]["content"].as_str().unwrap().ends_with("Apples grow."));
    }
}
