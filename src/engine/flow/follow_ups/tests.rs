use super::*;
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{answer, flow_at, predict, server};

/// A flow that answers by the test's model, with these settings; its requests go to that server.
fn flow(settings: &Value, origin: &str) -> Result<CompiledFlow, String> {
    let mut export = json!({ "nodes": [
            { "id": "m", "data": { "name": "testModel", "inputs": {} } },
            { "id": "p", "data": { "name": "promptTemplate", "inputs": { "template": "{question}" } } },
            { "id": "c", "data": { "name": "llmChain", "inputs": { "model": "{{m.data.instance}}", "prompt": "{{p.data.instance}}" } } },
        ], "edges": [{ "source": "m", "target": "c" }, { "source": "p", "target": "c" }] });
    export["followUpPrompts"] = settings.to_string().into();
    let secrets = [
        ("openAIApi", "openAIApiKey", "sk-open"),
        ("of-anthropic", "anthropicApiKey", "sk-ant"),
        ("azureOpenAIApi", "azureOpenAIApiKey", "sk-az"),
        ("azureOpenAIApi", "azureOpenAIApiInstanceName", "in"),
        ("azureOpenAIApi", "azureOpenAIApiDeploymentName", "de"),
        ("azureOpenAIApi", "azureOpenAIApiVersion", "2024-02-01"),
    ];
    flow_at(origin.strip_prefix("http://").unwrap().parse().unwrap(), &secrets, &export)
}

fn settings(provider: &str, config: &Value) -> Value {
    json!({ "status": true, "selectedProvider": provider, provider: config })
}

/// What the provider heard, and what the answer has.
fn asked(settings: &Value, status: &str, told: &Value) -> (String, Value, Vec<String>) {
    let (origin, received) = server(&[&answer(status, "", &told.to_string())]);
    let flow = flow(settings, &origin).unwrap();
    let predicted = predict(&flow, &json!({ "question": "q" }), &["Tea is hot.".into()]);
    let reply = predicted.reply.unwrap();
    assert_eq!(reply.said, ReplyContent::Text("Tea is hot.".into()));
    let sent = received.try_recv().unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap(), reply.follow_ups)
}

#[test]
fn openai_is_made_to_call_for_questions() {
    let config = json!({ "credentialId": "x", "modelName": "gpt-4o-mini", "prompt": "After {history} ask {history}",
            "temperature": "0.9" });
    let arguments = json!({ "questions": ["Why?", "How?"] }).to_string();
    let call = json!({ "id": "1", "type": "function", "function": { "name": "extract", "arguments": arguments } });
    let delta = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "1", "type": "function",
            "function": call["function"] }] } }] });
    let (origin, received) = server(&[&answer("200 OK", "", &format!("data: {delta}\n\ndata: [DONE]\n\n"))]);
    let flow = flow(&settings("chatOpenAI", &config), &origin).unwrap();
    let predicted = predict(&flow, &json!({ "question": "q" }), &["Tea is hot.".into()]);
    assert_eq!(predicted.reply.unwrap().follow_ups, ["Why?", "How?"]);
    let sent = received.try_recv().unwrap();
    assert!(sent.contains("authorization: Bearer sk-open\r\n"), "{sent}");
    let body: Value = serde_json::from_str(sent.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["messages"], json!([{ "role": "user", "content": "After Tea is hot. ask {history}" }]));
    assert_eq!((&body["model"], &body["temperature"]), (&json!("gpt-4o-mini"), &json!(0.9)));
    assert_eq!(body["tools"][0]["function"]["name"], "extract");
    assert_eq!(body["tools"][0]["function"]["parameters"], schema());
    assert_eq!(body["tool_choice"]["function"]["name"], "extract");
    // The answer's own tokens alone are told.
    let tokens: Vec<_> = predicted.events.iter().filter(|(name, _)| name == "token").collect();
    assert_eq!(tokens.len(), 3, "{tokens:?}");
    // The widget is told to show them.
    assert_eq!(flow.info.chatbot[FOLLOW_UPS], json!({ "status": true }));
}

#[test]
fn ollama_keeps_to_a_form_and_azure_is_told_in_words() {
    let config = json!({ "modelName": "llama3.2", "prompt": "{history}?", "baseUrl": "", "temperature": 0.7 });
    let said = json!({ "questions": ["a", "b", "c"] }).to_string();
    let told = json!({ "message": { "role": "assistant", "content": said }, "done": true });
    let (head, body, questions) = asked(&settings("ollama", &config), "200 OK", &told);
    assert!(head.starts_with("POST /api/chat HTTP/1.1\r\n"), "{head}");
    assert_eq!((&body["format"], body.get("tools")), (&form(), None));
    assert_eq!(body["messages"], json!([{ "role": "user", "content": "Tea is hot.?" }]));
    assert_eq!(questions, ["a", "b", "c"]);
    let config = json!({ "modelName": "gpt-4o", "prompt": "{{x}} {history} {history}", "temperature": 0.7 });
    let (_, body, questions) = asked(&settings("azureChatOpenAI", &config), "500 Oops", &json!({}));
    let prompt = body["messages"][0]["content"].as_str().unwrap();
    assert!(prompt.starts_with("\n                    {x} Tea is hot. Tea is hot.\n"), "{prompt}");
    assert!(prompt.contains("\"description\":\"Generate Follow Up Prompts\""), "{prompt}");
    assert_eq!(body.get("tools"), None);
    // An answer stays one without them.
    assert!(questions.is_empty());
}

#[test]
fn what_is_not_set_refuses_no_flow() {
    let config = json!({ "modelName": "claude", "prompt": "{history}", "credentialId": "of-anthropic" });
    let (head, body, _) = asked(&settings("chatAnthropic", &config), "400 No", &json!({}));
    assert!(head.contains("x-api-key: sk-ant"), "{head}");
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "extract" }));
    let nowhere = "http://127.0.0.1:9";
    let loaded = |value: &Value| flow(value, nowhere).map(|flow| flow.missing.len());
    assert_eq!(loaded(&settings("chatOpenAI", &json!({ "prompt": "", "modelName": "" }))), Ok(2));
    // Nobody's settings, or switched off.
    let off = json!({ "status": false, "selectedProvider": "chatOpenAI", "chatOpenAI": { "modelName": "" } });
    for none in [json!({}), off, json!({ "status": true }), json!("x")] {
        assert_eq!(loaded(&none), Ok(0), "{none}");
    }
    let told = loaded(&settings("chatUnknown", &json!({}))).unwrap_err();
    assert!(told.contains("Follow-up Prompts") && told.contains("chatUnknown"), "{told}");
}
