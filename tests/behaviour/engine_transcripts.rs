//! What real Flowise 3.1.4 was recorded to do is done by the built-in engine as well: the same requests to the same
//! flows lead to the same requests to the model, answers and events; ids, times and addresses aside.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::transcripts::{Message, block};
use crate::harness::client::Connection;
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model::{MODEL_KEY, export, write};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, echo};

/// The recorded flows by their ids: the export, and what its chatflow needs. Post-processing and rate limits of Flowise
/// are no part of an export, code is not run, and refusing an override is the gateway's own way to ignore it.
const FLOWS: &[(&str, &str, &str)] = &[
    ("d8db3964-917a-4b70-96c1-fd8c74aa94ba", "llm-chain", OVERRIDES),
    ("9c496d79-451d-4823-8349-f75970b9263d", "llm-chain", OVERRIDES),
    ("5e7a2126-5ebc-4b30-b04b-4bf9661986c2", "llm-chain two missing", ""),
    ("9264a774-f4d3-4324-8cf6-63bba6e5bff8", "llm-chain not streaming", ""),
    ("6770e564-6764-4559-987a-02786081b605", "llm-chain-vars", VARIABLES),
    ("7cbae1c7-2bca-40b6-ae9f-e62bf622ae5f", "llm-chain-chat-prompt", ""),
    (
        "aecfc352-d572-4a13-be07-e77514e98202",
        "conversation-chain",
        ", override_config: [sessionId, systemMessagePrompt]",
    ),
    ("d883c560-4922-4724-a98d-4a01f3283839", "conversation-chain", ""),
    ("42af9302-8968-48f2-8ef0-73c187f8ec41", "retrieval-qa", ""),
    ("421edcb3-d98f-4d06-b057-41cf69e1a90c", "tool-agent", ""),
    ("95e95476-5a5f-4769-acd8-96f368518577", "agentflow-llm", ""),
    ("3c9da6f5-b4ca-48ec-9bab-ad5952676876", "agentflow-llm", ""),
    ("aa119417-ab7c-465f-97bd-9ab2a3f27afe", "agentflow-llm-reply", VARIABLES),
    ("498339bf-d1e3-49e7-b432-b3a8890f4269", "agentflow-form", VARIABLES),
    ("bb49af46-2ac3-4f4f-b3b1-b2331cf3bc98", "agentflow-agent-tool", ""),
];
const OVERRIDES: &str = ", override_config: [sessionId, promptValues, template, temperature, modelName]";
const VARIABLES: &str = ", override_config: [sessionId], vars: { userId: default-user }";

/// What the engine does in its own way, and why.
const MEANT: &[(&str, &str)] = &[
    ("\"stream\": true is ignored", "the gateway takes it for streaming"),
    ("single brace", "the node and the input are named"),
    ("single closing brace", "the node and the input are named"),
    ("connection cut", "Flowise tries seven times; the engine passes on what came"),
];

/// What a recording holds, in order.
enum Part {
    Exchange {
        name: String,
        request: Message,
        response: Message,
    },
    /// What the model was sent since the part of this kind before it; `None`: shortened in the recording.
    Model {
        name: String,
        requests: Vec<(String, Option<Value>)>,
    },
}

fn parts(file: &str) -> Vec<Part> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flowise/wire");
    let text = std::fs::read(folder.join(format!("{file}.txt"))).expect("a recording");
    let mut parts = Vec::new();
    let mut rest = text.as_slice();
    let mut title = String::new();
    loop {
        let next = |marker: &str| memchr::memmem::find(rest, marker.as_bytes()).unwrap_or(usize::MAX);
        let (titled, asked, noted) = (next("\n=== "), next("\n>>> request, "), next("\n--- "));
        let first = titled.min(asked).min(noted);
        if first == usize::MAX {
            return parts;
        }
        if first == titled {
            title = line_at(rest, first + 5);
            rest = &rest[first + 5..];
        } else if first == asked {
            let (_, request, after) = block(rest, "\n>>> request, ").expect("just found");
            let (_, response, after) = block(after, "\n<<< response, ").expect("an answer");
            let name = format!("{file}: {title}");
            // Behind the answer, unless its end was left out.
            rest = after.get(response.len()..).unwrap_or(after);
            if let (Some(request), Some(response)) = (Message::parse(request), Message::parse(response)) {
                parts.push(Part::Exchange { name, request, response });
            }
        } else {
            let label = line_at(rest, first + 5);
            rest = &rest[first + 5..];
            let end = memchr::memmem::find(rest, b"\n=== ").unwrap_or(rest.len());
            if label.ends_with(':') {
                let requests = model_requests(&String::from_utf8_lossy(&rest[..end]));
                parts.push(Part::Model { name: format!("{file}: {title}: {label}"), requests });
                rest = &rest[end..];
            }
        }
    }
}

fn line_at(text: &[u8], at: usize) -> String {
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
    String::from_utf8_lossy(&text[at..end]).into_owned()
}

/// `#1 POST /v1/... \n{...}`; lines on connections that closed stand between.
fn model_requests(text: &str) -> Vec<(String, Option<Value>)> {
    let entries = text.split("\n#").skip(1).filter_map(|entry| {
        let (head, body) = entry.split_once('\n')?;
        let path = head.split(' ').nth(2).filter(|_| head.contains(" POST "))?;
        Some((path.to_owned(), serde_json::from_str(body).ok()))
    });
    entries.collect()
}

fn flow(export_name: &str, model: &Upstream) -> String {
    let (name, change) = export_name.split_once(' ').unwrap_or((export_name, ""));
    let mut flow: Value = serde_json::from_str(&export(name, model.address)).expect("an export");
    for node in flow["nodes"].as_array_mut().expect("nodes") {
        match change {
            "two missing" if node["data"]["name"] == "promptTemplate" => {
                node["data"]["inputs"]["promptValues"] = json!("");
            }
            "not streaming" if node["data"]["name"] == "chatOpenAI" => {
                node["data"]["inputs"]["streaming"] = json!(false);
            }
            _ => {}
        }
    }
    flow.to_string()
}

fn gateway(model: &Upstream) -> Gateway {
    let chatflow =
        |(id, _, more): &(&str, &str, &str)| format!("  {id}: {{ upstream: local, isolate_sessions: false{more} }}\n");
    let chatflows = FLOWS.iter().map(chatflow).collect::<Vec<_>>().concat();
    let config = format!(
        "server: {{ listen: '127.0.0.1:0', workers: 1 }}\n\
         admin: {{ listen: '127.0.0.1:0' }}\n\
         upstreams:\n  local: {{ engine: {{ credentials: {{ openAIApi: {{ openAIApiKey: {MODEL_KEY} }} }} }} }}\n\
         chatflows:\n{chatflows}\
         plans: {{ default: {{ requests: 100000/min, burst: 10000, concurrent: 1000 }} }}\n"
    );
    Gateway::start_with(&config, &keys(""), |dir| {
        for (id, name, _) in FLOWS {
            write(dir, id, &flow(name, model));
        }
    })
}

/// One replay, and what it found.
struct Replay {
    gateway: Gateway,
    model: Upstream,
    differences: Vec<String>,
    same: usize,
    refused: usize,
    /// What the model had been sent when the last part of its requests was looked at.
    model_seen: usize,
    /// Something since then was not replayed, or tried again where the engine gives up at once.
    is_incomplete: bool,
}

impl Replay {
    fn begin() -> Self {
        let model = echo::start();
        let gateway = gateway(&model);
        Self { gateway, model, differences: Vec::new(), same: 0, refused: 0, model_seen: 0, is_incomplete: false }
    }

    fn file(&mut self, file: &str) {
        self.is_incomplete = false;
        self.model_seen = self.model.seen().len();
        for part in parts(file) {
            match part {
                Part::Exchange { name, request, response } => self.exchange(&name, &request, &response),
                Part::Model { name, requests } => self.model(&name, &requests),
            }
        }
    }

    fn exchange(&mut self, name: &str, request: &Message, recorded: &Message) {
        let path = request.first_line.split(' ').nth(1).unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        let text = String::from_utf8_lossy(&request.body);
        self.is_incomplete |= text.contains("[[error=5") || text.contains("[[cut=");
        if !FLOWS.iter().any(|(known, ..)| *known == id) {
            self.is_incomplete = true;
            return;
        }
        if MEANT.iter().any(|(title, _)| name.contains(title)) {
            self.is_incomplete = true;
            return;
        }
        let content_type = request.header("content-type").unwrap_or("application/json");
        let mut connection = Connection::open(self.gateway.http);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            request.body.len()
        );
        connection.write([head.as_bytes(), &request.body].concat());
        let response = connection.read_response().unwrap_or_else(|error| panic!("{name}: {error}"));
        let refused = response.status == 400 && recorded.status() != 400;
        if refused {
            self.refused += 1;
            self.is_incomplete = true;
            return;
        }
        let is_stream = |kind: Option<&str>| kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let told = |status: u16, streams: bool, body: &[u8]| {
            let body = if streams { events(body) } else { answer(status, body) };
            normal(&json!({ "status": status, "streams": streams, "body": body }))
        };
        let here = told(response.status, is_stream(response.header("content-type")), &response.body);
        let there = told(recorded.status(), recorded.is_stream(), &recorded.body);
        self.compare(name, &there, &here);
    }

    fn model(&mut self, name: &str, recorded: &[(String, Option<Value>)]) {
        let seen = self.model.seen().split_off(self.model_seen);
        self.model_seen += seen.len();
        if std::mem::take(&mut self.is_incomplete) {
            return;
        }
        // Flowise embeds all documents anew for each question.
        let is_indexing = |path: &str, body: &Value| path.ends_with("/embeddings") && body["input"].is_array();
        let keeps = !seen.iter().any(|seen| is_indexing(&seen.path, &seen.json()));
        let recorded: Vec<_> = recorded
            .iter()
            .filter(|(path, body)| !(keeps && body.as_ref().is_some_and(|body| is_indexing(path, body))))
            .collect();
        let paths = |paths: Vec<&str>| json!(paths);
        self.compare(
            name,
            &paths(recorded.iter().map(|(path, _)| path.as_str()).collect()),
            &paths(seen.iter().map(|seen| seen.path.as_str()).collect()),
        );
        for (index, ((_, body), seen)) in recorded.iter().zip(&seen).enumerate() {
            if let Some(body) = body {
                self.compare(&format!("{name} #{}", index + 1), &normal(body), &normal(&seen.json()));
            }
        }
    }

    fn compare(&mut self, name: &str, flowise: &Value, engine: &Value) {
        if flowise == engine {
            self.same += 1;
        } else {
            self.differences.push(format!("{name}\n  Flowise {flowise}\n  engine  {engine}"));
        }
    }

    #[track_caller]
    fn assert_equal(self, at_least: usize) {
        println!("{} equal, {} refused by the gateway", self.same, self.refused);
        assert!(self.differences.is_empty(), "{}", self.differences.join("\n"));
        assert!(self.same >= at_least, "only {} were compared", self.same);
    }
}

/// The events of a stream without comments.
fn events(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body);
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|json| serde_json::from_str::<Value>(json).expect("an event")).collect()
}

/// Of a refusal its sentence, as the rest is the gateway's own.
fn answer(status: u16, body: &[u8]) -> Value {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    if status == 200 { json } else { json["message"].clone() }
}

/// Without ids, times, addresses, and what the engine keeps to itself.
fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) => normal_text(text).into(),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(fields) => {
            // Flowise does not know a traced tool's name.
            let is_traced = fields.contains_key("runId");
            let told = fields.iter().filter(|(name, _)| !(is_traced && *name == "name"));
            Value::Object(told.filter_map(normal_field).collect::<Map<_, _>>())
        }
        value => value.clone(),
    }
}

fn normal_field((name, value): (&String, &Value)) -> Option<(String, Value)> {
    let value = match name.as_str() {
        // Flowise shows where the model is and with which credential; LangChain's own objects and estimates.
        "credential"
        | "basepath"
        | "baseOptions"
        | "proxyUrl"
        | "FLOWISE_CREDENTIAL_ID"
        | "estimatedTokenUsage"
        | "additional_kwargs"
        | "parentRunId" => return None,
        "action" if value.is_string() => return None,
        "timeMetadata" => Value::Null,
        _ => normal(value),
    };
    Some((name.clone(), value))
}

fn normal_text(text: &str) -> String {
    let (text, _) = text.split_once("\n\nTroubleshooting URL").unwrap_or((text, ""));
    let is_of_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    let mut out = String::new();
    for piece in text.split_inclusive(|letter| !is_of_id(letter)) {
        let id = piece.trim_end_matches(|letter| !is_of_id(letter));
        let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
        if id.len() == 36 && dashes == [8, 13, 18, 23] {
            out.push_str("<uuid>");
            out.push_str(&piece[36..]);
        } else {
            out.push_str(piece);
        }
    }
    for (start, word) in [("call_stub_", "<call>"), ("127.0.0.1:", "<address>"), ("chatcmpl-stub-", "<completion>")] {
        if let Some((before, after)) = out.split_once(start) {
            out = format!("{before}{word}{}", after.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        }
    }
    out
}

#[test]
fn chains_answer_as_recorded() {
    let mut replay = Replay::begin();
    for file in [
        "02-llm-chain-json",
        "03-llm-chain-stream",
        "04-stream-flag-variants",
        "16-override-config",
        "36-template-syntax",
    ] {
        replay.file(file);
    }
    replay.assert_equal(30);
}

#[test]
fn conversations_answer_as_recorded() {
    let mut replay = Replay::begin();
    replay.file("09-conversation-chain");
    replay.assert_equal(15);
}

#[test]
fn uploads_are_taken_as_recorded() {
    let mut replay = Replay::begin();
    replay.file("17-uploads");
    replay.assert_equal(6);
}

#[test]
fn failures_of_models_are_told_as_recorded() {
    let mut replay = Replay::begin();
    replay.file("28-llm-errors");
    replay.assert_equal(8);
}

#[test]
fn retrieval_answers_as_recorded() {
    let mut replay = Replay::begin();
    replay.file("10-retrieval-qa");
    replay.assert_equal(4);
}

#[test]
fn agents_with_tools_answer_as_recorded() {
    let mut replay = Replay::begin();
    replay.file("11-tool-agent");
    replay.assert_equal(4);
}

#[test]
fn agentflows_answer_as_recorded() {
    let mut replay = Replay::begin();
    for file in ["12-agentflow-llm", "13-agentflow-llm-reply", "14-agentflow-form", "15-agentflow-agent-tool"] {
        replay.file(file);
    }
    replay.assert_equal(10);
}
