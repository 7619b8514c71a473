//! Flows that another Flowise runs, or whoever answers as it does: asked over its API, at the address that a node's author
//! wrote.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::Subflow;
use crate::engine::contract::node::{Reply, ReplyContent};
use crate::engine::contract::run::Run;
use crate::engine::provider::address::Address;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;
use crate::engine::text::percent::{component, located};
use crate::wire::json;

/// For the head of an answer: a flow may work for long.
const PATIENCE: Duration = Duration::from_mins(10);
/// What an answer comes with.
const FIELDS: &[&str] = &["sourceDocuments", "usedTools", "artifacts", "fileAnnotations"];

/// See the module.
pub(crate) struct RemoteFlow {
    address: Address,
    flow: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for RemoteFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFlow").field("address", &self.address).field("flow", &self.flow).finish_non_exhaustive()
    }
}

/// What a node's author says of where the flow is: `None`: nothing, so that it is one of the engine's own.
pub(crate) type SubflowTarget = Option<Arc<dyn Subflow>>;

impl RemoteFlow {
    /// By the input with an address. `asks_as_tool`: as Flowise's tools say it of themselves.
    pub(crate) fn read(
        inputs: &mut Inputs<'_, '_, '_>,
        input: &str,
        flow: &str,
        asks_as_tool: bool,
    ) -> Option<SubflowTarget> {
        let Some(url) = inputs.text(input) else { return Some(None) };
        let address = Address::read(&Mustache::plain(&url), &inputs.compiler.context.targets, PATIENCE);
        let address = address.map_err(|problem| inputs.refuse(input, problem)).ok()?;
        inputs.look_at(&address.endpoint);
        let mut headers = Vec::new();
        if asks_as_tool {
            headers.push((HeaderName::from_static("flowise-tool"), HeaderValue::from_static("true")));
        }
        if let Some(key) = inputs.optional_credential("chatflowApi", "chatflowApiKey") {
            let proof = secret_header(&format!("Bearer {}", key.expose()));
            headers.push((AUTHORIZATION, proof.map_err(|problem| inputs.refuse("credential", problem)).ok()?));
        }
        let elsewhere: Arc<dyn Subflow> = Arc::new(Self { address, flow: flow.to_owned(), headers });
        Some(Some(elsewhere))
    }

    async fn asked(&self, run: &Run<'_>) -> Result<Reply, Failure> {
        let request = run.request;
        let mut overrides = Map::from_iter([("sessionId".to_owned(), request.session_id.as_str().into())]);
        overrides.extend(request.overrides.values.clone());
        if !request.vars.is_empty() {
            overrides.insert("vars".to_owned(), request.vars.clone().into());
        }
        let body = json!({ "question": request.question(), "chatId": request.chat_id, "overrideConfig": overrides });
        let above = self.address.path.fixed().unwrap_or_default();
        let path = located(&format!("{}/api/v1/prediction/{}", above.trim_end_matches('/'), component(&self.flow)));
        let answer = self.address.endpoint.post(&path, &self.headers, body, run).await?.whole().await?;
        run.budget().hold(answer.len())?;
        let answer = json::read_answer(&answer).map_err(|_| Failure::flow("the other flow's answer is no JSON"))?;
        Ok(reply(&answer))
    }
}

fn reply(answer: &Value) -> Reply {
    let fields = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(*name)?.clone()))).collect();
    let text = answer.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let json = answer.get("json").filter(|json| !json.is_null()).cloned();
    let said = match (text, json) {
        (Some(text), _) => ReplyContent::Text(text),
        (None, Some(json)) => ReplyContent::Json(json),
        (None, None) => ReplyContent::Text(String::new()),
    };
    Reply { said, fields, ..Reply::default() }
}

impl Subflow for RemoteFlow {
    fn name(&self) -> &str {
        &self.flow
    }

    fn answer<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Reply> {
        Box::pin(self.asked(run))
    }

    fn is_elsewhere(&self) -> bool {
        true
    }
}
