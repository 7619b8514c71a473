//! What `{{...}}` stands for in agentflows.

use serde_json::{Map, Value};

use super::address::component;
use super::runtime::{Iteration, Runtime};
use crate::engine::run::Run;

/// What is known where a text is filled in.
pub(super) struct Scope<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) runtime: &'a Runtime,
    pub(super) iteration: Option<&'a Iteration>,
    /// Texts of the files that came with the question.
    pub(super) files: &'a str,
    /// The id of the message that the answer becomes.
    pub(super) message: &'a str,
}

impl Scope<'_> {
    /// A value with every `{{...}}` in its texts replaced; what is not known stays. What is filled in is not looked at
    /// again.
    pub(super) fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill_text(text, &shown),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect())
            }
            value => value.clone(),
        }
    }

    /// An address; what is filled in stays in its place in it, whatever it holds.
    pub(super) fn fill_address(&self, text: &str) -> String {
        shown(&self.fill_text(text, &|value| component(&shown(value))))
    }

    /// A text that is nothing but a reference into a node's output becomes the value itself.
    fn fill_text(&self, text: &str, write: &dyn Fn(&Value) -> String) -> Value {
        if !text.contains("{{") {
            return text.into();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut has_question = false;
        while let Some(at) = rest.find("{{") {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            // A few references to something long are soon more than a run may hold; who asks for the text looks again.
            if self.run.budget().has_room(out.len()).is_err() {
                return out.into();
            }
            let line = after.split('\n').next().unwrap_or_default();
            let Some(end) = line.get(2..).and_then(|inside| inside.find("}}")) else {
                // Nothing on this line ends a reference, wherever it begins.
                out.push_str(line);
                rest = after.get(line.len()..).unwrap_or_default();
                continue;
            };
            let (reference, left) = after.split_at(end + 4);
            let name = reference.replace(['{', '}'], "");
            let name = name.trim();
            has_question |= name == "question";
            match self.find(name) {
                Some(value) if reference == text && is_output(name) => return value,
                Some(value) => out.push_str(&write(&value)),
                None => out.push_str(reference),
            }
            rest = left;
        }
        out.push_str(rest);
        if has_question && !self.files.is_empty() {
            out = format!("{}\n\n{out}", self.files);
        }
        out.into()
    }

    fn find(&self, name: &str) -> Option<Value> {
        if let Some((kind, path)) = name.split_once('.').filter(|_| name.starts_with('$')) {
            match kind {
                "$form" => return self.form(path),
                "$vars" => {
                    return at(&Value::Object(self.run.request.vars.clone()), path).filter(|value| !value.is_null());
                }
                "$flow" => return self.flow(path),
                "$iteration" => return self.item(Some(path)),
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
            "$iteration" => return self.item(None),
            name => return self.output(&name.replace('\\', "")),
        };
        Some(known)
    }

    fn form(&self, path: &str) -> Option<Value> {
        let asked = self.run.request.form.as_ref().filter(|form| !form.is_empty());
        let value = match asked {
            Some(form) => at(&Value::Object(form.clone()), path),
            None => at(&self.runtime.form, path),
        };
        value.filter(|value| !value.is_null())
    }

    fn flow(&self, path: &str) -> Option<Value> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let request = self.run.request;
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

    fn item(&self, path: Option<&str>) -> Option<Value> {
        let value = &self.iteration?.value;
        match (value, path) {
            (Value::Null | Value::Bool(false), _) => None,
            (Value::Object(_) | Value::Array(_), Some(path)) => at(value, path),
            (value, _) => Some(value.clone()),
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
        answer.map(|answer| Value::String(shown(answer)))
    }
}

fn is_output(name: &str) -> bool {
    name.contains(".output.")
}

/// As a text shows it.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value at a path such as `items[0].name`.
pub(super) fn at(value: &Value, path: &str) -> Option<Value> {
    if let Some(value) = value.get(path) {
        return Some(value.clone());
    }
    let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
    let found = steps.into_iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step.trim_matches(['"', '\''])),
    });
    found.cloned()
}

/// What was said, line by line.
fn history(runtime: &Runtime) -> String {
    let line = |turn: &Value| {
        let content = shown(turn.get("content")?);
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

/// A node's changes to the flow's state, a list of keys and values.
pub(super) fn updated(state: &Map<String, Value>, changes: Option<&Value>) -> Map<String, Value> {
    let mut state = state.clone();
    for change in changes.and_then(Value::as_array).into_iter().flatten() {
        if let Some(key) = change.get("key").and_then(Value::as_str) {
            state.insert(key.to_owned(), change.get("value").cloned().unwrap_or_default());
        }
    }
    state
}

/// `{{ output }}` and `{{ output.path }}` in a state, filled in with what a node answered.
pub(super) fn with_output(mut state: Map<String, Value>, output: &str) -> Map<String, Value> {
    for value in state.values_mut() {
        let Some(text) = value.as_str().filter(|text| text.contains("{{ output") || text.contains("{{output")) else {
            continue;
        };
        if matches!(text, "{{ output }}" | "{{output}}") {
            *value = output.into();
        } else if let Some(path) = output_path(text) {
            let found = serde_json::from_str(output).ok().and_then(|answer: Value| at(&answer, path));
            if let Some(found) = found.filter(|found| !found.is_null()) {
                *value = found;
            }
        } else {
            *value = text.replace("{{ output }}", output).into();
        }
    }
    state
}

/// The first path in `{{ output.path }}`.
fn output_path(text: &str) -> Option<&str> {
    text.split("{{").skip(1).find_map(|part| {
        let path = part.split_once("}}")?.0.trim().strip_prefix("output.")?;
        let is_path = !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        is_path.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_node_writes_its_answer_into_the_state() {
        let by_node = json!([{ "key": "a", "value": "{{ output }}" }, { "key": "b", "value": "{{ output.x.y }} " }]);
        let changed = updated(&state(&json!({ "a": "", "c": "kept" })), Some(&by_node));
        let written = with_output(changed, r#"{"x":{"y":[1]}}"#);
        assert_eq!(Value::Object(written), json!({ "a": "{\"x\":{\"y\":[1]}}", "c": "kept", "b": [1] }));
        let kept = with_output(state(&json!({ "a": "{{output.x}}", "b": "say {{ output }}!" })), "no json");
        assert_eq!(Value::Object(kept), json!({ "a": "{{output.x}}", "b": "say no json!" }));
    }

    #[test]
    fn paths_go_through_lists() {
        let value = json!({ "items": [{ "name": "x" }], "a.b": 1 });
        assert_eq!(at(&value, "items[0].name"), Some("x".into()));
        assert_eq!(at(&value, "a.b"), Some(1.into()));
        assert_eq!(at(&value, "items.1"), None);
    }
}
