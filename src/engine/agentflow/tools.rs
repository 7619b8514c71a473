//! Tools as nodes of agentflows name them: a kind's name and its inputs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::inputs::in_markdown;
use super::step::StepContext;
use crate::engine::compile::export::ExportNode;
use crate::engine::compile::flowise;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::{ToolSource, Toolset};
use crate::engine::text::mustache::{Dialect, Mustache};
use crate::engine::text::overrides::FilledPaths;

/// A tool of a node, or a toolkit.
#[derive(Debug)]
pub(super) struct NodeTool {
    /// Such as `calculator`.
    pub(super) kind: String,
    pub(super) asks_first: bool,
    /// One, or those of a toolkit or of a server; the description of one that is known may refer to values.
    tools: Vec<(ToolSource, Option<Mustache>)>,
}

/// A tool that can be called.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) kind: String,
    /// Whether the user is asked before it is called.
    pub(super) asks_first: bool,
    pub(super) tool: Arc<dyn Tool>,
}

impl NodeTool {
    /// Reads a tool; what is wrong is told to the inputs of the node that has it.
    pub(super) fn read(
        kind: &str,
        config: Option<&Value>,
        asks_first: bool,
        input: &str,
        inputs: &mut Inputs<'_, '_, '_>,
    ) -> Option<Self> {
        if kind.is_empty() {
            inputs.lacks(input);
            return None;
        }
        if inputs.compiler.kinds.find(kind).is_none() {
            inputs.refuse(input, format!("{kind}: {}", flowise::why_unknown(kind, "Tools")));
            return None;
        }
        let mut config = config.and_then(Value::as_object).cloned().unwrap_or_default();
        // Editors repeat the kind's name in it, such as `agentSelectedTool`.
        config.retain(|key, value| !(key.ends_with("SelectedTool") && *value == kind));
        for (name, value) in &mut config {
            in_markdown(value, &FilledPaths::default(), &mut vec![name.clone()]);
        }
        if !config.iter().all(|(name, value)| has_fixed_origin(name, value)) {
            inputs.refuse(input, format!("{kind}: where an address leads must not depend on the request"));
            return None;
        }
        let descriptions: Vec<Value> = config
            .iter()
            .filter(|(name, _)| name.to_ascii_lowercase().ends_with("description"))
            .map(|(_, text)| text.clone())
            .collect();
        let described = |source: ToolSource| {
            let own = match &source {
                ToolSource::Known(tool) => tool.spec().description.as_str(),
                ToolSource::Server(_) => "",
            };
            let is_own = descriptions.iter().any(|text| text == own);
            let template =
                is_own.then(|| Mustache::parse(own, Dialect::Agentflow)).filter(|text| text.fixed().is_none());
            (source, template)
        };
        let tools = built(kind, config, inputs)?.into_iter().map(described).collect();
        Some(Self { kind: kind.to_owned(), asks_first, tools })
    }

    /// The tools, for this request.
    ///
    /// # Errors
    /// Why a server does not say which it has.
    pub(super) async fn tools(&self, visit: &StepContext<'_>) -> Result<Vec<Ready>, Failure> {
        let mut all = Vec::new();
        for (source, description) in &self.tools {
            for tool in source.tools(visit.run).await? {
                let tool = match description {
                    None => tool,
                    Some(description) => {
                        let spec = ToolSpec { description: description.text(visit.scope), ..tool.spec().clone() };
                        Arc::new(Described { spec, tool })
                    }
                };
                all.push(Ready { kind: self.kind.clone(), asks_first: self.asks_first, tool });
            }
        }
        Ok(all)
    }
}

/// A tool with a description of its own.
#[derive(Debug)]
struct Described {
    spec: ToolSpec,
    tool: Arc<dyn Tool>,
}

impl Tool for Described {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        self.tool.call(arguments, run)
    }

    fn returns_directly(&self) -> bool {
        self.tool.returns_directly()
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

/// What Flowise calls its kinds of tools, a line each.
const LABELS: &str = include_str!("tools/labels.txt");

/// What Flowise calls a kind of tool.
fn label(kind: &str) -> &str {
    let line = |line: &'static str| line.strip_prefix(kind)?.strip_prefix(' ');
    LABELS.lines().find_map(line).unwrap_or(kind)
}

fn built(kind: &str, config: Map<String, Value>, inputs: &mut Inputs<'_, '_, '_>) -> Option<Toolset> {
    let found = inputs.compiler.kinds.find(kind)?;
    let own = ExportNode::inside(inputs.node, kind);
    let problems = inputs.compiler.problems.len();
    let part = Inputs::new(&own, config, inputs.compiler).of_tool().build(found);
    let is_unset = matches!(part, Some(Part::Unset(_)));
    let tools = inputs.made(part).and_then(Part::into_tools);
    if tools.is_none() && !is_unset && inputs.compiler.problems.len() == problems {
        inputs.compiler.of_node(&own, None, "it is no tool");
    }
    tools
}

/// Whether nothing in the scheme, host and port of an address is filled in.
pub(super) fn has_fixed_origin(name: &str, value: &Value) -> bool {
    let Some(text) = value.as_str().map(str::trim).filter(|text| text.contains("{{")) else { return true };
    if name == "mcpServerConfig" {
        // JSON, of which its kind reads the address.
        return true;
    }
    let name = name.to_ascii_lowercase();
    let is_address = name.ends_with("url") || name.ends_with("server");
    match text.split_once("://") {
        None => !is_address,
        Some((scheme, _)) if !is_address && scheme.contains(char::is_whitespace) => true,
        Some((scheme, rest)) => {
            let origin = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            !scheme.contains("{{") && !origin.contains("{{")
        }
    }
}
