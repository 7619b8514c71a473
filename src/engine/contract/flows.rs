//! Flows that a flow may run.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Task;
use super::failure::Failure;
use super::node::Reply;
use super::request::RunRequest;
use super::run::Run;
use super::sink::Sink;
use crate::engine::text::overrides::Overrides;
use crate::predict::chat_id;

/// A flow, to another that runs it.
pub(crate) trait Subflow: fmt::Debug + Send + Sync {
    fn name(&self) -> &str;

    /// Answers the run's request.
    fn answer<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Reply>;

    /// Whether somebody else runs it, who is told what its author wrote and nothing else.
    fn is_elsewhere(&self) -> bool {
        false
    }
}

/// All flows of one engine by their files' names and by the ids that Flowise gave them.
#[derive(Debug, Default)]
pub(crate) struct FlowIndex(HashMap<String, Arc<dyn Subflow>>);

impl FlowIndex {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Subflow>> {
        self.0.get(name)
    }
}

impl<F: Subflow + 'static> FromIterator<(String, Arc<F>)> for FlowIndex {
    fn from_iter<T: IntoIterator<Item = (String, Arc<F>)>>(flows: T) -> Self {
        Self(flows.into_iter().map(|(name, flow)| (name, flow as _)).collect())
    }
}

/// A flow that asks another, within its own prediction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InnerCall<'a> {
    /// Flowise's id of the other one, or its file's name without `.json`.
    pub(crate) flow: &'a str,
    /// What Flowise calls such flows here.
    pub(crate) kind: &'a str,
    pub(crate) session: InnerSession,
}

/// What the other flow remembers, where the overrides name no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InnerSession {
    /// That of the chat.
    OfChat,
    /// The one that asks.
    OfCaller,
    /// None that there was before.
    New,
}

impl InnerCall<'_> {
    /// # Errors
    /// There is no such flow, or it is the one that asks.
    pub(crate) fn found(self, run: &Run<'_>) -> Result<Arc<dyn Subflow>, Failure> {
        let found = run.request.flows.get(self.flow);
        let found = found.ok_or_else(|| Failure::flow(format!("Chatflow {} not found", self.flow)))?;
        if [self.flow, found.name()].contains(&run.flow) {
            return Err(Failure::flow(format!("Cannot call the same {}!", self.kind)));
        }
        Ok(Arc::clone(found))
    }

    /// What the other flow answers. Its session is the chat, or what the overrides name, among the caller's own.
    pub(crate) async fn answered(
        self,
        flow: &dyn Subflow,
        question: &str,
        mut overrides: Overrides,
        run: &Run<'_>,
    ) -> Result<Reply, Failure> {
        let outer = run.request;
        let _level = run.budget().deeper()?;
        let session = overrides.values.shift_remove("sessionId");
        let session = session.as_ref().and_then(Value::as_str).filter(|name| !name.is_empty());
        let vars = overrides.values.shift_remove("vars").and_then(|vars| vars.as_object().cloned());
        let (chat, own) = match self.session {
            InnerSession::OfChat => (outer.chat_id.clone(), outer.chat_id.clone()),
            InnerSession::OfCaller => (outer.chat_id.clone(), outer.session_id.clone()),
            InnerSession::New => {
                let new = outer.sessions.named(&chat_id::random().unwrap_or_default());
                (new.clone(), new)
            }
        };
        let request = RunRequest {
            question: Some(question.to_owned()),
            session_id: session.map_or(own, |name| outer.sessions.named(name)),
            chat_id: chat,
            vars: vars.unwrap_or_else(|| if flow.is_elsewhere() { Map::new() } else { outer.vars.clone() }),
            overrides,
            is_inner: true,
            flows: Arc::clone(&outer.flows),
            sessions: outer.sessions.clone(),
            ..RunRequest::default()
        };
        let sink = Sink::default();
        // In the other flow, names stand for what is known there.
        let run = Run { flow: flow.name(), request: &request, sink: &sink, names: None, ..*run };
        flow.answer(&run).await
    }
}
