//! Replicate: a prediction is begun, and looked at until it is done, or streamed from where its provider says.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value};

use super::completions::prompt_of;
use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::broken_off;
use super::tokens::ExpiringCache;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;
use crate::engine::provider::address::split;
use crate::engine::provider::{Incoming, ProviderCall, ProviderEndpoint, Targets, unreadable};

const ADDRESS: &str = "https://api.replicate.com";
const CREDENTIAL: &str = "replicateApi";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks at one prediction: more than a run has time for by default.
const MOST_LOOKS: usize = 7200;
/// Where a model's description does not say what it calls its prompt.
const PROMPT: &str = "prompt";
/// The longest answer of a stream.
const LONGEST: usize = 16 << 20;

/// The node `replicate`.
#[derive(Debug)]
pub(crate) struct ReplicateNode {
    address: Option<&'static str>,
}

pub(crate) const REPLICATE: ReplicateNode = ReplicateNode { address: Some(ADDRESS) };

impl NodeKind for ReplicateNode {
    fn names(&self) -> &'static [&'static str] {
        &["replicate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_named(inputs, "model");
        let key = connection::wanted(inputs, CREDENTIAL, "replicateApiKey");
        let input = settings(inputs);
        let address = self.address.map_or_else(|| inputs.text("here").unwrap_or_default(), str::to_owned);
        let endpoint = connection::endpoint_at(inputs, "model", &address);
        let model = model?;
        let Some(at) = ModelPlace::read(&model) else {
            inputs.refuse("model", "expected owner/name, or owner/name:version");
            return None;
        };
        if key.is_none() {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        }
        let headers = connection::bearer(inputs, key.as_ref());
        let targets = Arc::clone(&inputs.compiler.context.targets);
        let (endpoint, prompt_field) = (endpoint?, ExpiringCache::default());
        Some(Part::Model(Arc::new(Replicate { endpoint, targets, headers, model, at, input, prompt_field })))
    }
}

/// What goes to the model beside the prompt; what an author writes out counts most.
fn settings(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let mut input = Map::new();
    if let Some(most) = inputs.integer("maxTokens").filter(|most| *most > 0) {
        input.insert("max_length".to_owned(), most.into());
    }
    for (name, field) in
        [("temperature", "temperature"), ("topP", "top_p"), ("repetitionPenalty", "repetition_penalty")]
    {
        if let Some(value) = inputs.number(name).filter(|value| *value != 0.0) {
            input.insert(field.to_owned(), number(value));
        }
    }
    match inputs.json("additionalInputs") {
        Some(Value::Object(more)) => input.extend(more),
        Some(_) => inputs.refuse("additionalInputs", "expected an object"),
        None => {}
    }
    input
}

/// `owner/name:version`.
#[derive(Debug, PartialEq, Eq)]
struct ModelPlace {
    owner: String,
    name: String,
    version: Option<String>,
}

impl ModelPlace {
    fn read(model: &str) -> Option<Self> {
        let (model, version) =
            model.split_once(':').map_or((model, None), |(model, version)| (model, Some(version.to_owned())));
        let (owner, name) = model.split_once('/')?;
        let plain = |text: &str| {
            !matches!(text, "" | "." | "..")
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        };
        let fits = plain(owner) && plain(name) && version.as_deref().is_none_or(plain);
        fits.then(|| Self { owner: owner.to_owned(), name: name.to_owned(), version })
    }
}

#[derive(Debug)]
struct Replicate {
    endpoint: ProviderEndpoint,
    targets: Arc<Targets>,
    headers: Headers,
    model: String,
    at: ModelPlace,
    input: Map<String, Value>,
    /// What the model calls its prompt, once that is known.
    prompt_field: ExpiringCache<String>,
}

impl ChatModel for Replicate {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let mut input = Map::from_iter([(self.prompt_field(run).await?, prompt_of(ask.messages).into())]);
            input.extend(self.input.clone());
            let streams = ask.tokens.is_some_and(Sink::streams);
            let mut body = Map::from_iter([("input".to_owned(), input.into())]);
            let path = match &self.at.version {
                Some(version) => {
                    body.insert("version".to_owned(), version.as_str().into());
                    "/v1/predictions".to_owned()
                }
                None => format!("/v1/models/{}/{}/predictions", self.at.owner, self.at.name),
            };
            if streams {
                body.insert("stream".to_owned(), true.into());
            }
            let begun = self.endpoint.post(&path, &self.headers, body, run).await?.json().await?;
            let told_at = begun.pointer("/urls/stream").and_then(Value::as_str).filter(|_| streams);
            match told_at {
                Some(url) => self.streamed(url, ask, run).await,
                None => self.awaited(begun, ask, run).await,
            }
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "replicate"
    }
}

impl Replicate {
    async fn get(&self, path: &str, run: &Run<'_>) -> Result<Value, Failure> {
        let call = ProviderCall { method: Method::GET, path, headers: &self.headers, body: bytes::Bytes::new() };
        self.endpoint.send(call, run).await?.json().await
    }

    /// The first of the inputs that the model's version says it takes.
    async fn prompt_field(&self, run: &Run<'_>) -> Result<String, Failure> {
        let ModelPlace { owner, name, version: Some(version) } = &self.at else { return Ok(PROMPT.to_owned()) };
        if let Some(known) = self.prompt_field.get() {
            return Ok(known);
        }
        let described = self.get(&format!("/v1/models/{owner}/{name}/versions/{version}"), run).await?;
        let taken = described.pointer("/openapi_schema/components/schemas/Input/properties");
        let order = |field: &Value| field.get("x-order").and_then(Value::as_i64).unwrap_or_default();
        let first = taken.and_then(Value::as_object).and_then(|fields| fields.iter().min_by_key(|(_, it)| order(it)));
        let field = first.map_or_else(|| PROMPT.to_owned(), |(name, _)| name.clone());
        self.prompt_field.keep(field.clone(), Duration::from_hours(1));
        Ok(field)
    }

    /// Looks until it is done.
    async fn awaited(&self, begun: Value, ask: ModelRequest<'_>, run: &Run<'_>) -> Result<ModelAnswer, Failure> {
        let id = begun.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if id.is_empty() || !id.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(unreadable(b"-"));
        }
        let path = format!("/v1/predictions/{id}");
        let mut now = begun;
        for _ in 0..MOST_LOOKS {
            match now.get("status").and_then(Value::as_str).unwrap_or_default() {
                "succeeded" => {
                    let mut answered = ModelAnswer { id: Some(id), ..ModelAnswer::default() };
                    answered.say(&output(now.get("output").unwrap_or(&Value::Null)), ask);
                    return Ok(answered);
                }
                "failed" => {
                    let why = now.get("error").and_then(Value::as_str).unwrap_or("no reason given");
                    return Err(Failure::Refused(format!("Prediction failed: {why}")));
                }
                "canceled" | "aborted" => return Err(Failure::Refused("Prediction was canceled".to_owned())),
                _ => {}
            }
            run.budget().in_time()?;
            tokio::time::sleep(PAUSE).await;
            now = self.get(&path, run).await?;
        }
        Err(Failure::Timeout)
    }

    /// The stream is at another server, which is told no key.
    async fn streamed(&self, url: &str, ask: ModelRequest<'_>, run: &Run<'_>) -> Result<ModelAnswer, Failure> {
        let (origin, path) = split(url).and_then(|end| url.split_at_checked(end)).ok_or_else(|| unreadable(b"-"))?;
        let endpoint = self.targets.passing(origin).map_err(Failure::flow)?;
        let headers = [(ACCEPT, HeaderValue::from_static("text/event-stream"))];
        let call = ProviderCall { method: Method::GET, path, headers: &headers, body: bytes::Bytes::new() };
        told(endpoint.send(call, run).await?, ask).await
    }
}

/// Events of a stream, each of which may have several lines.
async fn told(incoming: Incoming, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
    let mut lines = incoming.lines();
    let mut answered = ModelAnswer::default();
    let (mut event, mut data) = (String::new(), Vec::<String>::new());
    let mut room = LONGEST;
    while let Some(line) = lines.next().await? {
        room = room.checked_sub(line.len()).ok_or_else(broken_off)?;
        let line = String::from_utf8_lossy(&line);
        if let Some(name) = line.strip_prefix("event:") {
            name.trim().clone_into(&mut event);
        } else if let Some(more) = line.strip_prefix("data:") {
            data.push(more.strip_prefix(' ').unwrap_or(more).to_owned());
        } else if line.is_empty() {
            let text = data.join("\n");
            data.clear();
            match event.as_str() {
                "output" => answered.say(&text, ask),
                "error" => return Err(Failure::Refused(format!("Prediction failed: {text}"))),
                "done" => {
                    lines.farewell().await;
                    return Ok(answered);
                }
                _ => {}
            }
            event.clear();
        }
    }
    Err(broken_off())
}

/// A text, the pieces of one, or what else a model makes, such as addresses of images.
fn output(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().map(output).collect(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
