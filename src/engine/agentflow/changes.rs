//! What a node changes in the flow's state. What it writes there are values: a state is never read as a template, neither
//! in this run nor in a later one.

use serde_json::{Map, Value};

use super::step::StepContext;
use super::values::at;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::mustache::{JsonTemplate, Mustache, Names};
use crate::engine::text::size::bytes_of_json;
use crate::wire::json::read_str;

/// See the module. Keys, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(String, JsonTemplate)>);

impl Changes {
    /// A list of keys and values.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Self {
        let Some(changes) = inputs.value(name) else { return Self::default() };
        let Value::Array(changes) = changes else {
            inputs.refuse(name, "expected a list of keys and values");
            return Self::default();
        };
        // A row without a key is one that its author has not filled in.
        let change = |(at, change): (usize, &Value)| {
            let key = change.get("key").and_then(Value::as_str)?.to_owned();
            let value = change.get("value").cloned().unwrap_or_default();
            Some((key, inputs.template_of(&[name, &at.to_string(), "value"], &value)))
        };
        Self(changes.iter().enumerate().filter_map(change).collect())
    }

    /// The state with them. In a change, `{{ output }}` stands for what the node said, `{{ output.path }}` for what is
    /// there in it.
    pub(super) fn applied(&self, visit: &StepContext<'_>, said: &str) -> Map<String, Value> {
        let mut state = visit.runtime.state.clone();
        self.apply(&mut state, visit.scope, said);
        state
    }

    fn apply(&self, state: &mut Map<String, Value>, names: &dyn Names, said: &str) {
        let is_asked = |path: &str| path.starts_with("output.");
        let asks = |change: &JsonTemplate| change.mustache().is_some_and(|text| text.names().any(is_asked));
        let is_read = self.0.iter().any(|(_, change)| asks(change)) && names.has_room(bytes_of_json(said.as_bytes()));
        let looked_into = if is_read { read_str(said).unwrap_or_default() } else { Value::Null };
        let names = WithOutput { names, said, looked_into };
        for (key, change) in &self.0 {
            // Nothing stands bare in it, so there is always a value.
            let value = change.mustache().map_or_else(|| change.value(&names).ok(), |text| Some(names.changed(text)));
            state.insert(key.clone(), value.unwrap_or_default());
        }
    }
}

struct WithOutput<'a> {
    names: &'a dyn Names,
    said: &'a str,
    /// The same as JSON.
    looked_into: Value,
}

impl WithOutput<'_> {
    /// As Flowise does it, a path that leads to something stands for all of the text.
    fn changed(&self, text: &Mustache) -> Value {
        let path = text.names().find(|name| name.starts_with("output."));
        path.and_then(|path| self.find(path)).unwrap_or_else(|| text.value(self))
    }
}

impl Names for WithOutput<'_> {
    fn find(&self, name: &str) -> Option<Value> {
        if name == "output" {
            return Some(self.said.into());
        }
        match name.strip_prefix("output.") {
            Some(path) => at(&self.looked_into, path).filter(|found| !found.is_null()),
            None => self.names.find(name),
        }
    }

    fn files(&self) -> &str {
        self.names.files()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.names.has_room(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::text::mustache::Dialect;
    use crate::engine::text::overrides::FilledPaths;

    fn after(before: &Value, changes: &Value, said: &str) -> Value {
        let change = |(key, value): (&String, &Value)| {
            (key.clone(), JsonTemplate::of(value, Dialect::Agentflow, &FilledPaths::default(), &mut Vec::new()))
        };
        let changes = Changes(changes.as_object().unwrap().iter().map(change).collect());
        let mut state = before.as_object().cloned().unwrap();
        let names = |name: &str| (name == "question").then(|| Value::from("{{ output.secret }} {{ output }}"));
        changes.apply(&mut state, &names, said);
        state.into()
    }

    #[test]
    fn a_node_writes_its_answer_into_the_state() {
        let changes = json!({ "a": "{{ output }}", "b": "{{ output.x.y }} ", "d": "say {{ output }}!", "e": [1] });
        let said = r#"{"x":{"y":[1]}}"#;
        let expected = json!({ "a": said, "c": "kept", "b": [1], "d": format!("say {said}!"), "e": [1] });
        assert_eq!(after(&json!({ "a": "", "c": "kept" }), &changes, said), expected);
        let kept = after(&json!({}), &json!({ "a": "{{output.x}}", "b": "say {{ output }}!" }), "no json");
        assert_eq!(kept, json!({ "a": "{{output.x}}", "b": "say no json!" }));
    }

    #[test]
    fn what_is_in_the_state_is_no_template() {
        let before = json!({ "old": "{{ output.secret }}" });
        let now = after(&before, &json!({ "q": "{{ question }}", "s": "{{ output }}" }), r#"{"secret":"s"}"#);
        let typed = "{{ output.secret }} {{ output }}";
        assert_eq!(now, json!({ "old": "{{ output.secret }}", "q": typed, "s": "{\"secret\":\"s\"}" }));
    }
}
