//! What `{{...}}` stands for in agentflows.

use serde_json::{Map, Value};

use super::runtime::{Iteration, Runtime};
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::Names;

/// What is known where a text is filled in.
pub(super) struct StepScope<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) runtime: &'a Runtime,
    pub(super) iteration: Option<&'a Iteration>,
    /// Texts of the files that came with the question.
    pub(super) files: &'a str,
    /// The id of the message that the answer becomes.
    pub(super) message: &'a str,
}

impl Names for StepScope<'_> {
    fn find(&self, name: &str) -> Option<Value> {
        if let Some((kind, path)) = name.split_once('.').filter(|_| name.starts_with('$')) {
            match kind {
                "$form" => return self.form(path),
                "$vars" => {
                    return at_field(&self.run.request.vars, path).filter(|value| !value.is_null());
                }
                "$flow" => return self.flow(path),
                _ => {}
            }
        }
        let known = match name {
            "question" => self.run.request.question().into(),
            "file_attachment" => self.files.into(),
            "chat_history" => history(self.runtime).into(),
            "runtime_messages_length" => self.runtime.history.len().saturating_sub(1).into(),
            "loop_count" => self.runtime.loop_count().into(),
            "current_date_time" => now().into(),
            name if name.starts_with("$iteration") => {
                return self.item(name.trim_start_matches("$iteration").trim_start_matches('.'));
            }
            name => return self.output(&name.replace('\\', "")),
        };
        Some(known)
    }

    fn files(&self) -> &str {
        self.files
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.run.has_room(bytes)
    }
}

impl StepScope<'_> {
    fn form(&self, path: &str) -> Option<Value> {
        let asked = self.run.request.form.as_ref().filter(|form| !form.is_empty());
        let value = match asked {
            Some(form) => at_field(form, path),
            None => at(&self.runtime.form, path),
        };
        value.filter(|value| !value.is_null())
    }

    fn flow(&self, path: &str) -> Option<Value> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let request = self.run.request;
        if let ("state", Some(rest)) = (first, rest) {
            return at_field(&self.runtime.state, rest).filter(|value| !value.is_null());
        }
        let value: Value = match first {
            "state" => Value::Object(self.runtime.state.clone()),
            "sessionId" => request.session_id.as_str().into(),
            "chatId" => request.chat_id.as_str().into(),
            "chatflowId" | "chatflowid" => self.run.flow.into(),
            "apiMessageId" => self.message.into(),
            "runtimeChatHistoryLength" => self.runtime.history.len().saturating_sub(1).into(),
            "chatHistory" => self.runtime.past.iter().chain(&self.runtime.history).cloned().collect(),
            _ => return None,
        };
        rest.map_or(Some(value.clone()), |rest| at(&value, rest)).filter(|value| !value.is_null())
    }

    /// Of an item that is no object and no list, a path leads nowhere, but to a text itself.
    fn item(&self, path: &str) -> Option<Value> {
        let value = &self.iteration?.value;
        match value {
            value if path.is_empty() => Some(value.clone()),
            Value::Object(_) | Value::Array(_) => Some(at(value, path).unwrap_or_else(|| "undefined".into())),
            Value::String(_) => Some(value.clone()),
            _ => None,
        }
    }

    /// Of a node that has been run: its answer, or what is at a path in its output.
    fn output(&self, name: &str) -> Option<Value> {
        let (id, path) = name.split_once(".output.").unwrap_or_default();
        if let Some(value) = self.runtime.output(id).and_then(|output| at(output, path)) {
            return Some(value);
        }
        let output = self.runtime.output(name)?;
        let answer = output.get("content").filter(|answer| !answer.is_null());
        let answer = answer.or_else(|| output.get("http")?.get("data")).filter(|answer| !answer.is_null());
        answer.map(|answer| Value::String(text_of(answer)))
    }
}

/// As a text shows it.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value at a path such as `items[0].name`.
pub(super) fn at(value: &Value, path: &str) -> Option<Value> {
    if let Value::Object(fields) = value {
        return at_field(fields, path);
    }
    steps(path).try_fold(value, step_into).cloned()
}

/// As [`at`], in an object, of which no more is copied than what is there.
fn at_field(fields: &Map<String, Value>, path: &str) -> Option<Value> {
    if let Some(value) = fields.get(path) {
        return Some(value.clone());
    }
    let mut steps = steps(path);
    let Some(first) = steps.next() else { return Some(Value::Object(fields.clone())) };
    steps.try_fold(fields.get(first.trim_matches(['"', '\'']))?, step_into).cloned()
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty())
}

fn step_into<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step.trim_matches(['"', '\''])),
    }
}

/// What was said, line by line.
fn history(runtime: &Runtime) -> String {
    let line = |turn: &Value| {
        let content = text_of(turn.get("content")?);
        let who = match turn.get("role").and_then(Value::as_str) {
            Some("assistant") => "Assistant: ",
            Some("user") => "Human: ",
            _ => "",
        };
        (!content.trim().is_empty()).then(|| format!("{who}{content}"))
    };
    runtime.past.iter().chain(&runtime.history).filter_map(line).collect::<Vec<_>>().join("\n")
}

/// As JavaScript writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_go_through_lists() {
        let value = json!({ "items": [{ "name": "x" }], "a.b": 1 });
        assert_eq!(at(&value, "items[0].name"), Some("x".into()));
        assert_eq!(at(&value, "a.b"), Some(1.into()));
        assert_eq!(at(&value, "items.1"), None);
    }
}
