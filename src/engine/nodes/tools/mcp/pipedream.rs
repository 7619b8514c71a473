//! The node `pipedreamMCP`: a server that is asked with a token, which is asked for first.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::inputs::{actions, remote};
use super::server::{McpTools, PATIENCE};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;

const SERVER: &str = "https://remote.mcp.pipedream.net";
const TOKENS: &str = "https://api.pipedream.com";
/// A token that ends sooner is asked for anew.
const MARGIN: Duration = Duration::from_mins(1);
/// Where the answer does not say how long a token lasts.
const LASTS: u64 = 3600;

/// See the module.
pub(super) struct PipedreamMcp;

impl NodeKind for PipedreamMcp {
    fn names(&self) -> &'static [&'static str] {
        &["pipedreamMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let environment = inputs.text("environment").unwrap_or_else(|| "development".to_owned());
        let mode = inputs.text("toolMode").unwrap_or_else(|| "tools-only".to_owned());
        let app = inputs.required_text("appSlug");
        if !inputs.has("externalUserId") {
            inputs.lacks("externalUserId");
        }
        let user = inputs.mustache("externalUserId");
        let app = app?;
        let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || " ,_-".contains(letter);
        if !app.chars().all(is_fit) {
            inputs.refuse("appSlug", "expected the name of an app, such as slack, or several with commas between");
            return None;
        }
        let user = user?;
        let project = inputs.credential("pipedreamOAuthApi", "projectId");
        let id = inputs.credential("pipedreamOAuthApi", "clientId");
        let secret = inputs.credential("pipedreamOAuthApi", "clientSecret");
        let scope = inputs.optional_credential("pipedreamOAuthApi", "oauthScopes");
        let header = |name: &'static str, text: &str| (HeaderName::from_static(name), Mustache::plain(text));
        let headers = vec![
            header("x-pd-environment", &environment),
            (HeaderName::from_static("x-pd-external-user-id"), user),
            header("x-pd-app-slug", &app),
            header("x-pd-tool-mode", &mode),
        ];
        let project = project.and_then(|project| secret_header(project.expose()).ok());
        let own = project.map(|project| (HeaderName::from_static("x-pd-project-id"), project));
        let place = remote("appSlug", &Mustache::plain(SERVER), headers, own.into_iter().collect(), inputs)?;
        let endpoint = inputs.compiler.context.targets.outward(TOKENS, Some(PATIENCE));
        let endpoint = endpoint.map_err(|error| inputs.refuse("appSlug", error)).ok()?;
        let grant = ClientGrant { endpoint, id, secret, scope, kept: Mutex::default() };
        Some(McpTools::new(place, wanted).with_grant(grant, told).part())
    }
}

/// What a client is let in with for a while.
#[derive(Debug)]
pub(super) struct ClientGrant {
    endpoint: ProviderEndpoint,
    id: Option<Secret>,
    secret: Option<Secret>,
    scope: Option<Secret>,
    kept: Mutex<Option<(HeaderValue, Instant)>>,
}

impl ClientGrant {
    pub(super) async fn authorization(&self, run: &Run<'_>) -> Result<HeaderValue, Failure> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((value, _)) = kept.filter(|(_, until)| *until > Instant::now()) {
            return Ok(value);
        }
        let (Some(id), Some(secret)) = (&self.id, &self.secret) else {
            return Err(Failure::flow("Pipedream Client ID and Client Secret are required in credentials"));
        };
        let mut body = json!({
            "grant_type": "client_credentials",
            "client_id": id.expose(),
            "client_secret": secret.expose(),
        });
        if let (Some(scope), Some(fields)) = (&self.scope, body.as_object_mut()) {
            fields.insert("scope".to_owned(), scope.expose().into());
        }
        let answer = self.endpoint.post("/v1/oauth/token", &[], body, run).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::Provider { status: 401, .. } => Failure::Refused(
                "Invalid Pipedream credentials. Please verify your Client ID and Client Secret.".to_owned(),
            ),
            failure => failure,
        })?;
        let answer: Value = answer.json().await?;
        let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            let words = "Failed to retrieve access token: Response missing access_token field";
            return Err(Failure::Refused(words.to_owned()));
        }
        let lasts = Duration::from_secs(answer.get("expires_in").and_then(Value::as_u64).unwrap_or(LASTS));
        let value = secret_header(&format!("Bearer {token}")).map_err(Failure::flow)?;
        let until = Instant::now() + lasts.saturating_sub(MARGIN);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((value.clone(), until));
        Ok(value)
    }
}

/// The texts, and what the user has to do first, as Flowise words it.
fn told(result: &Value) -> String {
    let contents = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts = contents.filter(|content| content.get("type").is_some_and(|kind| kind == "text"));
    let texts: Vec<&str> = texts.filter_map(|content| content.get("text")?.as_str()).collect();
    let text = texts.join("\n");
    if let Some(url) = connect_url(&text) {
        return format!(
            "ACTION_REQUIRED: Account connection needed.\n\nThe user must connect their account before this action can \
             be executed.\nDirect them to open the following URL in their browser:\n\n[Connect URL]({url})  \n\nOnce the \
             user has connected their account, retry the original request."
        );
    }
    if result.get("isError").is_some_and(|is_error| *is_error == true) { format!("ERROR: {text}") } else { text }
}

fn connect_url(text: &str) -> Option<&str> {
    const BEGIN: &str = "https://pipedream.com/_static/connect.html?";
    let (_, found) = text.split_at_checked(text.find(BEGIN)?)?;
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ')');
    let url = found.split(is_end).next()?;
    (url.len() > BEGIN.len()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_sent_to_connect_their_account() {
        let of = |text: &str, is_error: bool| {
            told(&json!({ "content": [{ "type": "text", "text": text }, { "type": "image" }], "isError": is_error }))
        };
        let url = "https://pipedream.com/_static/connect.html?token=1";
        assert!(of(&format!("go to ({url}) now"), false).contains(&format!("[Connect URL]({url})  \n")));
        assert_eq!((of("no", true), of("yes", false)), ("ERROR: no".to_owned(), "yes".to_owned()));
    }
}
