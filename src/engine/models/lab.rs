//! For tests: a provider on the loopback that answers once, with what a test gives it, and keeps what it was sent.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::config::Secret;
use crate::engine::InProcess;
use crate::engine::compile::Compiler;
use crate::engine::compile::context::CompileContext;
use crate::engine::compile::export::{Export, ExportNode};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message, ToolCall, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::{Run, Services};
use crate::engine::contract::sink::Sink;
use crate::engine::contract::watch::RunWatch;
use crate::engine::documents::index::Indexes;
use crate::engine::flow::kinds::KINDS;
use crate::engine::mcp::McpState;
use crate::engine::provider::Targets;
use crate::engine::sandbox::Sandbox;
use crate::engine::text::overrides::Overrides;
use crate::telemetry::metrics::Metrics;

pub(crate) const IMAGE: &str = "data:image/png;base64,iVBORw0KGgo=";

/// Among inputs: further credentials.
pub(crate) const CREDENTIALS: &str = "__credentials";

/// Stands in inputs for the provider's address.
pub(crate) const HERE: &str = "http://here";

/// What the provider was sent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

/// A conversation with everything in it: a system, an image, a call and its result.
pub(crate) fn conversation() -> Vec<Message> {
    let call = ToolCall::new("call_1", "calculator", json!({ "input": "6*7" }));
    let pieces = vec![ContentPart::Image(IMAGE.to_owned()), ContentPart::Text("What is 6*7?".to_owned())];
    vec![
        Message::system("Be brief."),
        Message { content: Content::Pieces(pieces), ..Message::user("") },
        Message::calling("", vec![call.clone()]),
        Message::tool(&call, "42").named("calculator"),
        Message::user("And now?"),
    ]
}

pub(crate) fn calculator() -> ToolSpec {
    ToolSpec {
        name: "calculator".to_owned(),
        description: "Computes.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "input": { "type": "string" } },
            "additionalProperties": false,
            "$schema": "http://json-schema.org/draft-07/schema#",
        }),
    }
}

/// The schema of an answer with a city in it.
pub(crate) fn city() -> Value {
    json!({
        "type": "object",
        "properties": { "city": { "type": "string", "description": "The city" } },
        "required": ["city"],
        "additionalProperties": false,
    })
}

/// Credentials of every provider.
pub(crate) fn credentials() -> crate::engine::compile::context::Credentials {
    let all = [
        ("openAIApi", "openAIApiKey"),
        ("azureOpenAIApi", "azureOpenAIApiKey"),
        ("azureOpenAIApi", "azureOpenAIApiInstanceName"),
        ("azureOpenAIApi", "azureOpenAIApiDeploymentName"),
        ("azureOpenAIApi", "azureOpenAIApiVersion"),
        ("anthropicApi", "anthropicApiKey"),
        ("mistralAIApi", "mistralAIAPIKey"),
        ("googleGenerativeAI", "googleGenerativeAPIKey"),
        ("ollamaApi", "ollamaApiKey"),
        ("localAIApi", "localAIApiKey"),
        ("cohereApi", "cohereApiKey"),
        ("huggingFaceApi", "huggingFaceApiKey"),
        ("jinaAIApi", "jinaAIAPIKey"),
        ("togetherAIApi", "togetherAIApiKey"),
        ("voyageAIApi", "apiKey"),
        ("fireworksApi", "fireworksApiKey"),
        ("perplexityApi", "perplexityApiKey"),
        ("pineconeApi", "pineconeApiKey"),
        ("supabaseApi", "supabaseApiKey"),
        ("replicateApi", "replicateApiKey"),
        ("groqApi", "groqApiKey"),
        ("cloudflareApi", "cloudflareAccountId"),
        ("cloudflareApi", "cloudflareApiToken"),
        ("AlibabaApi", "alibabaApiKey"),
        ("awsApi", "awsKey"),
        ("awsApi", "awsSecret"),
    ];
    let mut credentials = HashMap::<String, HashMap<String, Secret>>::new();
    for (name, field) in all {
        credentials.entry(name.to_owned()).or_default().insert(field.to_owned(), Secret::new(format!("a-{field}")));
    }
    credentials
}

/// A node of that kind, built; or its problems, as they are shown.
pub(crate) fn built(kind: &dyn NodeKind, inputs: Value, credentialed: bool) -> Result<Part, Vec<String>> {
    let (part, problems, _) = made(kind, inputs, credentialed);
    part.ok_or(problems)
}

/// What it asks for and does not get, if nothing is wrong with it.
pub(crate) fn needs(kind: &dyn NodeKind, inputs: Value) -> Vec<String> {
    let (_, problems, needs) = made(kind, inputs, true);
    assert_eq!(problems, [""; 0]);
    needs
}

/// With its problems, and what it needs.
fn made(kind: &dyn NodeKind, inputs: Value, credentialed: bool) -> (Option<Part>, Vec<String>, Vec<String>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut credentials = if credentialed { credentials() } else { HashMap::new() };
    let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
    if let Some(Value::Object(more)) = inputs.shift_remove(CREDENTIALS) {
        let fields = |fields: &Value| {
            let fields = fields.as_object().unwrap().iter();
            fields.map(|(field, text)| (field.clone(), Secret::new(text.as_str().unwrap().to_owned()))).collect()
        };
        credentials.extend(more.iter().map(|(name, all)| (name.clone(), fields(all))));
    }
    let loopback = ["127.0.0.0/8".parse().unwrap()];
    let context = CompileContext::new(credentials, Targets::alone("test", &metrics).allowing(&loopback));
    let export: Export = serde_json::from_value(json!({ "nodes": [] })).unwrap();
    let data = json!({ "name": kind.names()[0], "label": "The model" });
    let node: ExportNode = serde_json::from_value(json!({ "id": "model_0", "data": data })).unwrap();
    let overrides = Overrides::default();
    let indexes = Indexes::default();
    let mut compiler = Compiler::new(&export, &context, &overrides, KINDS, &indexes);
    let part = Inputs::new(&node, inputs, &mut compiler).build(kind);
    let problems = compiler.problems.iter().map(ToString::to_string).collect();
    (part, problems, compiler.missing.iter().map(|missing| missing.need.to_string()).collect())
}

pub(crate) fn model(kind: &dyn NodeKind, inputs: Value) -> Arc<dyn ChatModel> {
    built(kind, inputs, true).unwrap().into_model().unwrap()
}

pub(crate) fn problems(kind: &dyn NodeKind, inputs: Value) -> Vec<String> {
    built(kind, inputs, true).expect_err("it is refused")
}

/// What a run is made of.
struct Stage {
    services: Services,
    request: RunRequest,
    sink: Sink,
    watch: RunWatch,
}

impl Stage {
    fn telling(sink: Sink) -> Self {
        Self { services: services(), request: RunRequest::default(), sink, watch: RunWatch::default() }
    }

    fn run(&self) -> Run<'_> {
        let Self { services, request, sink, watch } = self;
        Run { services, flow: "flow", request, sink, watch, trace: None, names: None }
    }
}

/// What came of asking a model once.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) received: Received,
    pub(crate) answered: Result<ModelAnswer, Failure>,
    /// The client's stream.
    pub(crate) events: String,
}

/// Asks a model whose provider answers so, in pieces of seven bytes.
pub(crate) async fn asked(
    kind: &dyn NodeKind,
    inputs: Value,
    ask: ModelRequest<'_>,
    status: u16,
    answer: &str,
) -> Asked {
    let (listener, inputs) = provider(inputs).await;
    let model = model(kind, inputs);
    let stage = Stage::telling(Sink::flowise());
    let run = stage.run();
    let ask = ModelRequest { tokens: Some(&stage.sink), ..ask };
    let work = async { tokio::join!(serve(&listener, status, answer), run.ask(&*model, ask)) };
    let (received, answered) = patiently(&stage.services, work).await;
    Asked { received, answered, events: stage.sink.told() }
}

/// Has texts embedded, or, if there is one, a question; the provider answers in turn.
pub(crate) async fn embedded(
    kind: &dyn NodeKind,
    inputs: Value,
    texts: &[&str],
    answers: &[Value],
) -> (Vec<Received>, Result<Vec<Vec<f32>>, Failure>) {
    let (listener, inputs) = provider(inputs).await;
    let embeddings = built(kind, inputs, true).unwrap().into_embeddings().unwrap();
    let stage = Stage::telling(Sink::default());
    let run = stage.run();
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let serving = async {
        let mut all = Vec::new();
        for answer in answers {
            all.push(serve(&listener, 200, &said(answer)).await);
        }
        all
    };
    let embedding = async {
        match texts.as_slice() {
            [question] => embeddings.embed_question(question, &run).await.map(|vector| vec![vector]),
            texts => embeddings.embed_all(texts, &run).await,
        }
    };
    patiently(&stage.services, async { tokio::join!(serving, embedding) }).await
}

/// Does some work with the provider's address in the inputs; it answers in turn, with JSON, or a text as it is.
pub(crate) async fn at_provider<T>(
    inputs: Value,
    answers: &[Value],
    work: impl AsyncFnOnce(Value, &Run<'_>) -> T,
) -> (Vec<Received>, T) {
    let (listener, inputs) = provider(inputs).await;
    let here = format!("http://{}", listener.local_addr().unwrap());
    let stage = Stage::telling(Sink::default());
    let run = stage.run();
    let serving = async {
        let mut all = Vec::new();
        for answer in answers {
            all.push(serve(&listener, 200, &said(answer).replace(HERE, &here)).await);
        }
        all
    };
    let both = Box::pin(async { tokio::join!(serving, work(inputs, &run)) });
    patiently(&stage.services, both).await
}

/// Asks a model whose provider takes the request and says nothing.
pub(crate) async fn asked_in_vain(kind: &dyn NodeKind, inputs: Value, ask: ModelRequest<'_>) -> Failure {
    let (listener, inputs) = provider(inputs).await;
    let model = model(kind, inputs);
    let stage = Stage::telling(Sink::flowise());
    let run = stage.run();
    let answered = patiently(&stage.services, run.ask(&*model, ask)).await;
    drop(listener);
    answered.expect_err("nobody answers")
}

/// JSON, or a text as it is.
fn said(answer: &Value) -> String {
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

async fn patiently<T>(services: &Services, work: impl Future<Output = T>) -> T {
    let client = services.client.clone();
    let work = async {
        let keeping = tokio::task::spawn_local(client.run());
        let done = tokio::time::timeout(std::time::Duration::from_secs(20), work).await;
        keeping.abort();
        done.expect("in time")
    };
    tokio::task::LocalSet::new().run_until(work).await
}

async fn provider(inputs: Value) -> (TcpListener, Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let inputs = inputs.to_string().replace(HERE, &address);
    (listener, serde_json::from_str(&inputs).unwrap())
}

pub(crate) fn services() -> Services {
    let metrics = Arc::new(Metrics::new().unwrap());
    let sandbox = Sandbox::new(&metrics);
    let servers = Arc::new(McpState::new(&metrics));
    Services::new(metrics, Arc::new(InProcess::default()), sandbox, servers, Arc::default())
}

/// Takes one request, and closes the connection behind the answer.
async fn serve(provider: &TcpListener, status: u16, answer: &str) -> Received {
    let (mut stream, _) = provider.accept().await.unwrap();
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let mut received = Received { line: lines.next().unwrap_or_default().to_owned(), ..Received::default() };
    received.headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = received.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
    received.body = serde_json::from_slice(&bytes[head + 4..])
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes[head + 4..]).into_owned().into());
    let head = format!("HTTP/1.1 {status} Said\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in answer.as_bytes().chunks(7) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    received
}
