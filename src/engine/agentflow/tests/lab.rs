//! A model on the loopback that answers as `tests/flowise/lab/stub-llm.mjs` does, and flows that ask it.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::engine::compile::context::CompileContext;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::{Run, Services};
use crate::engine::contract::sink::Sink;
use crate::engine::contract::watch::RunWatch;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::CompiledFlow;
use crate::engine::models::lab;
use crate::engine::provider::Targets;
use crate::engine::threads::answer;
use crate::predict::answer::View;
use crate::telemetry::metrics::Metrics;

/// What the model was sent, in order.
pub(super) type Seen = Rc<RefCell<Vec<Value>>>;

/// See the module.
pub(super) struct Lab {
    pub(super) flow: Arc<CompiledFlow>,
    pub(super) services: Services,
    pub(super) seen: Seen,
    chats: Cell<u32>,
    /// Further flows of the same engine.
    flows: Arc<FlowIndex>,
}

/// What came of one request.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The JSON answer, or the error's sentence.
    pub(super) json: Value,
    /// Events of the stream.
    pub(super) events: Vec<Value>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        self.json["text"].as_str().unwrap_or_default()
    }

    /// Names of events, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.events.iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What a node gave, the last time that it was run.
    pub(super) fn data(&self, id: &str) -> &Value {
        let nodes = self.json["agentFlowExecutedData"].as_array().expect("what was run");
        &nodes.iter().rev().find(|node| node["nodeId"] == id).expect("the node was run")["data"]
    }

    /// Labels of what was run, in order.
    pub(super) fn path(&self) -> Vec<&str> {
        let nodes = self.json["agentFlowExecutedData"].as_array().expect("what was run");
        nodes.iter().filter_map(|node| node["nodeLabel"].as_str()).collect()
    }
}

/// Runs a test where it may wait for models.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let test = async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("in time") };
    local.block_on(&runtime, test)
}

/// One of the exports in `tests/flowise/flows`.
pub(super) fn export(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/flowise/flows/{name}.json"));
    std::fs::read_to_string(path).unwrap()
}

impl Lab {
    pub(super) async fn new(export: &str) -> Self {
        Self::with_others(export, &[]).await
    }

    /// With further flows of the same engine.
    pub(super) async fn with_others(export: &str, others: &[(&str, &str)]) -> Self {
        Self::with(export, others, Arc::default()).await
    }

    pub(super) async fn with_stores(export: &str, stores: Arc<DocumentStores>) -> Self {
        Self::with(export, &[], stores).await
    }

    async fn with(export: &str, others: &[(&str, &str)], stores: Arc<DocumentStores>) -> Self {
        let (address, seen) = model().await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let targets = Targets::alone("test", &metrics).allowing(&["127.0.0.1/32".parse().unwrap()]);
        let context = Arc::new(CompileContext::new(lab::credentials(), targets).with_stores(stores));
        let load = |name: &str, export: &str| {
            let export = export.replace("LLM_BASE_PATH_PLACEHOLDER", &address.to_string());
            Arc::new(
                CompiledFlow::load(None, name, &export, &context).unwrap_or_else(|problems| panic!("{problems:?}")),
            )
        };
        let flow = load("flow", export);
        let others = others.iter().map(|(name, export)| load(name, export));
        let flows = others.map(|flow| (flow.name.to_string(), flow)).collect();
        Self { flow, services: lab::services(), seen, chats: Cell::new(0), flows: Arc::new(flows) }
    }

    pub(super) async fn ask(&self, body: Value) -> Answer {
        self.ask_until(body, CancellationToken::new()).await
    }

    /// As [`ask`](Self::ask), with somebody who may ask for its end.
    pub(super) async fn ask_until(&self, body: Value, abort: CancellationToken) -> Answer {
        let mut request = RunRequest::read(&body);
        request.flows = Arc::clone(&self.flows);
        let sink = if body["streaming"] == true { Sink::flowise() } else { Sink::default() };
        let mut watch = RunWatch::default();
        watch.abort = abort;
        let run = Run {
            services: &self.services,
            flow: &self.flow.name,
            request: &request,
            sink: &sink,
            watch: &watch,
            trace: None,
            names: None,
        };
        let json = match self.flow.answer(&run).await {
            Ok(reply) => {
                let json = View::default().whole(answer::fields(reply.clone(), &request)).unwrap();
                let json = serde_json::from_slice(&json).unwrap();
                answer::tell_end(reply, &request, &sink);
                json
            }
            Err(failure) => {
                answer::tell_failure(&failure, &sink, &watch.redactor);
                failure.sentence(&watch.redactor).into_string().into()
            }
        };
        let events = sink.told();
        let events = events.lines().filter_map(|line| line.strip_prefix("data:"));
        Answer { json, events: events.map(|data| serde_json::from_str(data).unwrap()).collect() }
    }

    /// What the model was sent since the last time.
    pub(super) fn sent(&self) -> Vec<Value> {
        self.seen.take()
    }

    /// The number of a chat that was not there before.
    pub(super) fn chat(&self) -> u32 {
        self.chats.set(self.chats.get() + 1);
        self.chats.get()
    }
}

async fn model() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let kept = Rc::clone(&seen);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream, Rc::clone(&kept)));
        }
    });
    (address, seen)
}

/// One request; the connection is closed behind the answer.
async fn serve(mut stream: TcpStream, seen: Seen) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let body: Value = serde_json::from_slice(&bytes[head + 4..]).unwrap_or_default();
    let is_chat = text.starts_with("post /v1/chat/completions");
    let number = seen.borrow().len() + 1;
    seen.borrow_mut().push(if is_chat { body.clone() } else { json!({ "line": text.lines().next(), "body": body }) });
    let (status, kind, answer) = if is_chat { chat(&body, number) } else { other(&text) };
    let answered = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all((answered + &answer).as_bytes()).await;
}

/// Something that is no model.
fn other(head: &str) -> (u16, &'static str, String) {
    if head.contains("/missing") {
        return (404, "application/json", json!({ "error": "no such thing" }).to_string());
    }
    (200, "application/json", json!({ "events": [{ "id": 1 }] }).to_string())
}

fn chat(body: &Value, number: usize) -> (u16, &'static str, String) {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let text = |message: &Value| match &message["content"] {
        Value::Array(pieces) => pieces.iter().filter_map(|piece| piece["text"].as_str()).collect(),
        content => content.as_str().unwrap_or_default().to_owned(),
    };
    let last = messages.last().cloned().unwrap_or_default();
    let asked = messages.iter().rfind(|message| message["role"] == "user").unwrap_or(&last);
    let raw = text(asked);
    let mark =
        |name: &str| raw.split_once(&format!("[[{name}="))?.1.split_once("]]").map(|(value, _)| value.to_owned());
    if let Some(status) = mark("error") {
        let error = json!({ "error": { "message": format!("stub error {status}"), "type": "stub_error" } });
        return (status.parse().unwrap(), "application/json", error.to_string());
    }
    let offers = |name: &str| {
        body["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == name))
    };
    let is_answered = last["role"] == "tool";
    let forced = body["tool_choice"]["function"]["name"]
        .as_str()
        .map(|name| (name.to_owned(), mark("form").unwrap_or_default()));
    let wanted = mark("tool")
        .and_then(|call| call.split_once(':').map(|(name, arguments)| (name.to_owned(), arguments.to_owned())));
    let call = forced.or(wanted.filter(|(name, _)| !is_answered && offers(name)));
    let clean = raw.split("[[").next().unwrap_or_default().trim().to_owned();
    let said = match () {
        () if is_answered => format!("Tool said: {}", text(&last)),
        () => mark("say").unwrap_or_else(|| format!("Stub answer to: {clean}")),
    };
    let count = |text: &str| text.split_whitespace().count();
    let prompt: usize = messages.iter().map(|message| count(&text(message))).sum();
    let completion = if call.is_some() { 1 } else { count(&said) };
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
    });
    let base = json!({
        "id": format!("chatcmpl-stub-{number}"), "created": 1_700_000_000, "model": body["model"],
        "system_fingerprint": "fp_stub", "object": "chat.completion.chunk",
    });
    let mut out = String::new();
    let mut chunk = |choices: Value, usage: Option<&Value>| {
        let mut chunk = base.clone();
        chunk["choices"] = choices;
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        let _ = write!(out, "data: {chunk}\n\n");
    };
    let choice = |delta: &Value, reason: &Value| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
    let first = if call.is_some() { Value::Null } else { "".into() };
    chunk(choice(&json!({ "role": "assistant", "content": first, "refusal": null }), &Value::Null), None);
    let reason = if call.is_some() { "tool_calls" } else { "stop" };
    if let Some((name, arguments)) = call {
        let function = json!({ "name": name, "arguments": arguments });
        let call = json!({
            "index": 0, "id": format!("call_stub_{number}"), "type": "function", "function": function,
        });
        chunk(choice(&json!({ "tool_calls": [call] }), &Value::Null), None);
    } else {
        let mut rest = said.as_str();
        while !rest.is_empty() {
            let spaces = rest.len() - rest.trim_start().len();
            let end = rest[spaces..].find(char::is_whitespace).map_or(rest.len(), |end| end + spaces);
            chunk(choice(&json!({ "content": &rest[..end] }), &Value::Null), None);
            rest = &rest[end..];
        }
    }
    chunk(choice(&json!({}), &reason.into()), None);
    chunk(json!([]), Some(&usage));
    out.push_str("data: [DONE]\n\n");
    (200, "text/event-stream", out)
}
