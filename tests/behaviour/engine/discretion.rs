//! What a failure of a flow tells of the inside: of keys, of services behind the flow, of chats.

use serde_json::{Value, json};

use super::{ASK, STREAM, WIDE, stream};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model::{self, MODEL_KEY};
use crate::harness::upstream::Upstream;

const PREFIX: &str = "Error: predictionsServices.buildChatflow - ";
/// A credential that looks like no key.
const WORDS: &str = "nightingales-sing";

/// A gateway of one flow whose model's key is [`WORDS`].
fn gateway(flow: &str) -> Gateway {
    let config = model::config("", ", isolate_sessions: true", &format!("{WIDE}\nlog: {{ level: debug }}"));
    let config = config.replace(MODEL_KEY, WORDS).replace("engine: {", "engine: { allow_networks: ['127.0.0.0/8'],");
    Gateway::start_with(&config, &keys(""), |dir| model::write(dir, "support", flow))
}

/// A flow of a Start and one more node.
pub(super) fn of_one(kind: &str, inputs: &Value) -> String {
    let node = |id: &str, kind: &str, inputs: &Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let nodes =
        [node("start", "startAgentflow", &json!({ "startInputType": "chatInput" })), node("does", kind, inputs)];
    let edge =
        json!({ "source": "start", "target": "does", "sourceHandle": "start-output-start", "targetHandle": "does" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

#[test]
fn a_key_that_a_provider_repeats_within_a_stream_is_told_to_nobody() {
    let model = Upstream::start(|seen, reply| {
        let sent = seen.header("authorization").expect("a key").to_owned();
        let error = json!({ "error": { "message": format!("no quota for {sent} ({WORDS})"), "code": 429 } });
        reply.stream_head();
        model::token(reply, "half");
        reply.chunk(format!("data: {error}\n\n"));
        reply.finish();
    });
    for flow in ["llm-chain", "agentflow-llm"] {
        let gateway = gateway(&model::export(flow, model.address));
        let told = stream(&gateway, STREAM);
        assert!(told.contains("429 no quota for Bearer [key] ([key])"), "{told}");
        let whole = gateway.predict(ASK).text();
        gateway.log_line(|line| line["message"] == "model call failed");
        for text in [told, whole, gateway.log().join("\n")] {
            assert!(!text.contains(WORDS), "{text}");
        }
    }
}

#[test]
fn an_http_node_goes_on_when_its_service_fails_and_visitors_see_the_status_alone() {
    let service = Upstream::start(|_, reply| {
        let said =
            json!({ "message": "connect to root@dbhost with hunter2 failed", "stack": "Error: at /srv/orders/db.js" });
        reply.json("500 Internal Server Error", &said.to_string());
    });
    let inputs = json!({
        "method": "GET", "url": format!("http://{}/orders", service.address),
        "headers": [{ "key": "Authorization", "value": "Bearer inner-service-token" }],
    });
    let gateway = gateway(&of_one("httpAgentflow", &inputs));
    let response = gateway.predict(ASK);
    assert_eq!((response.status, &response.json()["text"]), (200, &" ".into()));
    for told in [response.text(), stream(&gateway, STREAM)] {
        assert!(told.contains(r#""http":{"status":500,"statusText":"Internal Server Error"}"#), "{told}");
        for secret in ["hunter2", "/srv", "dbhost", "inner-service", &service.address.to_string()] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

#[test]
fn a_chats_id_behind_the_gateway_is_in_no_error() {
    let model = model::saying("fine");
    let gateway = gateway(&model::export("agentflow-llm", model.address));
    let resumed = r#"{"question":"","chatId":"c9","humanInput":{"type":"proceed","startNodeId":"x"}}"#;
    let response = gateway.predict(resumed);
    response.assert_refused(500, "upstream_error");
    assert_eq!(response.json()["message"], format!("{PREFIX}No previous execution found for session [id]"));
}

#[test]
fn steps_show_neither_where_a_request_goes_nor_what_it_is_sent_with() {
    let service = Upstream::start(|_, reply| {
        reply.raw(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Inner: inner-header\r\nContent-Length: 14\r\n\r\n\
             {\"found\":\"it\"}",
        );
    });
    let inputs = json!({
        "method": "POST", "url": format!("http://{}/inner-path", service.address),
        "headers": [{ "key": "Authorization", "value": "Bearer inner-token" }],
        "queryParams": [{ "key": "api_key", "value": "inner-query" }],
        "bodyType": "json", "body": "{\"secret\":\"inner-body\"}", "responseType": "json",
    });
    let gateway = gateway(&of_one("httpAgentflow", &inputs));
    let whole = gateway.predict(ASK);
    let told = stream(&gateway, STREAM);
    for text in [whole.text(), told] {
        assert!(text.contains(r#""http":{"data":{"found":"it"},"status":200,"statusText":"OK"}"#), "{text}");
        assert!(!text.contains("inner-") && !text.contains(&service.address.to_string()), "{text}");
    }
    let seen = service.seen().remove(0);
    assert_eq!(seen.header("authorization"), Some("Bearer inner-token"));
    assert_eq!(seen.path, "/inner-path?api_key=inner-query");
}

#[test]
fn a_configured_key_that_a_service_repeats_in_a_good_answer_is_shown_to_nobody() {
    let service = Upstream::start(|_, reply| {
        reply.json("200 OK", &json!({ "sent": format!("Bearer {WORDS}"), "host": "127.0.0.1:80" }).to_string());
    });
    let inputs = json!({ "method": "GET", "url": format!("http://{}/echo", service.address), "responseType": "json" });
    let gateway = gateway(&of_one("httpAgentflow", &inputs));
    for text in [gateway.predict(ASK).text(), stream(&gateway, STREAM)] {
        assert!(text.contains(r#""data":{"sent":"Bearer [key]","host":"127.0.0.1:80"}"#), "{text}");
    }
}
