//! Keeps what was run, and tells clients of each step.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::Walk;
use crate::engine::agentflow::runtime::{Iteration, Runtime};
use crate::engine::agentflow::shown;
use crate::engine::agentflow::step::{StepNode, StepOutcome};
use crate::engine::agentflow::written::{self, Written};
use crate::engine::contract::failure::Failure;
use crate::engine::text::size::bytes_of;
use crate::predict::answer::{AnswerValue, EventName};
use crate::predict::chat_id;

impl Walk<'_> {
    /// What was run inside an iteration, among what was run.
    pub(super) fn adopt(
        &mut self,
        node: &StepNode,
        iteration: &Iteration,
        executed: Vec<Value>,
    ) -> Result<(), Failure> {
        let context = iteration.shown(&self.shared.run.request.session_id);
        let more = bytes_of(&context);
        for mut entry in executed {
            self.shared.run.budget().hold(more)?;
            if let Some(data) = entry.get_mut("data").and_then(Value::as_object_mut) {
                data.insert("iterationIndex".to_owned(), iteration.index.into());
                data.insert("iterationContext".to_owned(), context.clone());
                data.insert("parentNodeId".to_owned(), node.id.as_str().into());
            }
            let bytes = bytes_of(&entry);
            self.runtime.executed.push(entry, bytes);
        }
        Ok(())
    }

    /// Notes that a node waits for its user, and tells it. Inside an iteration, it is that which waits then.
    pub(super) fn wait(
        &mut self,
        at: usize,
        node: &StepNode,
        mut outcome: StepOutcome,
        pending: Value,
        calls: Value,
    ) -> Result<(), Failure> {
        if self.iteration.is_some() {
            self.note(self.waiting_entry(at, node, outcome, pending))?;
            self.tell_step(node, "STOPPED", None);
            self.asked = Some(calls);
            return Ok(());
        }
        let mut action = json!({
            "id": chat_id::random().unwrap_or_default(),
            "mapping": { "approve": "Proceed", "reject": "Reject" },
            "elements": [
                { "type": "agentflowv2-approve-button", "label": "Proceed" },
                { "type": "agentflowv2-reject-button", "label": "Reject" },
            ],
            "data": { "nodeId": node.id, "nodeLabel": node.label, "input": shown::input(node.kind, &outcome.input) },
        });
        if let (Some(data), false) = (action.get_mut("data").and_then(Value::as_object_mut), calls.is_null()) {
            data.insert("toolCalls".to_owned(), calls);
        }
        outcome.output.insert("humanInputAction".to_owned(), action.clone());
        self.note(self.waiting_entry(at, node, outcome, pending))?;
        let Runtime { state, executed, .. } = &self.runtime;
        let would_wait = Written { id: &self.shared.message, state, form: None, waits: Some(&**executed) };
        // Nobody is asked for what cannot go on.
        written::write(&would_wait).inspect_err(|_| self.runtime.executed.forget_last())?;
        self.tell_step(node, "STOPPED", None);
        self.tell_executed(true);
        self.tell(EventName::AgentFlowEvent, "STOPPED");
        self.tell(EventName::Action, &action);
        Ok(())
    }

    fn waiting_entry(&self, at: usize, node: &StepNode, outcome: StepOutcome, pending: Value) -> Value {
        let mut entry = self.entry(at, node, outcome, "STOPPED");
        if let (Some(data), false) = (entry.get_mut("data").and_then(Value::as_object_mut), pending.is_null()) {
            data.insert("pending".to_owned(), pending);
        }
        entry
    }

    /// Keeps what was run.
    pub(super) fn note(&mut self, entry: Value) -> Result<(), Failure> {
        let bytes = bytes_of(&entry);
        self.shared.run.budget().hold(bytes)?;
        self.runtime.executed.push(entry, bytes);
        Ok(())
    }

    pub(super) fn finish(&mut self, at: usize, node: &StepNode, mut outcome: StepOutcome) -> Result<(), Failure> {
        let state = outcome.state.get_or_insert_with(|| self.runtime.state.clone()).clone();
        let history = outcome.history.clone().unwrap_or_default();
        // A model's answer may have any names in it; only the start says what is forgotten.
        let is_start = node.kind == "startAgentflow";
        let forgets = is_start && outcome.output.get("ephemeralMemory") == Some(&Value::Bool(true));
        let entry = self.entry(at, node, outcome, "FINISHED");
        self.note(entry)?;
        self.tell_step(node, "FINISHED", None);
        if self.iteration.is_none() {
            self.tell_executed(false);
        }
        self.runtime.state = state;
        self.runtime.history.extend(history);
        if forgets {
            self.runtime.past = Rc::default();
        }
        Ok(())
    }

    /// Notes and tells that a node failed; the failure as clients see it.
    pub(super) fn fail(&mut self, at: usize, node: &StepNode, failure: Failure) -> Failure {
        let (failure, status) = match failure {
            Failure::Aborted => (Failure::flow("Flow execution was cancelled"), "TERMINATED"),
            failure => (failure, "ERROR"),
        };
        let error = self.shared.run.told(&failure);
        let entry = json!({
            "nodeId": node.id,
            "nodeLabel": node.label,
            "previousNodeIds": self.before(at),
            "data": { "id": node.id, "name": node.kind, "error": error },
            "status": status,
        });
        // Too much or not: it is the last.
        let bytes = bytes_of(&entry);
        self.runtime.executed.push(entry, bytes);
        self.tell_step(node, status, Some(error.as_str()).filter(|_| status == "ERROR"));
        if self.iteration.is_none() {
            self.tell_executed(true);
            self.tell(EventName::AgentFlowEvent, status);
        }
        failure
    }

    pub(super) fn entry(&self, at: usize, node: &StepNode, outcome: StepOutcome, status: &str) -> Value {
        let mut data = Map::new();
        data.insert("id".to_owned(), node.id.as_str().into());
        data.insert("name".to_owned(), node.kind.into());
        data.insert("input".to_owned(), outcome.input);
        data.insert("output".to_owned(), Value::Object(outcome.output));
        let state = outcome.state.unwrap_or_else(|| self.runtime.state.clone());
        data.insert("state".to_owned(), Value::Object(state));
        if let Some(history) = outcome.history {
            data.insert("chatHistory".to_owned(), history.into());
        }
        json!({
            "nodeId": node.id,
            "nodeLabel": node.label,
            "data": data,
            "previousNodeIds": self.before(at),
            "status": status,
        })
    }

    pub(super) fn before(&self, at: usize) -> Vec<&str> {
        let id = |at: &usize| self.flow.nodes.get(*at).map(|node| node.id.as_str());
        self.graph.before(at).iter().filter_map(id).collect()
    }

    pub(super) fn tell_step(&self, node: &StepNode, status: &str, error: Option<&str>) {
        if !self.shared.run.sink.streams() {
            return;
        }
        let mut step = json!({ "nodeId": node.id, "nodeLabel": node.label, "status": status });
        if let (Some(error), Some(step)) = (error, step.as_object_mut()) {
            step.insert("error".to_owned(), error.into());
        }
        self.tell(EventName::NextAgentFlow, step);
    }

    pub(super) fn tell_executed(&mut self, is_end: bool) {
        let sink = self.shared.run.sink;
        if sink.streams() {
            self.runtime.executed.told(is_end, |executed| sink.event(EventName::AgentFlowExecutedData, executed));
        }
    }

    pub(super) fn tell<'d>(&self, event: EventName, data: impl Into<AnswerValue<'d>>) {
        self.shared.run.sink.event(event, data);
    }
}
