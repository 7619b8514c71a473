//! Expected: what `LlamaIndex`'s library asks for Flowise 3.1.4's own nodes, with the same answers of a model.

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{Predicted, flow, predictions};

const MODEL: &str = "{{m_0.data.instance}}";
const STORE: &str = "{{s_0.data.instance}}";

fn ask(nodes: &[(&str, &str, Value)], question: &str, answers: &[&str]) -> Predicted {
    let mut all = vec![("m_0", "testModel", json!({})), ("s_0", "twoDocuments", json!({ "model": MODEL }))];
    all.extend_from_slice(nodes);
    let answers: Vec<Value> = answers.iter().map(|answer| Value::from(*answer)).collect();
    predictions(&flow(&all).unwrap(), &[(json!({ "question": question }), answers)]).pop().unwrap()
}

fn said(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

fn question(context: &str, query: &str) -> Value {
    said(&format!(
        "Context information is below.\n---------------------\n{context}\n---------------------\nGiven the context \
         information and not prior knowledge, answer the query.\nQuery: {query}\nAnswer:"
    ))
}

fn tokens(predicted: &Predicted) -> String {
    let tokens = predicted.events.iter().filter(|(name, _)| name == "token");
    tokens.map(|(_, token)| token.as_str().unwrap()).collect()
}

#[test]
fn a_query_is_answered_from_all_that_is_found_or_one_by_one() {
    let engine = |synthesizer: &str| json!({ "vectorStoreRetriever": STORE, "responseSynthesizer": synthesizer, "returnSourceDocuments": true });
    let predicted = ask(&[("q_0", "queryEngine", engine(""))], "Q", &["an answer"]);
    assert_eq!(predicted.asked, [question("Doc {one}\n\nDoc two", "Q")]);
    let sources = json!([
        { "pageContent": "Doc {one}", "metadata": { "s": 1 } }, { "pageContent": "Doc two", "metadata": {} },
    ]);
    let reply = predicted.reply.unwrap();
    assert_eq!((&reply.said, &reply.fields["sourceDocuments"]), (&ReplyContent::Text("an answer".into()), &sources));

    let prompts =
        json!({ "textQAPrompt": "T {context} | {query}", "refinePrompt": "R {query} {existingAnswer} {context}" });
    let with = |kind: &'static str, prompts: Value| {
        [("r_0", kind, prompts), ("q_0", "queryEngine", engine("{{r_0.data.instance}}"))]
    };
    let predicted = ask(&with("refineLlamaIndex", prompts.clone()), "Q $& {context}", &["a1 x", "a2 y"]);
    let asked = [said("T Doc {one} | Q $& {context}"), said("R Q $& {context} a1 x Doc two")];
    assert_eq!((predicted.asked.as_slice(), tokens(&predicted).as_str()), (&asked[..], "a2 y"));
    let predicted = ask(&with("compactrefineLlamaIndex", prompts), "Q", &["a1"]);
    assert_eq!(predicted.asked, [said("T Doc {one}\n\nDoc two | Q")]);
    let predicted = ask(&with("treeSummarizeLlamaIndex", json!({ "prompt": "S {context} | {query}" })), "Q", &["a1"]);
    assert_eq!(predicted.asked, [said("S Doc {one}\n\nDoc two | Q")]);
    let predicted = ask(&with("simpleResponseBuilderLlamaIndex", json!({})), "Q", &["a1"]);
    assert_eq!(predicted.asked, [question("Doc {one}\n\nDoc two", "Q")]);
}

#[test]
fn a_query_is_taken_apart() {
    let nodes = [
        ("e_0", "queryEngine", json!({ "vectorStoreRetriever": STORE })),
        (
            "t_0",
            "queryEngineToolLlamaIndex",
            json!({ "baseQueryEngine": "{{e_0.data.instance}}", "toolName": "apple", "toolDesc": "About \"apple\"" }),
        ),
        (
            "t_1",
            "queryEngineToolLlamaIndex",
            json!({ "baseQueryEngine": "{{e_0.data.instance}}", "toolName": "tesla", "toolDesc": "About tesla" }),
        ),
        (
            "q_0",
            "subQuestionQueryEngine",
            json!({
                "model": MODEL, "queryEngineTools": ["{{t_0.data.instance}}", "{{t_1.data.instance}}"],
                "returnSourceDocuments": true,
            }),
        ),
    ];
    let apart = "```json\n[{\"subQuestion\":\"SQ1\",\"toolName\":\"apple\"},{\"subQuestion\":\"SQ2\",\"toolName\":\"nobody\"}]\n```";
    let predicted = ask(&nodes, "Q", &[apart, "A1", "the end"]);
    let prompt = predicted.asked[0][0]["content"].as_str().unwrap();
    let start = "Given a user question, and a list of tools, output a list of relevant sub-questions that when composed \
                 can help answer the full user question:\n\n# Example 1\n<Tools>\n```json\n{\n    \"uber_10k\": ";
    let end = "# Example 2\n<Tools>\n```json\n{\n    \"apple\": \"About \\\"apple\\\"\",\n    \"tesla\": \"About \
               tesla\"\n}\n```\n\n<User Question>\nQ\n\n<Output>\n";
    assert!(prompt.starts_with(start) && prompt.ends_with(end), "{prompt}");
    assert_eq!(predicted.asked[1], question("Doc {one}\n\nDoc two", "SQ1"));
    assert_eq!(predicted.asked[2], question("Sub question: SQ1\nResponse: A1", "Q"));
    assert_eq!(tokens(&predicted), "the end");
    let sources = &predicted.reply.unwrap().fields["sourceDocuments"];
    assert_eq!(*sources, json!([{ "pageContent": "Sub question: SQ1\nResponse: A1", "metadata": {} }]));
    assert!(ask(&nodes, "Q", &["no list"]).reply.is_err());
}

#[test]
fn a_chat_has_documents_before_its_turns_or_none() {
    let chat = |documents: &str| {
        json!({
            "model": MODEL, "memory": "{{mem_0.data.instance}}", "systemMessagePrompt": "Sys {x}",
            "vectorStoreRetriever": documents,
        })
    };
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let memory = ("mem_0", "bufferMemory", json!({}));
    let predicted = ask(&[memory.clone(), ("c_0", "contextChatEngine", chat(STORE))], "Q", &["fine"]);
    let context = "Context information is below.\n---------------------\nDoc {one}\n\nDoc two\n---------------------";
    assert_eq!(predicted.asked, [json!([turn("system", context), turn("user", "Sys {x}"), turn("user", "Q")])]);
    assert_eq!(predicted.reply.unwrap().fields.len(), 0);
    let simple = json!({ "model": MODEL, "memory": "{{mem_0.data.instance}}" });
    let predicted = ask(&[memory, ("c_0", "simpleChatEngine", simple)], "Q", &["fine"]);
    assert_eq!(predicted.asked, [json!([turn("user", "Q")])]);
}
