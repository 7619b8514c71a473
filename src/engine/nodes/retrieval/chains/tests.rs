use serde_json::json;

use super::super::testing::{Stage, asked, inputs, load, retrieval_qa};
use super::*;

const TRANSCRIPT: &str = include_str!("../../../../../tests/flowise/wire/10-retrieval-qa.txt");

/// What the recorded model and embeddings were asked, as far as it is the flow's doing.
fn recorded() -> Vec<Value> {
    let blocks = TRANSCRIPT.split("\n{\n").skip(1).map(|rest| rest.split("\n}\n").next().unwrap());
    let requests = blocks.map(|block| serde_json::from_str::<Value>(&format!("{{{block}}}")).unwrap());
    requests
        .map(|request| match request.get("messages") {
            Some(messages) => json!({ "messages": messages }),
            None => json!({ "input": request["input"] }),
        })
        .collect()
}

/// The recorded answer in one piece.
fn recorded_answer() -> Value {
    let line = TRANSCRIPT.lines().find(|line| line.starts_with("{\"text\":")).unwrap();
    serde_json::from_str(line).unwrap()
}

/// The recorded events, as far as the chain tells them.
fn recorded_events(named: &[&str]) -> Vec<Value> {
    let lines = TRANSCRIPT.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| named.contains(&event["event"].as_str().unwrap())).collect()
}

#[test]
fn questions_and_answers_are_the_recorded_ones() {
    let (stage, flow) = (Stage::new(), load(&retrieval_qa()).unwrap());
    let first = json!({ "question": "On which port does the Aurora gateway listen?", "chatId": "c" });
    let (reply, _) = stage.ask(&flow, &first);
    let reply = reply.unwrap();
    let answer = recorded_answer();
    assert_eq!(reply.said.into_text(), answer["text"]);
    assert_eq!(reply.fields["sourceDocuments"], answer["sourceDocuments"]);
    assert_eq!(reply.memory.as_deref(), answer["memoryType"].as_str());

    let second = json!({ "question": "And the warranty of the Borealis kettle?", "chatId": "c", "streaming": true });
    let (reply, events) = stage.ask(&flow, &second);
    let told: Vec<Value> = events
        .split("\n\n")
        .filter_map(|record| record.strip_prefix("message:\ndata:"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told, recorded_events(&["start", "token"]));
    assert_eq!(reply.unwrap().fields["sourceDocuments"], recorded_events(&["sourceDocuments"])[0]["data"]);

    let mut recorded = recorded();
    assert_eq!(recorded.len(), 7);
    // Flowise embeds the documents again for every prediction.
    assert_eq!(recorded.remove(3), recorded[0]);
    assert_eq!(asked(), recorded);
}

#[test]
fn prompts_are_flowises_where_the_author_wrote_none() {
    let mut export = retrieval_qa();
    let written = inputs(&mut export, "conversationalRetrievalQAChain_0").clone();
    assert_eq!(prompts::REPHRASE, written["rephrasePrompt"]);
    assert_eq!(prompts::RESPONSE, written["responsePrompt"]);
}

#[test]
fn it_remembers_without_a_memory_and_tells_no_sources_unasked() {
    let mut export = retrieval_qa();
    let chain = inputs(&mut export, "conversationalRetrievalQAChain_0");
    (chain["memory"], chain["returnSourceDocuments"]) = (json!(""), json!(""));
    chain["systemMessagePrompt"] = json!("Be brief.");
    export["nodes"].as_array_mut().unwrap().retain(|node| node["id"] != "bufferMemory_0");
    let (stage, flow) = (Stage::new(), load(&export).unwrap());
    for question in ["a {b}", "c"] {
        let (reply, _) = stage.ask(&flow, &json!({ "question": question, "chatId": "c" }));
        let reply = reply.unwrap();
        assert_eq!((reply.fields.len(), reply.memory), (0, None));
    }
    let asked = asked();
    let last = asked.last().unwrap()["messages"].as_array().unwrap();
    let system = last[0]["content"].as_str().unwrap();
    assert!(system.starts_with("Be brief.\nUse the following pieces of context"), "{system}");
    assert!(system.ends_with("Question: c\nHelpful Answer:"), "{system}");
    assert_eq!(last[1], json!({ "role": "user", "content": "a {b}" }));
    assert_eq!(last.len(), 4);
}

#[test]
fn its_prompts_know_variables() {
    let mut export = retrieval_qa();
    let chain = inputs(&mut export, "conversationalRetrievalQAChain_0");
    chain["responsePrompt"] = json!("{context} for {{$vars.user}}");
    chain["rephrasePrompt"] = json!("{chat_history} {question} in {{$flow.chatId}}");
    let (stage, flow) = (Stage::new(), load(&export).unwrap());
    let body = json!({ "question": "q", "chatId": "c", "overrideConfig": { "vars": { "user": "Ann" } } });
    stage.ask(&flow, &body).0.unwrap();
    stage.ask(&flow, &body).0.unwrap();
    let told: Vec<String> =
        asked().iter().filter_map(|asked| asked["messages"][0]["content"].as_str().map(str::to_owned)).collect();
    assert!(told[0].ends_with(" for Ann") && told[1].ends_with(" q in c"), "{told:?}");
}

#[test]
fn it_stores_the_question_without_its_files_and_what_moderation_said() {
    let mut export = retrieval_qa();
    inputs(&mut export, "conversationalRetrievalQAChain_0")["inputModeration"] = json!(["{{mod_0.data.instance}}"]);
    let inputs = json!({ "denyList": "secret", "moderationErrorMessage": "No." });
    let data = json!({ "id": "mod_0", "name": "inputModerationSimple", "label": "Moderation", "inputs": inputs });
    export["nodes"].as_array_mut().unwrap().push(json!({ "id": "mod_0", "data": data }));
    export["edges"].as_array_mut().unwrap().push(json!({
        "source": "mod_0", "sourceHandle": "mod_0-output-x", "target": "conversationalRetrievalQAChain_0", "targetHandle": "x",
    }));
    let (stage, flow) = (Stage::new(), load(&export).unwrap());
    let file = json!({ "type": "file:full", "name": "a.txt", "mime": "text/plain", "data": "words of a file" });
    for body in [
        json!({ "question": "one", "chatId": "c", "uploads": [file] }),
        json!({ "question": "a secret", "chatId": "c" }),
        json!({ "question": "two", "chatId": "c" }),
    ] {
        stage.ask(&flow, &body).0.unwrap();
    }
    let last = asked().pop().unwrap()["messages"].take();
    let told: Vec<&str> = last.as_array().unwrap().iter().filter_map(|turn| turn["content"].as_str()).skip(1).collect();
    let answered = "Stub answer to: <doc name='a.txt'>words of a file</doc>\n\n\n\none";
    assert_eq!(told, ["one", answered, "a secret", "No.", "two"]);
}

#[test]
fn the_index_is_shared_until_a_request_overrides_what_it_is_made_of() {
    let (stage, flow) = (Stage::new(), load(&retrieval_qa()).unwrap());
    let embedded = |overrides: Value| {
        let body = json!({ "question": "q", "chatId": "c", "overrideConfig": overrides });
        let found = stage.ask(&flow, &body).0.unwrap().fields["sourceDocuments"].as_array().unwrap().len();
        (found, asked().iter().any(|asked| asked["input"].is_array()))
    };
    assert_eq!(embedded(json!({})), (2, true));
    assert_eq!(embedded(json!({})), (2, false));
    assert_eq!(embedded(json!({ "topK": 1 })), (1, false));
    assert_eq!(embedded(json!({ "text": "Other words." })), (1, true));
    assert_eq!(embedded(json!({ "text": "Other words." })), (1, false));
    assert_eq!(embedded(json!({ "chunkSize": 90 })), (2, true));
    assert_eq!(embedded(json!({})), (2, false));
}

#[test]
fn a_plain_chain_asks_with_the_passages_and_nothing_else() {
    let mut export = retrieval_qa();
    let chain = export["nodes"].as_array_mut().unwrap().iter_mut();
    for node in chain.filter(|node| node["id"] == "conversationalRetrievalQAChain_0") {
        node["data"]["name"] = json!("retrievalQAChain");
        let inputs = node["data"]["inputs"].as_object_mut().unwrap();
        inputs.retain(|name, _| ["model", "vectorStoreRetriever"].contains(&name.as_str()));
    }
    let (stage, flow) = (Stage::new(), load(&export).unwrap());
    let (reply, events) = stage.ask(&flow, &json!({ "question": "Otters {sleep}?", "chatId": "c" }));
    assert_eq!(reply.unwrap().fields.len(), 0);
    assert!(events.starts_with("message:\ndata:{\"event\":\"start\",\"data\":\"\"}\n\n"), "{events}");
    let asked = asked();
    let messages = asked.last().unwrap()["messages"].as_array().unwrap();
    let system = messages[0]["content"].as_str().unwrap();
    let start = "Use the following pieces of context to answer the users question. \nIf you don't know the answer, just \
                 say that you don't know, don't try to make up an answer.\n----------------\nOtters sleep while";
    assert!(system.starts_with(start) && system.contains("apart.\n\nThe "), "{system}");
    assert_eq!(messages[1..], [json!({ "role": "user", "content": "Otters {sleep}?" })]);
}

#[test]
fn what_cannot_be_run_is_refused_where_it_stands() {
    let refused = |id: &str, input: &str, value: Value| {
        let mut export = retrieval_qa();
        inputs(&mut export, id)[input] = value;
        let problems = load(&export).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let chain = "conversationalRetrievalQAChain_0";
    for (id, input, value, words) in [
        (chain, "responsePrompt", json!("{contxt}"), "no value for {contxt}, only for {context} and {question}"),
        (chain, "vectorStoreRetriever", json!(""), "a retriever is required"),
        (chain, "vectorStoreRetriever", json!("{{bufferMemory_0.data.instance}}"), "expected a retriever"),
        ("recursiveCharacterTextSplitter_0", "chunkOverlap", json!(0), "chunkOverlap >= chunkSize"),
        ("recursiveCharacterTextSplitter_0", "separators", json!("|"), "expected"),
        ("plainText_0", "metadata", json!("[1]"), "expected a JSON object"),
        ("memoryVectorStore_0", "document", json!(["{{bufferMemory_0.data.instance}}"]), "expected documents"),
        ("memoryVectorStore_0", "embeddings", json!(""), "embeddings are required"),
    ] {
        let problems = refused(id, input, value);
        assert!(problems.contains(&format!("input {input}: ")) && problems.contains(words), "{input}: {problems}");
    }
    assert_eq!(refused("recursiveCharacterTextSplitter_0", "chunkOverlap", json!("0")), "");
    // Of older versions.
    assert_eq!(refused(chain, "chainOption", json!("refine")), "");
}
