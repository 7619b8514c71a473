//! The node `composio`: actions of applications that somebody is connected to at Composio.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::arguments::{object, with};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::{ToolServer, Toolset};
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::header::secret_header;
use crate::engine::text::percent::component;
use crate::engine::text::variables::text_of;
use crate::wire::json;

const ORIGIN: &str = "https://backend.composio.dev";
const PATIENCE: Duration = Duration::from_mins(1);
/// Within each other, in a schema.
const DEEPEST: usize = 32;

/// See the module.
pub(super) struct Composio;

impl NodeKind for Composio {
    fn names(&self) -> &'static [&'static str] {
        &["composio"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let app = inputs.required_text("appName");
        let account = inputs.text("connectedAccountId").filter(|account| account != "No connection needed");
        let actions = match inputs.value("actions") {
            Some(Value::String(text)) => json::read_str(&text).unwrap_or_default(),
            value => value.unwrap_or_default(),
        };
        let names = actions.as_array().into_iter().flatten().filter_map(Value::as_str);
        let actions: Vec<String> = names.map(str::to_owned).collect();
        let key = inputs.credential("composioApi", "composioApi");
        let app = app?;
        let endpoint = inputs.compiler.context.targets.outward(ORIGIN, Some(PATIENCE));
        let endpoint = endpoint.map_err(|error| inputs.refuse("appName", error)).ok()?;
        Some(Part::Tools(Toolset::server(ComposioApp(Arc::new(AppActions { endpoint, key, app, account, actions })))))
    }
}

/// What a node has of an application.
#[derive(Debug)]
struct AppActions {
    endpoint: ProviderEndpoint,
    key: Option<Secret>,
    app: String,
    /// Who is connected; `None`: its author chose nobody.
    account: Option<String>,
    actions: Vec<String>,
}

impl AppActions {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>, run: &Run<'_>) -> Result<Value, Failure> {
        let key = self.key.as_ref().ok_or_else(|| Failure::flow("API Key Required"))?;
        let mut headers =
            vec![(HeaderName::from_static("x-api-key"), secret_header(key.expose()).map_err(Failure::flow)?)];
        if body.is_some() {
            headers.push((http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer =
            self.endpoint.fetch(ProviderCall { method, path, headers: &headers, body: body.into() }, run).await?;
        let read: Value = json::read_answer(&answer.body).unwrap_or_default();
        if answer.status.is_success() {
            return Ok(read);
        }
        let words = read.get("message").or_else(|| read.get("error")?.get("message")).map(text_of).unwrap_or_default();
        Err(Failure::Refused(format!("Composio: {} {words}", answer.status.as_u16())))
    }

    /// Who is connected, if the application wants to know.
    async fn account(&self, run: &Run<'_>) -> Result<Option<String>, Failure> {
        let app = self.app.to_lowercase();
        let told = self.ask(Method::GET, &format!("/api/v1/apps/{}", component(&app)), None, run).await?;
        if told.get("no_auth").is_some_and(|none| *none == true) {
            return Ok(None);
        }
        let is_active = |account: &Value| account.get("status").is_some_and(|status| status == "ACTIVE");
        if let Some(account) = &self.account {
            let found =
                self.ask(Method::GET, &format!("/api/v1/connectedAccounts/{}", component(account)), None, run).await?;
            if is_active(&found) {
                return Ok(Some(account.clone()));
            }
            return Err(Failure::flow(format!(
                "Selected connection is no longer active for {app}. Please select a different connection or reconnect on \
                 app.composio.dev"
            )));
        }
        // As exports of older versions meant it, which had nobody to choose.
        let all = self.ask(Method::GET, "/api/v1/connectedAccounts?user_uuid=default", None, run).await?;
        let is_of_app = |account: &&Value| {
            let name = account.get("appUniqueId").or_else(|| account.get("appName")).and_then(Value::as_str);
            is_active(account) && name.is_some_and(|name| name.eq_ignore_ascii_case(&app))
        };
        let found = all.get("items").and_then(Value::as_array).into_iter().flatten().find(is_of_app);
        let id = found.and_then(|account| account.get("id")).map(text_of);
        id.map(Some).ok_or_else(|| Failure::flow(format!("Please select a connected account for {}", self.app)))
    }
}

#[derive(Debug)]
struct ComposioApp(Arc<AppActions>);

impl ToolServer for ComposioApp {
    fn names(&self) -> &[String] {
        &self.0.actions
    }

    fn tools<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Arc<dyn Tool>>> {
        Box::pin(async move {
            let account = self.0.account(run).await?;
            let path = format!("/api/v2/actions?actions={}", component(&self.0.actions.join(",")));
            let listed = self.0.ask(Method::GET, &path, None, run).await?;
            let actions = listed.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_wanted = |name: &str| self.0.actions.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
            let tool = |action: Value| {
                let name = action.get("name")?.as_str().filter(|name| is_wanted(name))?.to_owned();
                let description = action.get("description").map(text_of).unwrap_or_default();
                let parameters = with(
                    plain(action.get("parameters")?, DEEPEST),
                    "$schema",
                    "http://json-schema.org/draft-07/schema#".into(),
                );
                let app = action.get("appName").map_or_else(|| self.0.app.clone(), text_of);
                let spec = ToolSpec { name, description, parameters };
                Some(Arc::new(Action { of: Arc::clone(&self.0), spec, app, account: account.clone() }) as Arc<dyn Tool>)
            };
            Ok(actions.into_iter().filter_map(tool).collect())
        })
    }
}

/// As Flowise's library writes a schema that it has read: names, types and descriptions.
fn plain(schema: &Value, depth: usize) -> Value {
    let Some(inner) = depth.checked_sub(1) else { return json!({}) };
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut out = match kind {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let properties = properties.into_iter().flatten();
            let properties: Map<_, _> = properties.map(|(name, of)| (name.clone(), plain(of, inner))).collect();
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let required: Vec<&str> = required.filter_map(Value::as_str).collect();
            object(&properties.into(), &required)
        }
        "array" => json!({ "type": "array", "items": schema.get("items").map_or(json!({}), |of| plain(of, inner)) }),
        "" => json!({}),
        kind => json!({ "type": kind }),
    };
    if let Some(description) = schema.get("description").filter(|_| depth < DEEPEST) {
        out = with(out, "description", description.clone());
    }
    out
}

#[derive(Debug)]
struct Action {
    of: Arc<AppActions>,
    spec: ToolSpec,
    app: String,
    account: Option<String>,
}

impl Tool for Action {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let body = match &self.account {
                Some(account) => json!({ "connectedAccountId": account, "input": arguments, "appName": self.app,
                    "text": "", "sessionInfo": {}, "allowTracing": false }),
                None => json!({ "input": arguments, "appName": self.app, "sessionInfo": {}, "allowTracing": false }),
            };
            let path = format!("/api/v2/actions/{}/execute", component(&self.spec.name));
            let text = self.of.ask(Method::POST, &path, Some(body), run).await?.to_string();
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mcp::lab::{response, server};
    use crate::engine::provider::Targets;
    use crate::engine::testing::within;
    use crate::telemetry::metrics::Metrics;

    /// Expected: what Flowise 3.1.4 sent and told with the same answers.
    #[test]
    fn actions_are_listed_and_executed_as_flowise_does_it() {
        let (origin, hearing) = server(|heard| {
            let parameters = json!({ "type": "object", "title": "P", "properties": {
                "channel": { "type": "string", "description": "ch", "title": "Channel" },
                "o": { "type": "object", "properties": { "x": { "type": "string" } } },
                "blocks": { "type": "array", "items": { "type": "string" } } }, "required": ["channel"] });
            let body = match heard.line.as_str() {
                "GET /api/v1/apps/slack" => json!({ "no_auth": false }),
                "GET /api/v1/connectedAccounts/c1" => json!({ "id": "c1", "status": "ACTIVE" }),
                line if line.starts_with("GET /api/v2/actions?") => {
                    let action = json!({ "name": "SLACK_POST", "description": "Post", "parameters": parameters,
                        "appName": "slack" });
                    json!({ "items": [action] })
                }
                _ => json!({ "data": { "ok": true }, "error": null, "successful": true }),
            };
            response("200 OK", "content-type: application/json\r\n", &body.to_string())
        });
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let app = ComposioApp(Arc::new(AppActions {
            endpoint,
            key: Some(Secret::new("KEY".to_owned())),
            app: "Slack".to_owned(),
            account: Some("c1".to_owned()),
            actions: vec!["SLACK_POST".to_owned()],
        }));
        let text = within(&json!({ "question": "q" }), async |run| {
            let tools = app.tools(run).await.unwrap();
            let schema = json!({ "type": "object", "properties": {
                "channel": { "type": "string", "description": "ch" },
                "o": { "type": "object", "properties": { "x": { "type": "string" } }, "additionalProperties": false },
                "blocks": { "type": "array", "items": { "type": "string" } } },
                "required": ["channel"], "additionalProperties": false,
                "$schema": "http://json-schema.org/draft-07/schema#" });
            assert_eq!(tools[0].spec().parameters.to_string(), schema.to_string());
            tools[0].call(&json!({ "channel": "c" }), run).await.unwrap().text
        });
        assert_eq!(text, "{\"data\":{\"ok\":true},\"error\":null,\"successful\":true}");
        let heard: Vec<_> = hearing.try_iter().collect();
        assert!(heard.iter().all(|heard| heard.head.contains("\r\nx-api-key: key")), "{heard:?}");
        let last = heard.last().unwrap();
        assert_eq!(last.line, "POST /api/v2/actions/SLACK_POST/execute");
        let body = json!({ "connectedAccountId": "c1", "input": { "channel": "c" }, "appName": "slack", "text": "",
            "sessionInfo": {}, "allowTracing": false });
        assert_eq!(last.body.to_string(), body.to_string());
    }
}
