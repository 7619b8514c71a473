//! One prediction of an agentflow, from the request to what is kept of it.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::executions::{Execution, Executions};
use super::flow::Agentflow;
use super::runtime::{Runtime, state};
use super::shown;
use super::step::StepNode;
use super::values::text_of;
use super::walk::{Walk, WalkContext, WalkError, content};
use super::written::Written;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::remember;
use crate::engine::contract::memory::Turn;
use crate::engine::contract::node::{Executed, Reply};
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::Run;
use crate::engine::scripts::post_processor::Answered;
use crate::engine::text::javascript::listed;
use crate::predict::answer::EventName;
use crate::predict::chat_id;

/// In Flowise's words.
const ILL_FORMED_HISTORY: &str =
    "Invalid history format. Each history item must have: { role: \"apiMessage\" | \"userMessage\", content: string }";

impl Agentflow {
    pub(crate) async fn answer(&self, run: &Run<'_>) -> Result<Reply, Failure> {
        let (request, kept) = (run.request, Executions::of(run));
        if !request.history.iter().all(|past| past.is_whole) {
            return Err(Failure::flow(ILL_FORMED_HISTORY));
        }
        let stored = run.session().turns().await?;
        run.budget().hold(stored.iter().map(|turn| turn.text.len()).sum())?;
        let past: Rc<[Value]> = stored.into_iter().map(turn_of).collect();
        let files = files(request);
        let shared = WalkContext {
            run,
            message: chat_id::random().unwrap_or_default(),
            said: said(request, &files),
            files,
            past: Rc::clone(&past),
        };
        let previous = match request.human_input {
            Some(_) => kept.resume().await?,
            None if self.keeps_state || self.has_form => kept.get().await?,
            None => None,
        };
        let runtime = Runtime { past, ..self.begun(request, previous.as_ref()) };
        let mut walk = Walk::new(self, &shared, runtime);
        let mut id = None;
        if let Some(human) = &request.human_input {
            let (at, answer, executed) = match self.waited(request, previous.as_ref(), human) {
                Ok((at, answer, executed)) => (at, answer, executed.to_vec()),
                Err(failure) => {
                    // It was no answer to what the run waits for, which it still does.
                    if let Some(previous) = previous.filter(|previous| previous.waits.is_some()) {
                        kept.put(&previous.to_write()).await?;
                    }
                    return Err(failure);
                }
            };
            let state = executed.last().and_then(|entry| entry.get("data")?.get("state")?.as_object()).cloned();
            walk.runtime.state = state.unwrap_or_default();
            walk.runtime.executed = executed.into();
            walk = walk.resume(at, answer);
            id = previous.as_ref().map(|previous| previous.id.clone());
        }
        if let Err(WalkError { failure, can_retry }) = walk.go().await {
            match previous.filter(|_| can_retry) {
                Some(previous) => {
                    let previous = previous.with_progress(walk.progress.take());
                    kept.put(&previous.to_write()).await?;
                }
                None => self.keep(run, &walk.runtime, false, String::new()).await?,
            }
            return Err(failure);
        }
        let id = id.or_else(chat_id::random).unwrap_or_default();
        let waits = walk.runtime.executed.iter().any(|entry| entry.get("status") == Some(&"STOPPED".into()));
        run.sink.event(EventName::AgentFlowEvent, if waits { "STOPPED" } else { "FINISHED" });
        self.keep(run, &walk.runtime, waits, id.clone()).await?;
        self.reply(&shared, &mut walk.runtime, id).await
    }

    /// What a run starts with: the state and the form of the session's last run, where they are kept.
    fn begun(&self, request: &RunRequest, previous: Option<&Execution>) -> Runtime {
        let mut runtime = Runtime::default();
        let Some(previous) = previous else { return runtime };
        if self.keeps_state {
            runtime.state.clone_from(&previous.state);
            let overridden = request.overrides.values.get("startState");
            let is_text = overridden.is_some_and(Value::is_string) && request.overrides.settled.touches("startState");
            runtime.state.extend(state(overridden.filter(|_| !is_text)));
        }
        if self.has_form {
            runtime.form = previous.form.clone().filter(Value::is_object).unwrap_or_default();
        }
        runtime
    }

    /// The node that waits for the user, the user's answer, and what was run before.
    fn waited<'p>(
        &self,
        request: &RunRequest,
        previous: Option<&'p Execution>,
        human: &Value,
    ) -> Result<(usize, Value, &'p [Value]), Failure> {
        let session = &request.session_id;
        let previous =
            previous.ok_or_else(|| Failure::flow(format!("No previous execution found for session {session}")))?;
        let executed = previous.waits.as_ref().ok_or_else(|| {
            Failure::flow(format!(
                "Cannot resume execution {} because it is in 'FINISHED' state. Only executions in 'STOPPED' state (or \
                 'ERROR' after 'STOPPED') can be resumed.",
                previous.id
            ))
        })?;
        let waiting = |entry: &&Value| entry.get("status").and_then(Value::as_str) == Some("STOPPED");
        let id = |entry: &Value| entry.get("nodeId").and_then(Value::as_str).map(str::to_owned);
        let wanted = human.get("startNodeId").and_then(Value::as_str).filter(|wanted| !wanted.is_empty());
        // Only where it waits: anywhere else, the answer would go past questions that nobody has asked yet.
        let found = executed.iter().rev().filter(waiting).filter_map(id);
        let found = found.into_iter().find(|id| wanted.is_none_or(|wanted| wanted == id));
        let asked = found.as_ref().and_then(|id| {
            let is_it = |entry: &&Value| entry.get("nodeId").and_then(Value::as_str) == Some(id);
            executed.iter().rev().filter(waiting).find(is_it)?.get("data")
        });
        // A node of another kind is not what the user was asked about.
        let kind = asked.and_then(|data| data.get("name")?.as_str());
        let is_it = |node: &StepNode| found.as_deref() == Some(node.id.as_str()) && kind == Some(node.kind);
        let at = self.nodes.iter().position(is_it);
        let (Some(found), Some(at)) = (found, at) else {
            return Err(Failure::flow(format!(
                "Node {} not found in previous execution. This could indicate an invalid resume attempt or a modified \
                 flow.",
                wanted.unwrap_or_default()
            )));
        };
        let open = asked.and_then(|data| data.get("output")?.get("humanInputAction")?.get("id")?.as_str());
        if request.action.as_deref().is_some_and(|answered| open != Some(answered)) {
            return Err(Failure::flow("This question was answered already, and another one is open."));
        }
        let mut answer = human.clone();
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("startNodeId".to_owned(), found.into());
        }
        Ok((at, answer, executed))
    }

    /// Keeps of a run what a later one needs.
    async fn keep(&self, run: &Run<'_>, runtime: &Runtime, waits: bool, id: String) -> Result<(), Failure> {
        let kept = Executions::of(run);
        if !waits && !self.keeps_state && !self.has_form {
            return if self.may_wait { kept.forget().await } else { Ok(()) };
        }
        let form = self.has_form.then(|| form(run.request, &runtime.form)).flatten();
        let state = if self.keeps_state { runtime.state.clone() } else { Map::new() };
        let waits = waits.then_some(&*runtime.executed);
        kept.put(&Written { id: &id, state: &state, form: form.as_ref(), waits }).await
    }

    /// The reply, and the exchange stored.
    async fn reply(&self, shared: &WalkContext<'_>, runtime: &mut Runtime, id: String) -> Result<Reply, Failure> {
        let mut answer = content(runtime.executed.last()).map(|content| text_of(&content)).unwrap_or_default();
        if let Some(after) = &self.after {
            let request = shared.run.request;
            let form = || request.form.clone().map(Value::Object).unwrap_or_default();
            let input = request.question.as_deref().map_or_else(form, Value::from);
            let history = runtime.past.iter().chain(&runtime.history).cloned().collect();
            let fields = runtime.last_output().and_then(Value::as_object);
            let answered = Answered { text: &answer, input, history, fields };
            if let Some(changed) = after.changed(answered, shared.run).await? {
                answer = changed;
            }
        }
        remember(shared.run, self.asked(shared), &answer).await?;
        // A model's answer may have any names in it; an action is what the flow stopped for.
        let waits = runtime.executed.last().is_some_and(|last| last.get("status") == Some(&"STOPPED".into()));
        let action = runtime.last_output().and_then(|output| output.get("humanInputAction")).filter(|_| waits).cloned();
        let message = shared.message.clone();
        // Each is let go of once it is shown: together they may be long.
        let nodes = shown::steps(std::mem::take(&mut runtime.executed).into_entries());
        let executed = Executed { id, message, nodes, action };
        Ok(Reply { executed: Some(executed), ..Reply::text(answer) })
    }

    /// What the user said, as it is stored: without files, and as a form only where the flow starts with one.
    fn asked<'a>(&self, shared: &'a WalkContext<'_>) -> &'a str {
        let request = shared.run.request;
        let feedback = request.human_input.as_ref().and_then(|human| human.get("feedback")?.as_str());
        let has_form = self.has_form && request.form.is_some() && request.question().is_empty();
        match &shared.said {
            Some(said) if has_form => said,
            _ => Some(request.question()).filter(|question| !question.is_empty()).or(feedback).unwrap_or(" "),
        }
    }
}

/// A stored turn, as nodes remember it.
fn turn_of(Turn { by_user, text }: Turn) -> Value {
    let role = if by_user { "user" } else { "assistant" };
    Value::Object(
        [("role", role.into()), ("content", text.into())]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    )
}

/// Texts of the files that came with the question.
fn files(request: &RunRequest) -> String {
    let texts = request.uploads.iter().filter(|upload| upload.kind == "file:full" && !upload.data.is_empty());
    let texts: Vec<String> =
        texts.map(|upload| format!("<doc name='{}'>{}</doc>\n\n", upload.name, upload.data)).collect();
    texts.concat()
}

/// The question with its files, or the form line by line.
fn said<'r>(request: &'r RunRequest, files: &str) -> Option<Cow<'r, str>> {
    let question = request.question();
    if !question.is_empty() {
        return Some(if files.is_empty() { question.into() } else { format!("{files}\n\n{question}").into() });
    }
    let form = request.form.as_ref().filter(|form| !form.is_empty())?;
    let lines: Vec<String> = form.iter().map(|(name, value)| format!("{name}: {}", listed(value))).collect();
    Some(lines.join("\n").into())
}

/// The form that a later request goes on with: the one that is kept, or else what came with this one.
fn form(request: &RunRequest, kept: &Value) -> Option<Value> {
    if kept.as_object().is_some_and(|kept| !kept.is_empty()) {
        return Some(kept.clone());
    }
    // Flowise reads it back from the lines that it was told in, where everything is a text.
    let kept = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => value.clone(),
        value => listed(value).trim().into(),
    };
    let is_set = |(_, value): &(&String, &Value)| !value.is_null() && **value != "";
    let fields = request.form.as_ref()?.iter().filter(is_set);
    Some(Value::Object(fields.map(|(name, value)| (name.clone(), kept(value))).collect()))
}
