//! "Format Prompt Values": what stands in an agent's prompts, from the question, other nodes and the state.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::paths;
use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::ValueSource;
use crate::engine::contract::prompt_values::{referred, split, text_at};
use crate::engine::text::javascript::json;
use crate::engine::text::mustache::{JsonTemplate, Names};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AgentValues {
    values: Vec<(String, GivenValue)>,
    /// Nodes of chatflows that the values refer to, by id.
    sources: Vec<(String, Arc<dyn ValueSource>)>,
}

#[derive(Debug)]
enum GivenValue {
    /// `$flow.state.x`.
    State(String),
    /// `$flow.x` or `$vars.x`, where both are looked into.
    Path(String),
    Template(JsonTemplate),
}

impl AgentValues {
    /// Of an input; `is_agent`: whether a node is one of this flow's agents, who are quoted.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str, is_agent: &dyn Fn(&str) -> bool) -> Self {
        inputs.fills(&[name]);
        let fields = match inputs.json_template(name).map(JsonTemplate::into_fields) {
            None => return Self::default(),
            Some(Some(fields)) => fields,
            Some(None) => {
                inputs.refuse(name, "expected a JSON object");
                return Self::default();
            }
        };
        let mut sources = Vec::new();
        // What refers to a node that is gone stays as it is.
        let export = inputs.compiler.export;
        for id in referred(&fields).into_iter().filter(|id| !is_agent(id) && export.node(id).is_some()) {
            match inputs.part_of(&id) {
                Some(Part::Value(source)) => sources.push((id, source)),
                Some(_) => inputs.refuse(name, format!("expected {id} to give a value, such as an Output Prediction")),
                None => {}
            }
        }
        let looks = inputs.node.data.name == "seqCustomFunction";
        let value = |(name, value): (String, JsonTemplate)| {
            let written = value.fixed().and_then(Value::as_str).filter(|_| looks);
            if let Some(path) = written.filter(|text| text.starts_with("$flow.") || text.starts_with("$vars")) {
                return (name, GivenValue::Path(path.to_owned()));
            }
            let path = value.fixed().and_then(Value::as_str).and_then(|text| text.strip_prefix("$flow.state"));
            let path = path.map(|path| path.trim_start_matches('.').to_owned());
            (name, path.map_or(GivenValue::Template(value), GivenValue::State))
        };
        Self { values: fields.into_iter().map(value).collect(), sources }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| known == name)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.values.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The values, with what they refer to filled in.
    pub(super) async fn fill(&self, visit: &Visit<'_>) -> Result<Map<String, Value>, Failure> {
        let mut known = HashMap::new();
        for (id, source) in &self.sources {
            known.insert(id.as_str(), visit.run.outcome(id, &**source, visit.question).await?);
        }
        let find = |name: &str| match split(name) {
            Some((id, path)) => match known.get(id) {
                Some(value) => Some(text_at(value, path, false).into()),
                None => Some(visit.state.said_by(id).map_or("", |said| &said.content).into()),
            },
            None => visit.run.find(name),
        };
        let filled = self.values.iter().map(|(name, value)| {
            let value = match value {
                GivenValue::Template(template) => template.value(&find).map_err(Failure::flow)?,
                GivenValue::Path(path) => match visit.at(path, &visit.flow(None)) {
                    Some(value) => value,
                    None if path.starts_with("$flow") => path.as_str().into(),
                    None => Value::Null,
                },
                GivenValue::State(path) => match paths::get(&visit.state.view(visit.channels), path) {
                    Some(value @ (Value::Array(_) | Value::Object(_) | Value::Null)) => json(&value).into(),
                    Some(value) => value,
                    None => "undefined".into(),
                },
            };
            Ok((name.clone(), value))
        });
        filled.collect()
    }
}
