//! A call of an action under way: its requests, and what is said where one fails.

use std::pin::Pin;

use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::account::Account;
use super::action::{ActionHandler, ActionOutput, JSON, ServiceAction, ServiceRequest, Verb, filled};
use super::params::Params;
use super::service::ErrorStyle;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderResponse};
use crate::engine::text::percent::located;
use crate::wire::json::read_answer;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ActionError {
    /// What the model is told, as JavaScript shows an error.
    Told(String),
    /// The run is over.
    Ends(Failure),
}

impl ActionError {
    pub(super) fn error(words: impl Into<String>) -> Self {
        Self::Told(format!("Error: {}", words.into()))
    }
}

pub(super) type ActionFuture<'a> = Pin<Box<dyn Future<Output = Result<String, ActionError>> + 'a>>;

/// See the module.
pub(super) struct ActionCall<'a> {
    pub(super) account: &'a Account,
    pub(super) params: &'a Params,
    pub(super) run: &'a Run<'a>,
    /// Before every path.
    pub(super) base: String,
    /// What it is proved with.
    pub(super) proof: HeaderValue,
}

impl ActionCall<'_> {
    /// What the model is told of the action.
    pub(super) async fn done(&self, action: &ServiceAction) -> Result<String, ActionError> {
        let (ask, told) = match action.handler {
            ActionHandler::Asks(ask, told) => (ask, told),
            ActionHandler::Works(work) => return work(self).await,
        };
        let asked = ServiceRequest::of(&ask, self.params, self.account.service.ids).map_err(ActionError::error)?;
        if let ActionOutput::Shaped(shape) = told {
            let answer = self.json(asked).await?;
            return Ok(shape(answer, self.params).to_string());
        }
        let answer = self.text(asked).await?;
        match told {
            ActionOutput::Answer | ActionOutput::Shaped(_) => Ok(answer),
            ActionOutput::Words(words) => {
                filled(words, self.params, |value| Ok(value.to_owned())).map_err(ActionError::error)
            }
            ActionOutput::Read(read) => read(&answer).map(|value| value.to_string()).map_err(ActionError::Told),
        }
    }

    /// An answer as it is.
    pub(super) async fn text(&self, asked: ServiceRequest) -> Result<String, ActionError> {
        let path = asked.path.clone();
        let (kind, body) = asked.body.unwrap_or((JSON.into(), String::new()));
        let kind = HeaderValue::from_str(&kind).map_err(|_| ActionError::error("a type that is none"))?;
        let answer = self.fetched(asked.verb, &path, kind, body).await;
        let answer = answer.map_err(|failure| self.unreachable(failure, &path))?;
        let text = self.without_proof(&answer.body);
        let status = answer.status;
        if status.is_success() {
            return Ok(text);
        }
        let (code, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
        Err(match self.account.service.speech {
            ErrorStyle::Plain(name) => ActionError::error(format!("{name} API Error {code}: {reason} - {text}")),
            ErrorStyle::Graph => failed_graph(&format!("Microsoft Graph API error: {code} {reason} - {text}")),
        })
    }

    /// An answer as JSON; where there is none, that it was done.
    pub(super) async fn json(&self, asked: ServiceRequest) -> Result<Value, ActionError> {
        let is_silent = asked.verb == Verb::Delete;
        let text = self.text(asked).await?;
        if is_silent || text.is_empty() {
            return Ok(json!({ "success": true, "message": "Operation completed successfully" }));
        }
        read_answer(text.as_bytes()).map_err(|_| failed_graph("the answer is not valid JSON"))
    }

    async fn fetched(
        &self,
        verb: Verb,
        path: &str,
        kind: HeaderValue,
        body: String,
    ) -> Result<ProviderResponse, Failure> {
        let headers =
            [(AUTHORIZATION, self.proof.clone()), (ACCEPT, HeaderValue::from_static(JSON)), (CONTENT_TYPE, kind)];
        let path = located(&format!("{}{path}", self.base));
        let call = ProviderCall { method: verb.method(), path: &path, headers: &headers, body: body.into() };
        self.account.endpoint.fetch(call, self.run).await
    }

    /// A service may repeat what it was sent.
    fn without_proof(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let proof = self.proof.to_str().ok().and_then(|proof| proof.split_once(' '));
        match proof {
            Some((_, key)) if !key.is_empty() && text.contains(key) => text.replace(key, "[key]"),
            _ => text.into_owned(),
        }
    }

    fn unreachable(&self, failure: Failure, path: &str) -> ActionError {
        if failure.ends_run() {
            return ActionError::Ends(failure);
        }
        match self.account.service.speech {
            ErrorStyle::Graph => failed_graph("fetch failed"),
            ErrorStyle::Plain(_) => {
                let url = format!("{}{}{path}", self.account.origin, self.base);
                let why = self.run.told(&failure);
                ActionError::Told(format!("FetchError: request to {url} failed, reason: {why}"))
            }
        }
    }
}

pub(super) fn failed_graph(words: &str) -> ActionError {
    ActionError::error(format!("Microsoft Graph request failed: {words}"))
}
