//! What the model is sent and what comes of it; expected is what Flowise 3.1.4 did (`tests/flowise/wire`, or its own
//! nodes run with a model that keeps what it hears).

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{Predicted, flow, load, predict, predictions};

/// An LLM chain with this prompt, and with these inputs of a parser.
fn chain(kind: &str, prompt: Value, parser: Option<(&str, Value)>) -> Vec<(&'static str, String, Value)> {
    let mut llm = json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" });
    let mut nodes = vec![("m_0", "testModel".to_owned(), json!({})), ("p_0", kind.to_owned(), prompt)];
    if let Some((kind, inputs)) = parser {
        llm["outputParser"] = "{{o_0.data.instance}}".into();
        nodes.push(("o_0", kind.to_owned(), inputs));
    }
    nodes.push(("llm_0", "llmChain".to_owned(), llm));
    nodes
}

fn run(nodes: &[(&'static str, String, Value)], body: &Value, answers: &[Value]) -> Predicted {
    let nodes: Vec<_> = nodes.iter().map(|(id, kind, inputs)| (*id, kind.as_str(), inputs.clone())).collect();
    predict(&flow(&nodes).unwrap(), body, answers)
}

fn prompted(template: &str, values: &Value, question: &str) -> Result<String, String> {
    let nodes = chain("promptTemplate", json!({ "template": template, "promptValues": values }), None);
    let predicted = run(&nodes, &json!({ "question": question }), &["ok".into()]);
    predicted.reply.map_err(|failure| failure.to_string())?;
    assert_eq!(predicted.asked.len(), 1);
    Ok(predicted.asked[0][0]["content"].as_str().unwrap().to_owned())
}

/// `wire/16` and `wire/36`.
#[test]
fn templates_are_filled_as_in_the_transcripts() {
    let given = json!({ "userId": "anonymous" });
    for (template, values, expected) in [
        ("json {{\"a\": \"{question}\"}} for {userId}", &given, Ok("json {\"a\": \"Q\"} for anonymous")),
        ("{question} {question} {userId}", &given, Err("Please provide Prompt Values for: question, question")),
        ("{anything}", &given, Ok("Q")),
        ("fixed text", &given, Ok("fixed text")),
        ("{\"a\": 1} {question}", &given, Ok("{\"a\": 1} Q")),
        ("{ question } {userId}", &given, Ok("Q anonymous")),
        ("{question} {userId}", &json!({ "userId": 5 }), Ok("Q 5")),
        ("{question} {userId}", &json!({ "userId": null }), Err("Please provide Prompt Values for: question, userId")),
        ("{question} {userId}", &json!({ "userId": { "id": 7 } }), Ok("Q {\"id\":7}")),
        ("{q} {z}", &json!({}), Err("Please provide Prompt Values for: q, z")),
        (
            "hi {{{question}}} {userId}",
            &given,
            Err("Please provide Prompt Values for: question, {question}, {{question}}"),
        ),
        ("T {question}", &json!({ "userId": "a", "question": "given" }), Ok("T given")),
    ] {
        assert_eq!(prompted(template, values, "Q"), expected.map(str::to_owned).map_err(str::to_owned), "{template}");
    }
    let told = prompted("for {userId}: {question}", &json!({ "userId": "{question} \"x\"" }), "say {userId} \\ back");
    assert_eq!(told.unwrap(), "for {question} \"x\": say {userId} \\ back");
}

#[test]
fn braces_that_cannot_be_filled_are_refused_in_flowise_s_words() {
    for (template, words) in [
        ("open { brace {question}", "Invalid prompt schema: (f-string) Missing value for input  brace {question"),
        ("close } brace {question}", "Invalid prompt schema: Single '}' in template."),
    ] {
        let nodes = chain("promptTemplate", json!({ "template": template }), None);
        let nodes: Vec<_> = nodes.iter().map(|(id, kind, inputs)| (*id, kind.as_str(), inputs.clone())).collect();
        let error = flow(&nodes).unwrap_err();
        assert_eq!(error, format!("node \"p_0\" (promptTemplate), input template: {words}"));
    }
}

/// `wire/02`, `wire/16` and `wire/17`, by the example flows.
#[test]
fn the_example_flows_ask_as_recorded() {
    let export = |text: &str| -> Value {
        serde_json::from_str(
            &text
                .replace("\"name\":\"chatOpenAI\"", "\"name\":\"testModel\"")
                .replace("\"name\": \"chatOpenAI\"", "\"name\": \"testModel\""),
        )
        .unwrap()
    };
    let only_image_input = |mut export: Value| {
        for node in export["nodes"].as_array_mut().unwrap() {
            if node["data"]["name"] == "testModel" {
                node["data"]["inputs"] = json!({ "allowImageUploads": node["data"]["inputs"]["allowImageUploads"] });
            }
        }
        export
    };
    let plain = only_image_input(export(include_str!("../../../../tests/flowise/flows/llm-chain.json")));
    let flow = load(&plain).unwrap();
    let predicted = predict(&flow, &json!({ "question": "Hi" }), &["ok".into()]);
    let asked = "You are an assistant for user: anonymous. Be brief.\n\nQuestion: Hi";
    assert_eq!(predicted.asked, [json!([{ "role": "user", "content": asked }])]);
    let with_values = json!({ "question": "Q1", "overrideConfig": { "promptValues": { "userId": "alice" } } });
    let predicted = predict(&flow, &with_values, &["ok".into()]);
    assert_eq!(predicted.asked[0][0]["content"], asked.replace("anonymous", "alice").replace("Hi", "Q1"));

    let file = json!({ "type": "file:full", "name": "a.txt", "mime": "text/plain", "data": "text of the file" });
    let predicted = predict(&flow, &json!({ "question": "Summarise", "uploads": [file] }), &["ok".into()]);
    let words = "<doc name='a.txt'>text of the file</doc>\n\n\n\nSummarise";
    assert_eq!(predicted.asked[0][0]["content"], asked.replace("Hi", words));

    let chat = only_image_input(export(include_str!("../../../../tests/flowise/flows/llm-chain-chat-prompt.json")));
    let flow = load(&chat).unwrap();
    let picture = json!({ "type": "file", "name": "a.png", "mime": "image/png", "data": "data:image/png;base64,AA==" });
    let predicted = predict(&flow, &json!({ "question": "Good morning", "uploads": [picture] }), &["ok".into()]);
    let content = json!([
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
        { "text": "Good morning", "type": "text" },
    ]);
    let system = json!({ "role": "system", "content": "You translate English to French." });
    assert_eq!(predicted.asked, [json!([system, { "role": "user", "content": content }])]);
}

/// `wire/09`.
#[test]
fn a_conversation_remembers_what_was_said() {
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferWindowMemory", json!({ "k": "1", "memoryKey": "chat_history", "sessionId": "fixed" })),
        (
            "conv_0",
            "conversationChain",
            json!({ "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "systemMessagePrompt": "S" }),
        ),
    ])
    .unwrap();
    let history = json!([{ "role": "userMessage", "content": "before" }]);
    let requests = [
        (json!({ "question": "one" }), vec!["ein".into()]),
        (json!({ "question": "{two}" }), vec!["zwei".into()]),
        (json!({ "question": "three", "history": history }), vec!["drei".into()]),
    ];
    let predicted = predictions(&flow, &requests);
    assert_eq!(predicted[0].reply.as_ref().unwrap().memory.as_deref(), Some("mem_0"));
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    assert_eq!(
        predicted[1].asked,
        [json!([turn("system", "S"), turn("user", "one"), turn("assistant", "ein"), turn("user", "{two}")])]
    );
    assert_eq!(
        predicted[2].asked,
        [json!([
            turn("system", "S"),
            turn("user", "before"),
            turn("user", "{two}"),
            turn("assistant", "zwei"),
            turn("user", "three"),
        ])]
    );
    // The node's session is nobody's.
    let other = json!({ "question": "four", "chatId": "other" });
    let requests = [(json!({ "question": "one" }), vec!["ein".into()]), (other, vec!["vier".into()])];
    assert_eq!(predictions(&flow, &requests)[1].asked, [json!([turn("system", "S"), turn("user", "four")])]);
}

#[test]
fn lists_are_asked_for_and_read() {
    let csv = || Some(("csvOutputParser", json!({ "autofixParser": true })));
    let words = "\nYour response should be a list of comma separated values, eg: `foo, bar, baz`";
    let question = json!({ "question": "Q" });
    let predicted =
        run(&chain("promptTemplate", json!({ "template": "A {q}" }), csv()), &question, &["a, b ,c".into()]);
    assert_eq!(predicted.asked, [json!([{ "role": "user", "content": format!("A Q{words}") }])]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Json(json!(["a", "b", "c"])));
    assert_eq!(predicted.events, []);

    let chat =
        json!({ "systemMessagePrompt": "S {x}", "humanMessagePrompt": "H {q}", "promptValues": "{\"x\":\"X\"}" });
    let predicted = run(&chain("chatPromptTemplate", chat, csv()), &question, &["a".into()]);
    let system = json!({ "role": "system", "content": format!("S X{words}") });
    assert_eq!(predicted.asked, [json!([system, { "role": "user", "content": "H Q" }])]);

    let predicted = run(&chain("promptTemplate", json!({ "template": "A" }), csv()), &question, &["a".into()]);
    assert_eq!(predicted.asked[0][0]["content"], format!("A{words}"));
}

#[test]
fn an_answer_that_cannot_be_read_is_mended_once() {
    let list =
        |mends| Some(("customListOutputParser", json!({ "length": "3", "separator": "|", "autofixParser": mends })));
    let words = "Your response should be a list of 3 items separated by \"|\" (eg: `foo| bar| baz`)";
    let error = "Incorrect number of items. Expected 3, got 2.";
    let question = json!({ "question": "Q" });
    let prompt = json!({ "template": "A {q}" });
    let predicted = run(&chain("promptTemplate", prompt.clone(), list(false)), &question, &["a|b".into()]);
    assert_eq!(predicted.asked[0][0]["content"], format!("A Q\n{words}"));
    assert_eq!(predicted.reply.unwrap_err().to_string(), error);

    let predicted = run(&chain("promptTemplate", prompt, list(true)), &question, &["a|b".into(), "a|b|c".into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Json(json!(["a", "b", "c"])));
    let rule = "--------------";
    let expected = format!(
        "Instructions:\n{rule}\n{words}\n{rule}\nCompletion:\n{rule}\na|b\n{rule}\n\nAbove, the Completion did not \
         satisfy the constraints given in the Instructions.\nError:\n{rule}\n{error}\n{rule}\n\nPlease try again. \
         Please only respond with an answer that satisfies the constraints laid out in the Instructions:"
    );
    assert_eq!(predicted.asked[1], json!([{ "role": "user", "content": expected }]));
}

#[test]
fn json_is_asked_for_by_its_schema_and_checked_against_it() {
    let rows = json!([
        { "property": "answer", "type": "string", "description": "answer to the user's question", "id": 0 },
        { "property": "n", "type": "number", "description": "a number", "required": true },
        { "property": "b", "type": "boolean", "description": "" },
    ]);
    let parser = Some(("structuredOutputParser", json!({ "jsonStructure": rows.to_string() })));
    let nodes = chain("promptTemplate", json!({ "template": "A {q}" }), parser);
    let question = json!({ "question": "Q" });
    let answer = "Sure:\n```json\n{\"answer\":\"x\ny\",\"n\":1,\"extra\":0,}\n```";
    let predicted = run(&nodes, &question, &[answer.into()]);
    let asked = predicted.asked[0][0]["content"].as_str().unwrap();
    let head = "A Q\nYou must format your output as a JSON value that adheres to a given \"JSON Schema\" instance.\n\n";
    assert!(asked.starts_with(head), "{asked}");
    assert!(asked.contains("{{\"properties\": {{\"foo\": {{\"description\": \"a list of test words\","));
    assert!(asked.contains("The object {{\"properties\": {{\"foo\": [\"bar\", \"baz\"]}}}} is not well-formatted."));
    let tail = "```json\n{\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"string\",\"description\":\"answer \
                to the user's question\"},\"n\":{\"type\":\"number\",\"description\":\"a number\"},\"b\":{\"type\":\
                \"boolean\"}},\"required\":[\"n\"],\"additionalProperties\":false,\"$schema\":\
                \"http://json-schema.org/draft-07/schema#\"}\n```\n";
    assert!(asked.ends_with(tail), "{asked}");
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Json(json!({ "answer": "x\ny", "n": 1 })));

    let predicted = run(&nodes, &question, &["{\"answer\":1}".into()]);
    let error = "Failed to parse. Text: \"{\"answer\":1}\". Error: [\n  {\n    \"code\": \"invalid_type\",\n    \
                 \"expected\": \"string\",\n    \"received\": \"number\",\n    \"path\": [\n      \"answer\"\n    ],\n    \
                 \"message\": \"Expected string, received number\"\n  },\n  {\n    \"code\": \"invalid_type\",\n    \
                 \"expected\": \"number\",\n    \"received\": \"undefined\",\n    \"path\": [\n      \"n\"\n    ],\n    \
                 \"message\": \"n required\"\n  }\n]";
    assert_eq!(predicted.reply.unwrap_err().to_string(), error);
}

#[test]
fn zod_s_verdict_is_given_in_its_words() {
    let schema = "z.object({title: z.string().max(3), n: z.number().int().optional(), g: z.enum([\"a\",\"b\"]).array()\
                  .max(2), d: z.string().default(\"x\")})";
    let parser = Some(("advancedStructuredOutputParser", json!({ "exampleJson": schema })));
    let nodes = chain("promptTemplate", json!({ "template": "A {q}" }), parser);
    let question = json!({ "question": "Q" });
    let predicted = run(&nodes, &question, &["{\"title\":\"t\",\"g\":[\"a\"],\"zz\":1}".into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Json(json!({ "title": "t", "g": ["a"], "d": "x" })));
    let answer = "{\"title\":\"tttt\",\"n\":1.5,\"g\":[\"a\",\"c\",\"b\"],\"zz\":1}";
    let error = run(&nodes, &question, &[answer.into()]).reply.unwrap_err().to_string();
    let expected = "[\n  {\n    \"code\": \"too_big\",\n    \"maximum\": 3,\n    \"type\": \"string\",\n    \
                    \"inclusive\": true,\n    \"exact\": false,\n    \"message\": \"String must contain at most 3 \
                    character(s)\",\n    \"path\": [\n      \"title\"\n    ]\n  },\n  {\n    \"code\": \
                    \"invalid_type\",\n    \"expected\": \"integer\",\n    \"received\": \"float\",\n    \"message\": \
                    \"Expected integer, received float\",\n    \"path\": [\n      \"n\"\n    ]\n  },\n  {\n    \
                    \"code\": \"too_big\",\n    \"maximum\": 2,\n    \"type\": \"array\",\n    \"inclusive\": true,\n    \
                    \"exact\": false,\n    \"message\": \"Array must contain at most 2 element(s)\",\n    \"path\": [\n      \
                    \"g\"\n    ]\n  },\n  {\n    \"received\": \"c\",\n    \"code\": \"invalid_enum_value\",\n    \
                    \"options\": [\n      \"a\",\n      \"b\"\n    ],\n    \"path\": [\n      \"g\",\n      1\n    ],\n    \
                    \"message\": \"Invalid enum value. Expected 'a' | 'b', received 'c'\"\n  }\n]";
    assert_eq!(error, format!("Failed to parse. Text: \"{answer}\". Error: {expected}"));
}

#[test]
fn examples_come_before_the_question() {
    let few_shot = |suffix: &str| {
        json!({
            "examples": "[{\"word\":\"happy\",\"antonym\":\"sad\"},{\"word\":\"tall\",\"antonym\":\"short\"}]",
            "examplePrompt": "{{e_0.data.instance}}",
            "prefix": "Give", "suffix": suffix, "exampleSeparator": "\n\n", "templateFormat": "f-string",
        })
    };
    let mut nodes = chain("fewShotPromptTemplate", few_shot("W: {input}\nA:"), None);
    nodes.push(("e_0", "promptTemplate".to_owned(), json!({ "template": "W: {word}\nA: {antonym}" })));
    let predicted = run(&nodes, &json!({ "question": "Q" }), &["x".into()]);
    let expected = "Give\n\nW: happy\nA: sad\n\nW: tall\nA: short\n\nW: Q\nA:";
    assert_eq!(predicted.asked, [json!([{ "role": "user", "content": expected }])]);

    nodes[1].2 = few_shot("{input} {style}");
    let nodes: Vec<_> = nodes.iter().map(|(id, kind, inputs)| (*id, kind.as_str(), inputs.clone())).collect();
    assert!(flow(&nodes).unwrap_err().contains("found input, style"));
}

/// Flowise's template "Prompt Chaining".
#[test]
fn one_chain_s_prediction_goes_into_another_s_prompt_and_is_made_once() {
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        (
            "p_0",
            "promptTemplate",
            json!({ "template": "do {objective}", "promptValues": "{\"objective\":\"{{question}}\"}" }),
        ),
        ("first_0!", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" })),
        (
            "p_1",
            "promptTemplate",
            json!({
                "template": "{objective} {result} {again}",
                "promptValues": {
                    "objective": "{{question}}",
                    "result": "{{first_0!.data.instance}}",
                    "again": "twice: {{first_0!.data.instance}} {{$vars.tier}} {{unknown}}",
                },
            }),
        ),
        ("last_0", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_1.data.instance}}" })),
    ])
    .unwrap();
    let body = json!({ "question": "a \"q\"\n{x}", "overrideConfig": { "vars": { "tier": "gold" } } });
    let predicted = predict(&flow, &body, &["one\n\"two\" {three}".into(), "the end".into()]);
    let asked: Vec<_> = predicted.asked.iter().map(|messages| messages[0]["content"].as_str().unwrap()).collect();
    let result = "one\n\"two\" {three}";
    assert_eq!(asked, ["do a \"q\"\n{x}", &format!("a \"q\"\n{{x}} {result} twice: {result} gold {{{{unknown}}}}")]);
    let event = |name: &str, data: &str| (name.to_owned(), Value::from(data));
    assert_eq!(predicted.events, [event("start", ""), event("token", "the "), event("token", "end")]);
}

#[test]
fn what_is_denied_is_answered_by_a_sentence() {
    let nodes = |moderation: Value| {
        [
            ("m_0", "testModel", json!({})),
            ("p_0", "promptTemplate", json!({ "template": "{q}" })),
            ("mod_0", "inputModerationSimple", moderation),
            (
                "llm_0",
                "llmChain",
                json!({
                    "model": "{{m_0.data.instance}}",
                    "prompt": "{{p_0.data.instance}}",
                    "inputModeration": ["{{mod_0.data.instance}}"],
                }),
            ),
        ]
    };
    let by_list =
        flow(&nodes(json!({ "denyList": "Bad thing\n\nother", "moderationErrorMessage": "Not so." }))).unwrap();
    let predicted = predict(&by_list, &json!({ "question": "a bad THING" }), &[]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("Not so.".into()));
    let event = |name: &str, data: &str| (name.to_owned(), Value::from(data));
    let told = [event("start", "Not"), event("token", "Not"), event("token", " "), event("token", "so.")];
    assert_eq!(predicted.events, told);
    assert_eq!(predicted.asked, Vec::<Value>::new());
    assert_eq!(predict(&by_list, &json!({ "question": "good" }), &["ok".into()]).asked.len(), 1);

    let by_model = json!({ "denyList": "one\ntwo", "model": "{{m_0.data.instance}}", "moderationErrorMessage": "No." });
    let by_model = flow(&nodes(by_model)).unwrap();
    let predicted = predict(&by_model, &json!({ "question": "Q" }), &["No".into(), "Yes, they are".into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("No.".into()));
    let question = |denied| {
        format!(
            "Are these two sentences similar to each other? Only return Yes or No.\nFirst sentence: Q\nSecond \
             sentence: {denied}"
        )
    };
    let asked = |denied| json!([{ "role": "user", "content": question(denied) }]);
    assert_eq!(predicted.asked, [asked("one"), asked("two")]);
}

#[test]
fn messages_that_code_gives_stand_behind_the_system_s_words() {
    let code = "const { AIMessage } = require('@langchain/core/messages'); return [['human', $flow.chatId], new AIMessage('said')]";
    let chat = |more: Value| {
        let mut prompt = json!({ "systemMessagePrompt": "S", "humanMessagePrompt": "{q}", "messageHistoryCode": code });
        prompt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(&chain("chatPromptTemplate", prompt, None), &json!({ "question": "Q" }), &["a".into()])
    };
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let all = [turn("system", "S"), turn("user", "chat"), turn("assistant", "said"), turn("user", "Q")];
    assert_eq!(chat(json!({})).asked, [json!(all)]);
    let other = json!({ "selectedMessagesTab_p_0": "other_p_0" });
    assert_eq!(chat(other).asked, [json!([turn("system", "S"), turn("user", "Q")])]);
    assert!(
        chat(json!({ "messageHistoryCode": "return 1" })).reply.unwrap_err().to_string().contains("must be an array")
    );
}
