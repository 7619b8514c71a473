//! Tools as nodes of agentflows name them: a kind's name and its inputs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::compile::in_markdown;
use super::values::Scope;
use crate::engine::compile::{Compiler, Workshop};
use crate::engine::export::{Data, Export, Node};
use crate::engine::failure::Failure;
use crate::engine::inputs::Inputs;
use crate::engine::nodes;
use crate::engine::nodes::files::STORAGE;
use crate::engine::nodes::retrieval::Indexes;
use crate::engine::part::{Part, Tool};

/// A tool of a node, or a toolkit.
#[derive(Debug)]
pub(super) struct Slot {
    /// Such as `calculator`.
    pub(super) kind: String,
    pub(super) asks_first: bool,
    config: Map<String, Value>,
    /// One, or those of a toolkit; `None`: what they are depends on the request.
    ready: Option<Vec<Arc<dyn Tool>>>,
}

/// A tool that can be called.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) kind: String,
    /// Whether the user is asked before it is called.
    pub(super) asks_first: bool,
    pub(super) tool: Arc<dyn Tool>,
}

impl Slot {
    /// Reads a tool; what is wrong is told to the inputs of the node that has it.
    pub(super) fn read(
        kind: &str,
        config: Option<&Value>,
        asks_first: bool,
        input: &str,
        inputs: &mut Inputs<'_, '_, '_>,
    ) -> Option<Self> {
        if nodes::find(kind).is_none() {
            inputs.refuse(input, format!("the engine does not know the tool {kind}"));
            return None;
        }
        let mut config = config.and_then(Value::as_object).cloned().unwrap_or_default();
        // Editors repeat the kind's name in it, such as `agentSelectedTool`.
        config.retain(|key, value| !(key.ends_with("SelectedTool") && *value == kind));
        config.values_mut().for_each(in_markdown);
        let depends = config.values().any(|value| value.to_string().contains("{{"));
        if depends && !config.iter().all(|(name, value)| has_fixed_origin(name, value)) {
            inputs.refuse(input, format!("{kind}: where an address leads must not depend on the request"));
            return None;
        }
        let sample = if depends {
            config.iter().map(|(key, value)| (key.clone(), sample(value))).collect()
        } else {
            config.clone()
        };
        if depends && config.values().filter_map(Value::as_str).any(|text| text.starts_with(STORAGE)) {
            inputs.refuse(
                input,
                format!("{kind}: it has a file in Flowise's storage beside {{{{...}}}}; put the file into the flow"),
            );
            return None;
        }
        let tools = built(kind, sample, inputs.node, inputs.compiler)?;
        let ready = (!depends).then_some(tools);
        Some(Self { kind: kind.to_owned(), asks_first, config, ready })
    }

    /// The tools, for this request.
    pub(super) fn tools(&self, scope: &Scope<'_>, workshop: &Workshop) -> Result<Vec<Ready>, Failure> {
        let ready = |tool| Ready { kind: self.kind.clone(), asks_first: self.asks_first, tool };
        if let Some(tools) = &self.ready {
            return Ok(tools.iter().cloned().map(ready).collect());
        }
        let filled = |(key, value): (&String, &Value)| {
            let value = match value.as_str().filter(|_| is_address(key)) {
                Some(address) => scope.fill_address(address).into(),
                None => scope.fill(value),
            };
            (key.clone(), value)
        };
        let config = self.config.iter().map(filled).collect();
        let export = Export { nodes: Vec::new(), edges: Vec::new(), folder: None, indexes: Indexes::default() };
        let overrides = Map::new();
        let mut compiler = Compiler::new(&export, workshop, &overrides);
        let node = node("", &self.kind, None, &self.kind);
        let tools = built(&self.kind, config, &node, &mut compiler);
        let why = || compiler.problems.first().map(ToString::to_string).unwrap_or_default();
        tools.map(|tools| tools.into_iter().map(ready).collect()).ok_or_else(|| Failure::flow(why()))
    }
}

impl Ready {
    /// As clients see it.
    pub(super) fn shown(&self) -> Value {
        let spec = self.tool.spec();
        let mut schema = spec.parameters.clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.shift_remove("$schema");
        }
        let node = json!({ "label": label(&self.kind), "name": self.kind });
        json!({ "name": spec.name, "description": spec.description, "schema": schema, "toolNode": node })
    }
}

/// What Flowise calls a kind of tool.
fn label(kind: &str) -> &str {
    match kind {
        "calculator" => "Calculator",
        "currentDateTime" => "CurrentDateTime",
        "requestsGet" => "Requests Get",
        "requestsPost" => "Requests Post",
        "requestsPut" => "Requests Put",
        "requestsDelete" => "Requests Delete",
        "openAPIToolkit" => "OpenAPI Toolkit",
        "retrieverTool" => "Retriever Tool",
        kind => kind,
    }
}

fn node(id: &str, label: &str, parent: Option<String>, kind: &str) -> Node {
    let (inputs, outputs, input_params) = (Map::new(), Map::new(), Vec::new());
    let (name, label, category) = (kind.to_owned(), label.to_owned(), String::new());
    let data = Data { name, label, category, inputs, outputs, input_params };
    Node { id: id.to_owned(), data, parent }
}

fn built(
    kind: &str,
    config: Map<String, Value>,
    outer: &Node,
    compiler: &mut Compiler<'_>,
) -> Option<Vec<Arc<dyn Tool>>> {
    let found = nodes::find(kind)?;
    let own = node(&outer.id, &outer.data.label, outer.parent.clone(), kind);
    let problems = compiler.problems.len();
    let tools = Inputs::new(&own, config, compiler).build(found).and_then(Part::into_tools);
    if tools.is_none() && compiler.problems.len() == problems {
        compiler.of_node(&own, None, "it is no tool");
    }
    tools
}

/// A value with something in every place.
fn sample(value: &Value) -> Value {
    match value {
        Value::String(text) => crate::engine::variables::replaced(text, |_| Some("0".to_owned())).into(),
        value => value.clone(),
    }
}

fn is_address(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("url")
}

/// Whether nothing in the scheme, host and port of an address is filled in.
pub(super) fn has_fixed_origin(name: &str, value: &Value) -> bool {
    let Some(text) = value.as_str().map(str::trim) else { return true };
    match text.split_once("://") {
        None if is_address(name) => !text.contains("{{"),
        Some((scheme, rest)) if !scheme.contains(char::is_whitespace) => {
            let origin = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !scheme.contains("{{") && !origin.contains("{{")
        }
        _ => true,
    }
}
