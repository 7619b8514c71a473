//! A node at work: what it is given, and what `$flow` and `$vars` stand for in it.

use serde_json::{Map, Value};

use super::paths;
use super::state::{AgentState, Channels, Update};
use crate::engine::contract::Task;
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::Names;

/// A node of a flow.
pub(super) trait AgentStep: std::fmt::Debug + Send + Sync {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update>;
}

/// What decides which way a flow goes on: by the name of one of its outputs.
pub(super) trait BranchDecision: std::fmt::Debug + Send + Sync {
    fn decide<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, String>;
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) state: &'a AgentState,
    pub(super) channels: &'a Channels,
    /// What the user asked, without its files.
    pub(super) question: &'a str,
}

impl<'a> Visit<'a> {
    pub(super) fn with_state<'s>(&self, state: &'s AgentState) -> Visit<'s>
    where
        'a: 's,
    {
        Visit { state, ..*self }
    }

    /// What `$flow` stands for, beside what a node has said.
    pub(super) fn flow(&self, output: Option<&Value>) -> Value {
        let request = self.run.request;
        let mut flow = Map::new();
        flow.insert("chatflowId".to_owned(), self.run.flow.into());
        flow.insert("sessionId".to_owned(), request.session_id.as_str().into());
        flow.insert("chatId".to_owned(), request.chat_id.as_str().into());
        flow.insert("input".to_owned(), self.question.into());
        if let Some(output) = output {
            flow.insert("output".to_owned(), output.clone());
        }
        flow.insert("state".to_owned(), self.state.view(self.channels));
        Value::Object(flow)
    }

    /// The value that an author's [path](is_path) leads to.
    pub(super) fn at(&self, written: &str, flow: &Value) -> Option<Value> {
        if let Some(path) = written.strip_prefix("$flow") {
            return paths::get(flow, path.trim_start_matches('.'));
        }
        let path = written.strip_prefix("$vars")?;
        paths::get(&Value::Object(self.run.request.vars.clone()), path.trim_start_matches('.'))
    }
}

/// Whether what an author wrote is `$flow.x` or `$vars.x`.
pub(super) fn is_path(written: &str) -> bool {
    written.starts_with("$flow") || written.starts_with("$vars")
}

/// In tools of an agent names stand for what they do everywhere, and for the state.
impl Names for Visit<'_> {
    fn find(&self, name: &str) -> Option<Value> {
        match name {
            "$flow.input" => Some(self.question.into()),
            "$flow.state" => Some(self.state.view(self.channels)),
            name => match name.strip_prefix("$flow.state.") {
                Some(path) => paths::get(&self.state.view(self.channels), path),
                None => self.run.find(name),
            },
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.run.has_room(bytes)
    }
}
