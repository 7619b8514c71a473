//! For unit tests: a model that answers from a list and keeps what it was asked, and predictions by flows that are
//! written in the test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::contract::Task;
use super::flow::CompiledFlow;
use super::memory::InProcess;
use super::provider::Targets;
use crate::config::Secret;
use crate::engine::compile::context::{CompileContext, Credentials};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Document, Reply};
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::{Run, Services};
use crate::engine::contract::sink::Sink;
use crate::engine::contract::watch::RunWatch;
use crate::engine::mcp::McpState;
use crate::engine::sandbox::Sandbox;
use crate::predict::json::parse_object;
use crate::predict::request::{CheckedRequest as _, Question};
use crate::telemetry::metrics::Metrics;

pub(super) const KINDS: &[&dyn NodeKind] = &[&TestModel, &PanickingModel];

thread_local! {
    static ASKED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static ANSWERS: RefCell<VecDeque<Value>> = const { RefCell::new(VecDeque::new()) };
}

/// For a whole flow.
const LONGEST: Duration = Duration::from_secs(20);

/// The node `testModel`: takes its answers from [`predict`].
struct TestModel;

impl NodeKind for TestModel {
    fn names(&self) -> &'static [&'static str] {
        &["testModel"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        Some(Part::Model(Arc::new(Scripted { sees_images })))
    }
}

#[derive(Debug)]
struct Scripted {
    sees_images: bool,
}

impl ChatModel for Scripted {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, _: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let tools: Vec<Value> = ask
                .tools
                .iter()
                .map(
                    |tool| json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters }),
                )
                .collect();
            let messages: Vec<Value> = ask.messages.iter().map(shown).collect();
            ASKED.with_borrow_mut(|asked| {
                asked.push(match (tools.is_empty(), ask.stop.is_empty()) {
                    (true, true) => messages.into(),
                    (false, _) => json!({ "messages": messages, "tools": tools }),
                    (true, false) => json!({ "messages": messages, "stop": ask.stop }),
                });
            });
            let answer = ANSWERS.with_borrow_mut(VecDeque::pop_front).ok_or(Failure::Timeout)?;
            let text = answer.as_str().unwrap_or_default().to_owned();
            if let Some(tokens) = ask.tokens.filter(|_| !text.is_empty()) {
                tokens.begin();
                text.split_inclusive(' ').for_each(|token| tokens.token(token));
            }
            let call = |call: &Value| ToolCall {
                id: call["id"].as_str().unwrap_or("call_1").to_owned(),
                name: call["name"].as_str().unwrap_or_default().to_owned(),
                arguments: call["arguments"].clone(),
                opaque: None,
            };
            let calls = answer.as_array().into_iter().flatten().map(call).collect();
            Ok(ModelAnswer { text, calls, ..ModelAnswer::default() })
        })
    }

    fn name(&self) -> &'static str {
        "test"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}

/// The node `panickingModel`.
struct PanickingModel;

impl NodeKind for PanickingModel {
    fn names(&self) -> &'static [&'static str] {
        &["panickingModel"]
    }

    fn build(&self, _: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        Some(Part::Model(Arc::new(Panicking)))
    }
}

#[derive(Debug)]
struct Panicking;

impl ChatModel for Panicking {
    fn chat<'a>(&'a self, _: ModelRequest<'a>, _: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        panic!("as a fault of the engine's own would")
    }

    fn name(&self) -> &'static str {
        "test"
    }
}

/// A message as it is sent to `OpenAI`.
fn shown(message: &Message) -> Value {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let piece = |piece: &ContentPart| match piece {
        ContentPart::Text(text) => json!({ "text": text, "type": "text" }),
        ContentPart::Image(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
    };
    let content = match &message.content {
        Content::Text(text) => text.as_str().into(),
        Content::Pieces(pieces) => pieces.iter().map(piece).collect::<Value>(),
    };
    let mut fields = json!({ "role": role, "content": content });
    if !message.calls.is_empty() {
        let call = |call: &ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
            json!({ "id": call.id, "type": "function", "function": function })
        };
        fields["tool_calls"] = message.calls.iter().map(call).collect();
    }
    if let Some((id, _)) = &message.answers {
        fields["tool_call_id"] = id.as_str().into();
    }
    fields
}

/// A flow of nodes `(id, kind, inputs)`; references between them become edges. An id that ends in `!` gives its
/// prediction, and behind `#` stands another output.
pub(crate) fn flow(nodes: &[(&str, &str, Value)]) -> Result<CompiledFlow, String> {
    load(&exported(nodes))
}

/// As [`flow`], where the loopback may be called, with these credentials: name, field and secret.
pub(crate) fn flow_with(secrets: &[(&str, &str, &str)], nodes: &[(&str, &str, Value)]) -> Result<CompiledFlow, String> {
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    loaded(&exported(nodes), &Arc::new(CompileContext::new(credentials(secrets), targets)))
}

/// A flow whose every request goes to that server.
pub(crate) fn flow_at(
    server: std::net::SocketAddr,
    secrets: &[(&str, &str, &str)],
    export: &Value,
) -> Result<CompiledFlow, String> {
    let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&everywhere).staged(server);
    loaded(export, &Arc::new(CompileContext::new(credentials(secrets), targets)))
}

fn credentials(secrets: &[(&str, &str, &str)]) -> Credentials {
    let mut credentials = Credentials::default();
    for (name, field, secret) in secrets {
        credentials
            .entry((*name).to_owned())
            .or_default()
            .insert((*field).to_owned(), Secret::new((*secret).to_owned()));
    }
    credentials
}

/// As Flowise would export it.
pub(crate) fn exported(nodes: &[(&str, &str, Value)]) -> Value {
    let node = |(id, kind, inputs): &(&str, &str, Value)| {
        let (id, output) = id.split_once('#').map_or((*id, None), |(id, output)| (id, Some(output)));
        let output = output.or(id.ends_with('!').then_some("outputPrediction"));
        let output = output.map_or_else(|| json!({}), |output| json!({ "output": output }));
        let data = json!({ "name": kind, "label": id, "inputs": inputs, "outputs": output });
        json!({ "id": id, "data": data })
    };
    let mut edges = Vec::new();
    for (target, _, inputs) in nodes {
        let text = inputs.to_string();
        let sources = nodes.iter().map(|(source, ..)| source.split('#').next().unwrap());
        for source in sources.filter(|source| text.contains(&format!("{{{{{source}.data.instance"))) {
            edges.push(json!({ "source": source, "target": target.split('#').next() }));
        }
    }
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>(), "edges": edges })
}

pub(crate) fn load(export: &Value) -> Result<CompiledFlow, String> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let targets = Targets::alone("local", &metrics);
    loaded(export, &Arc::new(CompileContext::new(Credentials::default(), targets)))
}

fn loaded(export: &Value, context: &Arc<CompileContext>) -> Result<CompiledFlow, String> {
    CompiledFlow::load(None, "flow", &export.to_string(), context)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What came of a prediction.
#[derive(Debug)]
pub(crate) struct Predicted {
    pub(crate) reply: Result<Reply, Failure>,
    /// What the model was asked.
    pub(crate) asked: Vec<Value>,
    /// The names of the stream's events and what they tell.
    pub(crate) events: Vec<(String, Value)>,
}

/// Runs a flow once, as a stream; the model gives these answers, one a call.
pub(crate) fn predict(flow: &CompiledFlow, body: &Value, answers: &[Value]) -> Predicted {
    predictions(flow, &[(body.clone(), answers.to_vec())]).pop().unwrap()
}

/// As [`predict`], several by one memory.
pub(crate) fn predictions(flow: &CompiledFlow, requests: &[(Value, Vec<Value>)]) -> Vec<Predicted> {
    let services = services();
    requests.iter().map(|(body, answers)| predicted(flow, &services, body, answers)).collect()
}

/// One of several by the memory of these services.
pub(crate) fn predicted(flow: &CompiledFlow, services: &Services, body: &Value, answers: &[Value]) -> Predicted {
    ANSWERS.set(answers.to_vec().into());
    let sink = Sink::flowise();
    let reply = with_services(services, &sink, body, async |run| flow.answer(run).await);
    let events = sink
        .told()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok())
        .map(|event| (event["event"].as_str().unwrap().to_owned(), event["data"].clone()))
        .collect();
    Predicted { reply, asked: ASKED.take(), events }
}

/// What a flow answers that may run others.
pub(crate) fn answered_among(
    flow: &CompiledFlow,
    flows: &Arc<FlowIndex>,
    services: &Services,
    body: &Value,
) -> Result<Reply, Failure> {
    with_flows(flows, services, &Sink::flowise(), body, async |run| {
        tokio::time::timeout(LONGEST, flow.answer(run)).await.unwrap_or(Err(Failure::Timeout))
    })
}

/// What a flow puts into its vector store.
pub(crate) fn put_in(flow: &CompiledFlow, services: &Services, body: &Value) -> Result<Vec<Document>, Failure> {
    with_services(services, &Sink::flowise(), body, async |run| {
        flow.upsert(None, None, run).await.map(|put| put.documents)
    })
}

/// A server on the loopback that gives these answers, one a connection, and what it hears.
pub(crate) fn server(answers: &[&str]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hearing) = mpsc::channel();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let mut text = String::new();
            while !text.contains("\r\n\r\n") || (text.contains("content-length") && !text.ends_with(['}', ']'])) {
                let read = stream.read(&mut buffer).unwrap();
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            let _ = heard.send(text);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (origin, hearing)
}

/// An answer of [`server`].
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// Does something within a prediction.
pub(crate) fn within<T>(body: &Value, work: impl AsyncFnOnce(&Run<'_>) -> T) -> T {
    with_services(&services(), &Sink::default(), body, work)
}

impl RunRequest {
    /// Of a body that would pass.
    pub(crate) fn read(body: &Value) -> Self {
        let body = body.to_string();
        Question::of(parse_object(&body).unwrap(), body.len()).unwrap().into()
    }
}

fn with_services<T>(services: &Services, sink: &Sink, body: &Value, work: impl AsyncFnOnce(&Run<'_>) -> T) -> T {
    with_flows(&Arc::default(), services, sink, body, work)
}

fn with_flows<T>(
    flows: &Arc<FlowIndex>,
    services: &Services,
    sink: &Sink,
    body: &Value,
    work: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let mut fields = Map::from_iter([("chatId".to_owned(), "chat".into())]);
    fields.extend(body.as_object().cloned().unwrap());
    let request = RunRequest { flows: Arc::clone(flows), ..RunRequest::read(&Value::Object(fields)) };
    let watch = RunWatch::default();
    let run = Run { services, flow: "flow", request: &request, sink, watch: &watch, trace: None, names: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work(&run))
}

pub(crate) fn services() -> Services {
    let metrics = Arc::new(Metrics::new().unwrap());
    let sandbox = Sandbox::new(&metrics);
    let servers = Arc::new(McpState::new(&metrics));
    Services::new(metrics, Arc::new(InProcess::default()), sandbox, servers, Arc::default())
}
