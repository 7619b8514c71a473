//! Requests are compared with what Flowise 3.1.4 and its library were recorded to send.

use serde_json::{Map, Value, json};

use super::answer::Completion;
use super::responses::ResponsesReply;
use super::{AzureChatOpenAi, ChatLocalAi, ChatOpenAi, ChatOpenAiCustom};
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, Usage};
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::AnswerFraming;
use crate::engine::models::gathering::tests::told;
use crate::engine::models::lab::{HERE, IMAGE, asked, asked_in_vain, built, calculator, city, conversation, problems};

const STREAM: &str = "data: {\"id\":\"chatcmpl-1\",\"model\":\"stub-model\",\"choices\":[{\"index\":0,\"delta\":\
{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"chatcmpl-1\",\"model\":\"stub-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüezi\"}}]}\n\n\
: comment\n\n\
data: {\"id\":\"chatcmpl-1\",\"model\":\"stub-model\",\"system_fingerprint\":\"fp_stub\",\"choices\":[{\"index\":0,\"delta\":{},\
\"finish_reason\":\"stop\"}]}\n\n\
data: {\"id\":\"chatcmpl-1\",\"model\":\"stub-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":4,\
\"total_tokens\":10}}\n\ndata: [DONE]\n\n";

fn inputs(more: Value) -> Value {
    let mut inputs = json!({
        "modelName": "gpt-4o-mini",
        "temperature": "0.5",
        "basepath": format!("{HERE}/v1"),
        "allowImageUploads": true,
        "cache": "",
        "baseOptions": "",
    });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

fn messages() -> Value {
    json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": IMAGE } },
            { "type": "text", "text": "What is 6*7?" },
        ] },
        { "role": "assistant", "content": "", "tool_calls": [
            { "id": "call_1", "type": "function",
              "function": { "name": "calculator", "arguments": "{\"input\":\"6*7\"}" } },
        ] },
        { "role": "tool", "content": "42", "name": "calculator", "tool_call_id": "call_1" },
        { "role": "user", "content": "And now?" },
    ])
}

#[tokio::test]
async fn requests_are_flowises() {
    let conversation = conversation();
    let more = json!({ "topP": 0.9, "stopSequence": "a, b", "maxTokens": "100", "baseOptions": { "x-more": "1" } });
    let asked = asked(&ChatOpenAi, inputs(more), ModelRequest::of(&conversation), 200, STREAM).await;
    let received = asked.received;
    assert_eq!(received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(received.headers["authorization"], "Bearer a-openAIApiKey");
    assert_eq!(received.headers["x-more"], "1");
    let body = json!({
        "model": "gpt-4o-mini",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": 100,
        "messages": messages(),
    });
    assert_eq!(received.body, body);
    assert_eq!(asked.answered.unwrap().text, "Grüezi");
}

#[tokio::test]
async fn tools_and_schemas_are_flowises() {
    let (conversation, tools, city) = (conversation(), [calculator()], city());
    let function = json!({ "name": "calculator", "description": "Computes.", "parameters": calculator().parameters,
        "strict": true });
    let more = json!({ "strictToolCalling": true });
    let ask = ModelRequest::of(&conversation).with_tools(&tools);
    let body = asked(&ChatOpenAi, inputs(more), ask, 200, STREAM).await.received.body;
    assert_eq!(body["tools"], json!([{ "type": "function", "function": function }]));
    assert_eq!(body.get("tool_choice"), None);

    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let body = asked(&ChatOpenAi, inputs(json!({ "streaming": false })), ask, 200, "{}").await.received.body;
    assert_eq!(body["tools"], json!([{ "type": "function", "function": { "name": "extract", "parameters": city } }]));
    assert_eq!(body["tool_choice"], json!({ "type": "function", "function": { "name": "extract" } }));
    assert_eq!((&body["stream"], body.get("stream_options")), (&json!(false), None));
}

#[tokio::test]
async fn models_that_reason_are_asked_otherwise() {
    let conversation = conversation();
    let more = json!({ "modelName": "o3-mini", "maxTokens": 100, "reasoning": true, "reasoningEffort": "low",
        "stopSequence": "a" });
    let body = asked(&ChatOpenAi, inputs(more), ModelRequest::of(&conversation), 200, STREAM).await.received.body;
    let mut turns = messages();
    turns[0]["role"] = "developer".into();
    let expected = json!({
        "model": "o3-mini",
        "stream": true,
        "stream_options": { "include_usage": true },
        "reasoning_effort": "low",
        "max_completion_tokens": 100,
        "messages": turns,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn summaries_of_thoughts_take_the_newer_api() {
    let (conversation, tools, city) = (conversation(), [calculator()], city());
    let more = json!({ "modelName": "gpt-5", "maxTokens": 100, "reasoning": true, "reasoningEffort": "low",
        "reasoningSummary": "auto" });
    let ask = ModelRequest::of(&conversation).with_tools(&tools);
    let received = asked(&ChatOpenAi, inputs(more.clone()), ask, 200, RESPONSES).await.received;
    assert_eq!(received.line, "POST /v1/responses HTTP/1.1");
    let expected = json!({
        "model": "gpt-5",
        "stream": true,
        "tools": [{ "type": "function", "name": "calculator", "parameters": calculator().parameters,
            "description": "Computes.", "strict": null }],
        "text": {},
        "max_output_tokens": 100,
        "reasoning": { "effort": "low", "summary": "auto" },
        "input": [
            { "type": "message", "role": "developer", "content": "Be brief." },
            { "type": "message", "role": "user", "content": [
                { "type": "input_image", "image_url": IMAGE },
                { "type": "input_text", "text": "What is 6*7?" },
            ] },
            { "type": "message", "role": "assistant", "content": "" },
            { "type": "function_call", "name": "calculator", "arguments": "{\"input\":\"6*7\"}", "call_id": "call_1" },
            { "type": "function_call_output", "call_id": "call_1", "output": "42" },
            { "type": "message", "role": "user", "content": "And now?" },
        ],
    });
    assert_eq!(received.body, expected);
    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let body = asked(&ChatOpenAi, inputs(more), ask, 200, RESPONSES).await.received.body;
    assert_eq!(body["tool_choice"], json!({ "type": "function", "name": "extract" }));
}

#[tokio::test]
async fn azure_is_asked_at_its_deployment() {
    let conversation = conversation();
    let more = json!({ "basepath": format!("{HERE}/openai/deployments"), "baseOptions": { "x-more": "1" } });
    let received = asked(&AzureChatOpenAi, inputs(more), ModelRequest::of(&conversation), 200, STREAM).await.received;
    let path = "/openai/deployments/a-azureOpenAIApiDeploymentName/chat/completions";
    assert_eq!(received.line, format!("POST {path}?api-version=a-azureOpenAIApiVersion HTTP/1.1"));
    assert_eq!(received.headers["api-key"], "a-azureOpenAIApiKey");
    assert_eq!(received.headers["x-more"], "1");
    assert!(!received.headers.contains_key("authorization"));
    assert_eq!((&received.body["model"], &received.body["messages"]), (&json!("gpt-4o-mini"), &messages()));
}

#[tokio::test]
async fn other_servers_are_asked_the_same() {
    let conversation = conversation();
    let own = json!({ "modelName": "llama", "basePath": format!("{HERE}/v1"), "temperature": 1 });
    let received = asked(&ChatLocalAi, own, ModelRequest::of(&conversation), 200, STREAM).await.received;
    assert_eq!(received.headers["authorization"], "Bearer a-localAIApiKey");
    assert_eq!((&received.body["model"], received.body["temperature"].to_string()), (&json!("llama"), "1".to_owned()));
    let custom = json!({ "modelName": "o1", "basepath": format!("{HERE}/v1"), "temperature": 0.9, "maxTokens": 9 });
    let body = asked(&ChatOpenAiCustom, custom, ModelRequest::of(&conversation), 200, STREAM).await.received.body;
    assert_eq!((&body["temperature"], &body["max_completion_tokens"]), (&json!(0.9), &json!(9)));
}

#[tokio::test]
async fn refusals_of_the_provider_are_its_words() {
    let conversation = conversation();
    let answer = r#"{"error":{"message":"stub error 400"}}"#;
    let asked = asked(&ChatOpenAi, inputs(json!({})), ModelRequest::of(&conversation), 400, answer).await;
    assert_eq!(asked.answered.unwrap_err().to_string(), "400 stub error 400");
    assert_eq!(asked.events, "");
}

#[tokio::test]
async fn a_node_s_timeout_is_for_the_first_byte() {
    let conversation = conversation();
    let failure = asked_in_vain(&ChatOpenAi, inputs(json!({ "timeout": "50" })), ModelRequest::of(&conversation)).await;
    assert_eq!(failure, Failure::Timeout);
}

#[tokio::test]
async fn agentflows_are_told_every_piece() {
    let conversation = conversation();
    let plain = asked(&ChatOpenAi, inputs(json!({})), ModelRequest::of(&conversation), 200, STREAM).await;
    assert_eq!(plain.events.matches("\"token\"").count(), 1);
    assert!(plain.events.contains("\"start\""));
    let ask = ModelRequest::of(&conversation).telling_bare(None);
    let bare = asked(&ChatOpenAi, inputs(json!({})), ask, 200, STREAM).await;
    // The role, the word, the reason for the end, the usage.
    assert_eq!(bare.events.matches("\"token\"").count(), 4);
    assert!(!bare.events.contains("\"start\""));
}

#[test]
fn options_that_cannot_be_kept_are_refused() {
    let refused = |more: Value| problems(&ChatOpenAi, inputs(more)).join("; ");
    assert!(
        refused(json!({ "cache": "{{redisCache_0.data.instance}}" }))
            .contains("refers to a node redisCache_0 that is not in it")
    );
    assert!(matches!(built(&ChatOpenAi, json!({ "modelName": "" }), true), Ok(Part::Unset(_))));
    assert!(refused(json!({ "baseOptions": { "a header": "1" } })).contains("a header is no header"));
    assert!(matches!(built(&ChatOpenAi, inputs(json!({ "basepath": "your address" })), true), Ok(Part::Unset(_))));
    for address in ["https://x/v1?api-version=1", "ftp://x", "https://user@x"] {
        assert!(refused(json!({ "basepath": address })).contains("input basepath"), "{address}");
    }
    assert!(refused(json!({ "temperature": "hot" })).contains("expected a number"));
    let summary = json!({ "modelName": "gpt-5", "reasoningSummary": "auto" });
    assert!(problems(&AzureChatOpenAi, summary)[0].contains("reasoningSummary"));
}

#[test]
fn without_a_credential_nothing_is_sent() {
    let own = json!({ "modelName": "gpt-4o-mini" });
    let model = built(&ChatOpenAi, own, false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    let elsewhere = built(&ChatOpenAi, inputs(json!({})), false).unwrap().into_model().unwrap();
    assert!(format!("{elsewhere:?}").starts_with("OpenAi"));
}

fn completion(stream: &str, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
    told(|| Completion::new("openai", true), AnswerFraming::Events, stream, ask)
}

#[test]
fn streams_are_read_wherever_they_are_cut() {
    let answered = completion(STREAM, ModelRequest::of(&[])).unwrap();
    assert_eq!((answered.text.as_str(), answered.id.as_deref()), ("Grüezi", Some("chatcmpl-1")));
    assert_eq!(answered.usage, Usage { input: 6, output: 4 });
    let usage = json!({ "input_tokens": 6, "output_tokens": 4, "total_tokens": 10, "input_token_details": {},
        "output_token_details": {} });
    assert_eq!(Value::Object(answered.usage_metadata), usage);
    // As recorded of Flowise.
    let metadata = json!({ "prompt": 0, "completion": 0, "model_provider": "openai",
        "usage": { "prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10 },
        "finish_reason": "stop", "system_fingerprint": "fp_stub", "model_name": "stub-model" });
    assert_eq!(Value::Object(answered.response_metadata), metadata);
}

#[test]
fn an_answer_is_described_where_that_is_wanted() {
    let described = completion(STREAM, ModelRequest::of(&[])).unwrap();
    let plain = completion(STREAM, ModelRequest::of(&[]).telling(None)).unwrap();
    let (usage_metadata, response_metadata) = <(Map<String, Value>, Map<String, Value>)>::default();
    assert_eq!(plain, ModelAnswer { usage_metadata, response_metadata, ..described });
}

#[test]
fn pieces_that_differ_in_what_they_say_alone_are_read_as_all_others() {
    let said = ["a", "", "b ", "\\n\\u00e4\\\"", "ü", "\\ud83d", "c", "}],"];
    let stream = |numbers: bool| {
        let piece = |(number, said): (usize, &&str)| {
            let number = if numbers { number } else { 0 };
            format!(
                "data: {{\"id\":\"x\",\"n\":{number},\"choices\":[{{\"delta\":{{\"content\":\"{said}\"}},\"finish_reason\":null}}]}}\n"
            )
        };
        let begun: String = said.iter().enumerate().map(piece).collect();
        // Others in between: a thought, a call, and one that says no text.
        let others = r#"data: {"id":"x","n":0,"choices":[{"delta":{"content":"d","reasoning":"Hm"},"finish_reason":null}]}
data: {"id":"x","n":0,"choices":[{"delta":{"content":"e","reasoning":"Hm"},"finish_reason":null}]}
data: {"id":"x","n":0,"choices":[{"delta":{"content":null},"finish_reason":null}]}
data: {"id":"x","n":0,"choices":[{"delta":{"content":"f","tool_calls":[{"index":0,"id":"c","function":{"name":"g","arguments":"1"}}]},"finish_reason":null}]}
data: {"id":"x","n":0,"choices":[{"delta":{"content":"f","tool_calls":[{"index":0,"id":"c","function":{"name":"g","arguments":"2"}}]},"finish_reason":null}]}
data: {"id":"x","n":0,"choices":[{"delta":{"content":"h"},"finish_reason":"stop"}]}
"#;
        format!("{begun}{others}{begun}")
    };
    let answered = completion(&stream(false), ModelRequest::of(&[])).unwrap();
    assert_eq!(answered.text, "ab \nä\"ü\u{fffd}c}],deffhab \nä\"ü\u{fffd}c}],");
    assert_eq!(answered.thinking, "HmHm");
    assert_eq!(answered, completion(&stream(true), ModelRequest::of(&[])).unwrap());
    // What it says must not end the text that it is said in.
    let open =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: {\"choices\":[{\"delta\":{\"content\":\"}}]}\n";
    assert!(completion(open, ModelRequest::of(&[])).is_err());
}

#[test]
fn calls_come_in_pieces() {
    let stream = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"calculator","arguments":""}}]}}]}
data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"input\":"}}]}}]}
data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"6*7\"}"}},{"index":1,"id":"c2","function":{"name":"other"}}]}}]}
data: [DONE]
"#;
    let calls = completion(stream, ModelRequest::of(&[])).unwrap().calls;
    let short: Vec<_> = calls.iter().map(|call| (call.id.as_str(), call.name.as_str(), &call.arguments)).collect();
    assert_eq!(short, [("c1", "calculator", &json!({ "input": "6*7" })), ("c2", "other", &json!({}))]);
    let schema = json!({});
    let answered = completion(stream, ModelRequest::of(&[]).with_schema("calculator", &schema)).unwrap();
    assert_eq!((answered.text.as_str(), answered.calls.len()), ("{\"input\":\"6*7\"}", 0));
}

#[test]
fn errors_in_the_middle_of_a_stream_are_failures() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n";
    assert_eq!(completion(stream, ModelRequest::of(&[])).unwrap_err().to_string(), "500 The server had an error");
    assert!(completion("data: <html>\n\n", ModelRequest::of(&[])).is_err());
    // Cut off, or no stream at all.
    for (stream, told) in [
        ("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "The provider broke off."),
        ("{\"choices\":[]}\n", "The provider broke off."),
        ("data: {\"choices\":[]}\n\ndata: [DONE]\n\n", "The provider's answer holds no message."),
    ] {
        assert_eq!(completion(stream, ModelRequest::of(&[])).unwrap_err().to_string(), told);
    }
}

#[test]
fn servers_that_are_nearly_openais_are_understood() {
    let stream = r#"data: {"choices":[],"prompt_filter_results":[]}
data: {"choices":null,"usage":null,"error":null}
data: {"choices":[{"delta":{"content":null,"reasoning":"Hm","reasoning_content":"Hm","tool_calls":null},"message":null}]}
data: {"choices":[{"delta":{"content":[{"type":"text","text":"Hi"}],"tool_calls":[{"id":"c","function":{"name":"a","arguments":{"x":1}}}]}}]}
data: {"choices":[{"delta":{"tool_calls":[{"id":"c","function":{"name":"a","arguments":null}}]}}]}
data: {"choices":[{"delta":{"tool_calls":[{"id":"d","function":{"name":"b"}}]},"finish_reason":"stop"}]}
"#;
    let answered = completion(stream, ModelRequest::of(&[])).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Hi", "Hm"));
    let calls: Vec<_> =
        answered.calls.iter().map(|call| (call.id.as_str(), call.name.as_str(), &call.arguments)).collect();
    assert_eq!(calls, [("c", "a", &json!({ "x": 1 })), ("d", "b", &json!({}))]);
}

#[test]
fn answers_in_one_piece_are_read() {
    let answer = r#"{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"Hi","reasoning_content":"Hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}"#;
    let answered =
        told(|| Completion::new("openai", false), AnswerFraming::Whole, answer, ModelRequest::of(&[])).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Hi", "Hm"));
    let metadata = json!({ "tokenUsage": { "promptTokens": 1, "completionTokens": 2, "totalTokens": 3 },
        "finish_reason": "stop", "model_provider": "openai", "model_name": "m" });
    assert_eq!(Value::Object(answered.response_metadata), metadata);
    assert_eq!(answered.usage_metadata["input_token_details"], json!({ "cache_read": 1 }));
    assert_eq!(answered.usage_metadata["output_token_details"], json!({ "reasoning": 2 }));
}

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","response":{"id":"resp_1","model":"gpt-5"}}

data: {"type":"response.reasoning_summary_text.delta","delta":"Hm"}

data: {"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"msg_1"}}

data: {"type":"response.output_text.delta","delta":"Hel"}

data: {"type":"response.output_text.delta","delta":"lo"}

data: {"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"call_9","name":"extract","arguments":""}}

data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"city\":\"Bern\"}"}

data: {"type":"response.completed","response":{"id":"resp_1","model":"gpt-5","status":"completed","error":null,"output":[{"type":"reasoning","id":"rs_1"},{"type":"function_call","call_id":"call_9"}],"usage":{"input_tokens":5,"output_tokens":3,"total_tokens":8,"output_tokens_details":{"reasoning_tokens":2}}}}
"#;

#[test]
fn the_newer_api_s_events_are_read() {
    let response =
        |stream: &str, ask: ModelRequest<'_>| told(ResponsesReply::default, AnswerFraming::Events, stream, ask);
    let answered = response(RESPONSES, ModelRequest::of(&[])).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Hello", "Hm"));
    assert_eq!(answered.usage, Usage { input: 5, output: 3 });
    assert_eq!(answered.id.as_deref(), Some("msg_1"));
    assert_eq!(answered.calls[0].arguments, json!({ "city": "Bern" }));
    // What the model itself put comes back with the result, thoughts and all.
    let turn = Message::calling("", answered.calls.clone());
    let body = super::responses::body(&Map::new(), super::Style::default(), ModelRequest::of(&[turn]));
    assert_eq!(body["input"][0], json!({ "type": "reasoning", "id": "rs_1" }));

    let schema = json!({});
    let structured = response(RESPONSES, ModelRequest::of(&[]).with_schema("extract", &schema)).unwrap();
    assert_eq!(structured.text, "{\"city\":\"Bern\"}");
    let cut = RESPONSES.split("data: {\"type\":\"response.completed").next().unwrap();
    assert_eq!(response(cut, ModelRequest::of(&[])).unwrap_err().to_string(), "The provider broke off.");
    let failed = r#"data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"no"}}}"#;
    assert_eq!(response(failed, ModelRequest::of(&[])).unwrap_err().to_string(), "500 no");
    let error = r#"data: {"type":"error","message":"bad"}"#;
    assert_eq!(response(error, ModelRequest::of(&[])).unwrap_err().to_string(), "500 bad");
}
