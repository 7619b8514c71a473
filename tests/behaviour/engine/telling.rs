//! What the widget asks beside predictions, and what metrics tell.

use serde_json::{Value, json};

use super::{ASK, STREAM, events, get, running, stream};
use crate::harness::client;
use crate::harness::gateway::Gateway;
use crate::harness::upstream::{Seen, Upstream};
use crate::harness::{KEY, model};

#[test]
fn the_widget_draws_itself_by_the_flow() {
    let model = model::saying("fine");
    let gateway = running(&model, "llm-chain-chat-prompt");
    let uploads = json!({
        "isSpeechToTextEnabled": false, "isImageUploadAllowed": true, "isRAGFileUploadAllowed": false,
        "imgUploadSizeAndTypes": [
            { "maxUploadSize": 5, "fileTypes": ["image/gif", "image/jpeg", "image/png", "image/webp", ""] }
        ],
        "fileUploadSizeAndTypes": [],
    });
    assert_eq!(get(&gateway, "/api/v1/chatflows-uploads/support").json(), uploads);
    let config = get(&gateway, "/api/v1/public-chatbotConfig/support").json();
    assert_eq!(config, json!({ "uploads": uploads, "isTTSEnabled": false }));
    // Nothing is kept of these, and nothing asks for them.
    let post = |path: &str, body: &str| client::post(gateway.http, path, &[("x-api-key", KEY)], body);
    let rating = r#"{"chatId":"c1","messageId":"813dcf2c-cef3-4a52-a559-18542176aa3a","rating":"THUMBS_UP"}"#;
    post("/api/v1/feedback/support", rating).assert_refused(404, "not_found");
    let lead = r#"{"chatflowid":"support","chatId":"c1","name":"Ann"}"#;
    post("/api/v1/leads", lead).assert_refused(404, "not_found");
    post("/api/v1/vector/upsert/support", "{}");
    let file = "/api/v1/get-upload-file?chatflowId=support&chatId=c1&fileName=a.txt";
    get(&gateway, file).assert_refused(404, "not_found");
    assert!(model.seen().is_empty());
}

#[test]
fn the_widget_shows_the_form_of_a_flow_that_starts_with_one() {
    let model = model::saying("fine");
    let gateway = running(&model, "agentflow-form");
    let config = get(&gateway, "/api/v1/public-chatbotConfig/support").json();
    let flow: Value = serde_json::from_str(config["flowData"].as_str().unwrap()).unwrap();
    let start = &flow["nodes"][0]["data"];
    assert_eq!(start["inputs"]["startInputType"], "formInput");
    assert!(start["inputs"]["formInputTypes"].as_array().is_some_and(|fields| !fields.is_empty()), "{start}");
    assert_eq!(flow["nodes"].as_array().map(Vec::len), Some(1), "nothing else of the flow");
    assert!(!config.to_string().contains(&model.address.to_string()));
}

#[test]
fn what_might_be_asked_next_is_told_with_the_answer() {
    let model = Upstream::start(|seen, reply| {
        if seen.path != "/api/chat" {
            return model::answer(seen, reply, "fine thanks");
        }
        let said = json!({ "questions": ["Why?", "How?"] }).to_string();
        let message = json!({ "role": "assistant", "content": said });
        reply.json("200 OK", &json!({ "message": message, "done": true }).to_string());
    });
    let config = model::config("", "", super::WIDE);
    let gateway = Gateway::start_with(&config, &crate::harness::gateway::keys(""), |dir| {
        let mut flow: Value = serde_json::from_str(&model::export("llm-chain", model.address)).unwrap();
        let ollama =
            json!({ "baseUrl": format!("http://{}", model.address), "modelName": "m", "prompt": "After {history}:" });
        flow["followUpPrompts"] = json!({ "status": true, "selectedProvider": "ollama", "ollama": ollama });
        model::write(dir, "support", &flow.to_string());
    });
    assert_eq!(
        get(&gateway, "/api/v1/public-chatbotConfig/support").json()["followUpPrompts"],
        json!({ "status": true })
    );
    // As Flowise tells them: JSON in a text, and in an answer of one piece that once more.
    let list = r#"["Why?","How?"]"#;
    let answer = gateway.predict(ASK).json();
    assert_eq!((&answer["text"], &answer["followUpPrompts"]), (&"fine thanks".into(), &json!(json!(list).to_string())));
    let asked: Vec<Value> = model.seen().iter().filter(|seen| seen.path == "/api/chat").map(Seen::json).collect();
    assert_eq!(asked[0]["messages"], json!([{ "role": "user", "content": "After fine thanks:" }]));
    let told = stream(&gateway, STREAM);
    let metadata = told.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok());
    let metadata: Vec<Value> = metadata.filter(|event| event["event"] == "metadata").collect();
    assert_eq!(metadata[0]["data"]["followUpPrompts"], list);
}

#[test]
fn a_flow_that_does_not_stream_says_so_and_answers_in_one_piece() {
    let model = model::saying("fine thanks");
    let config = model::config("", "", super::WIDE);
    let gateway = Gateway::start_with(&config, &crate::harness::gateway::keys(""), |dir| {
        let flow = model::export("llm-chain", model.address);
        assert!(flow.contains("\"streaming\": true"));
        model::write(dir, "support", &flow.replace("\"streaming\": true", "\"streaming\": false"));
    });
    let asked = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
    assert_eq!(asked.text(), r#"{"isStreaming":false}"#);
    let answer = gateway.predict(STREAM);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!((&answer.json()["text"], &answer.json()["isStreamValid"]), (&"fine thanks".into(), &false.into()));
    assert_ne!(model.wait_seen(1)[0].json()["stream"], true);
}

#[test]
fn the_access_log_says_what_the_models_took() {
    let model = model::saying("fine thanks");
    let gateway = running(&model, "llm-chain");
    let line = |stream: bool| {
        gateway.log_line(|line| {
            line["message"] == "request" && line["route"] == "prediction" && line["events"].is_number() == stream
        })
    };
    assert_eq!(gateway.predict(ASK).status, 200);
    let whole = line(false);
    let took = |line: &Value| ["model_calls", "tokens_in", "tokens_out"].map(|name| line[name].as_u64());
    assert_eq!((&whole["model"], took(&whole)), (&"stub-model".into(), [Some(1), Some(7), Some(3)]));
    assert_eq!(whole.get("first_token_ms"), None);
    stream(&gateway, STREAM);
    let streamed = line(true);
    assert_eq!((&streamed["model"], took(&streamed)), (&"stub-model".into(), [Some(1), Some(7), Some(3)]));
    assert!(streamed["first_token_ms"].as_f64().unwrap() <= streamed["duration_ms"].as_f64().unwrap());
}

#[test]
fn calls_of_models_are_counted_by_chatflow_and_model() {
    let model = model::saying("fine thanks");
    let gateway = running(&model, "llm-chain");
    assert_eq!(gateway.predict(ASK).status, 200);
    assert!(events(&stream(&gateway, STREAM)).contains(&"token".to_owned()));
    let series =
        |name: &str, more: &str| format!("flowgate_engine_{name}{{chatflow=\"support\",{more}model=\"stub-model\"}}");
    gateway.wait_metric(&series("model_requests_total", ""), 2.0);
    gateway.wait_metric(&series("tokens_total", "direction=\"in\","), 14.0);
    gateway.wait_metric(&series("tokens_total", "direction=\"out\","), 6.0);
    // Of streams alone: only there does somebody wait for it.
    gateway.wait_metric("flowgate_engine_first_token_seconds_count{chatflow=\"support\"}", 1.0);
    let address = format!("flowgate_upstream_healthy{{upstream=\"local\",url=\"http://{}\"}}", model.address);
    gateway.wait_metric(&address, 1.0);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 5.0);
}

#[test]
fn no_label_comes_from_a_client() {
    let model = Upstream::start(|seen, reply| {
        let name = seen.json()["model"].clone();
        model::answer(seen, reply, name.as_str().unwrap_or_default());
    });
    let gateway = super::with(&model, "llm-chain", "", ", override_config: [modelName, timeout]");
    for number in 0..5 {
        let overrides = json!({ "modelName": format!("odd-{number}"), "timeout": 5000 + number });
        let body = json!({ "question": "hi", "overrideConfig": overrides }).to_string();
        let answer: Value = gateway.predict(&body).json();
        assert_eq!(answer["text"], format!("odd-{number}"));
    }
    gateway.wait_metric("flowgate_engine_model_requests_total{chatflow=\"support\",model=\"other\"}", 5.0);
    assert!(!gateway.metrics().contains("odd-"));
    let connections: std::collections::BTreeSet<_> = model.seen().iter().map(|seen| seen.connection).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    assert!(connections.len() <= threads, "one address, one connection of each engine thread: {connections:?}");
}
