//! What the built-in engine does for a request, as spans of its trace.

use serde_json::{Value, json};

use super::{ASK, PATH, WIDE};
use crate::harness::collector::{Collector, Speaks};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::otlp::{CLIENT, INTERNAL, SERVER, Span};
use crate::harness::upstream::{Reply, Seen, Upstream};
use crate::harness::{KEY, client, model};

fn running(model: &Upstream, flow: &str, telemetry: &str) -> Gateway {
    Gateway::start_with(&model::config("", "", &format!("{WIDE}\n{telemetry}")), &keys(""), |dir| {
        model::write(dir, "support", &model::export(flow, model.address));
    })
}

/// Wants the calculator once, and then answers.
fn calculating(seen: &Seen, reply: &mut Reply) {
    let body = seen.json();
    let has_result = body["messages"].as_array().unwrap().iter().any(|message| message["role"] == "tool");
    if has_result {
        return model::answer(seen, reply, "private-answer");
    }
    let arguments = json!({ "input": "6*7" }).to_string();
    let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": { "name": "calculator", "arguments": arguments } });
    if body["stream"] == true {
        reply.stream_head();
        let delta = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
        let chunk =
            json!({ "id": "1", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
        reply.chunk(format!("data: {chunk}\n\n"));
        return model::end(reply, 11, 5);
    }
    let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
    let usage = json!({ "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16 });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
    reply.json("200 OK", &json!({ "id": "1", "model": "m", "choices": [choice], "usage": usage }).to_string());
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    let mut found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    found.sort_by_key(|span| span.start);
    found
}

#[test]
fn calls_of_models_and_tools_are_spans_with_what_they_took() {
    let model = Upstream::start(calculating);
    let collector = Collector::taking(Speaks::Grpc);
    let gateway = running(&model, "tool-agent", &collector.section(Speaks::Grpc, ""));
    let headers = [("x-api-key", KEY), ("x-request-id", "an-agent")];
    let body = r#"{"question":"private-question","chatId":"private-chat"}"#;
    assert_eq!(client::post(gateway.http, PATH, &headers, body).status, 200);
    let root = collector.wait_request("an-agent");
    let spans = collector.wait_spans(4);
    assert_eq!((spans.len(), root.kind), (4, SERVER));
    let chat = spans.iter().find(|span| span.name.starts_with("chat ")).unwrap().name.clone();
    let [first, second] = named(&spans, &chat)[..] else { panic!("the model was asked twice") };
    let [tool] = named(&spans, "execute_tool calculator")[..] else { panic!("the tool was called once") };
    for span in [first, second, tool] {
        assert_eq!((&span.trace, &span.parent, span.has_failed), (&root.trace, &root.id, false));
    }
    assert!(first.end <= tool.start && tool.end <= second.start && second.end <= root.end);
    assert_eq!((first.kind, tool.kind), (CLIENT, INTERNAL));
    let name = chat.strip_prefix("chat ").unwrap();
    let expected = |input: u64, output: u64| {
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": name,
            "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
        })
    };
    assert_eq!(json!(first.attributes), expected(11, 5));
    assert_eq!(json!(second.attributes), expected(7, 3));
    let expected = json!({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "calculator" });
    assert_eq!(json!(tool.attributes), expected);
    // The provider is told which call of a model it serves.
    let parents: Vec<_> = model.seen().iter().map(|seen| seen.header("traceparent").unwrap().to_owned()).collect();
    let of = |span: &Span| format!("00-{}-{}-01", span.trace, span.id);
    assert_eq!(parents, [of(first), of(second)]);
    for export in collector.exports() {
        for secret in ["private", "6*7", model::MODEL_KEY] {
            let is_in = export.message.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_in, "{secret} is in a span");
        }
    }
}

#[test]
fn a_model_that_fails_is_told_by_the_kind_of_its_failure() {
    let model = model::refusing("400 Bad Request", "private words");
    let collector = Collector::taking(Speaks::Http);
    let gateway = running(&model, "llm-chain", &collector.section(Speaks::Http, ""));
    assert_eq!(gateway.predict(ASK).status, 500);
    let spans = collector.wait_spans(2);
    let call = spans.iter().find(|span| span.kind == CLIENT).unwrap();
    assert_eq!((call.has_failed, call.get("error.type")), (true, json!("provider")));
    assert_eq!(call.get("gen_ai.usage.input_tokens"), Value::Null);
}

#[test]
fn without_a_sample_providers_are_told_so_and_without_traces_nothing() {
    let model = model::saying("fine");
    let collector = Collector::taking(Speaks::Grpc);
    let gateway = running(&model, "llm-chain", &collector.section(Speaks::Grpc, ", sample: 0"));
    assert_eq!(gateway.predict(ASK).status, 200);
    assert!(model.seen()[0].header("traceparent").unwrap().ends_with("-00"));
    let model = model::saying("fine");
    let gateway = running(&model, "llm-chain", "");
    assert_eq!(gateway.predict(ASK).status, 200);
    assert!(model.seen()[0].header("traceparent").is_none());
    assert!(collector.exports().is_empty());
}
