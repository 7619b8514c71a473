//! Flowise's export format ("Export Chatflow"), both generations, as far as the engine reads it.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::drawn;
use super::flowise::is_of_agentflow_v1;
use super::problem::NodeProblem;
use crate::wire::json;

/// How flows of a kind are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Chatflow,
    /// Sequential agents, or a supervisor with workers.
    AgentflowV1,
    AgentflowV2,
}

/// One file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Export {
    #[serde(deserialize_with = "nodes")]
    pub(crate) nodes: Vec<ExportNode>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) edges: Vec<Edge>,
    /// What Flowise keeps for its widget, where the flow came in a record.
    #[serde(default, rename = "chatbotConfig", deserialize_with = "settings")]
    pub(crate) chatbot_config: Option<Map<String, Value>>,
    /// Which model makes follow-up prompts, where the flow came in a record.
    #[serde(default, rename = "followUpPrompts", deserialize_with = "settings")]
    pub(crate) follow_up_prompts: Option<Map<String, Value>>,
    /// Where files lie that Flowise kept in its storage.
    #[serde(skip)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportNode {
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) data: NodeData,
    /// Of a node inside an iteration: the iteration's.
    #[serde(default, rename = "parentNode", deserialize_with = "id")]
    pub(crate) parent: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeData {
    /// The kind of node, such as `chatOpenAI`.
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: String,
    /// What its author calls it.
    #[serde(default, deserialize_with = "text")]
    pub(crate) label: String,
    /// Flowise's id of the credential that its author chose.
    #[serde(default, deserialize_with = "id")]
    pub(crate) credential: Option<String>,
    /// Flowise's drawer of it, such as `Chat Models`.
    #[serde(default, deserialize_with = "text")]
    pub(crate) category: String,
    #[serde(default, deserialize_with = "map")]
    pub(crate) inputs: Map<String, Value>,
    #[serde(default, deserialize_with = "map")]
    pub(crate) outputs: Map<String, Value>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) input_params: Vec<ExportParam>,
    #[serde(default, deserialize_with = "list")]
    output_anchors: Vec<OutputAnchor>,
}

/// A place that edges lead from, or several to choose from.
#[derive(Debug, Clone, Default, Deserialize)]
struct OutputAnchor {
    #[serde(default, deserialize_with = "list")]
    options: Vec<OutputOption>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct OutputOption {
    #[serde(default)]
    id: String,
    #[serde(default)]
    label: String,
}

/// A declared input.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportParam {
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: String,
    /// What the editor calls it.
    #[serde(default, deserialize_with = "text")]
    pub(crate) label: String,
    /// How the editor shows it, such as `string` or `array`.
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) kind: String,
    /// Whether texts in it may refer to values with `{{...}}`.
    #[serde(default)]
    pub(crate) accept_variable: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Edge {
    #[serde(default, deserialize_with = "text")]
    pub(crate) source: String,
    #[serde(default, deserialize_with = "text")]
    pub(crate) target: String,
    #[serde(default, deserialize_with = "text")]
    pub(crate) source_handle: String,
    /// The input that it leads to, `NODE-input-NAME-TYPES`, in flows of the first generation.
    #[serde(default, deserialize_with = "text")]
    pub(crate) target_handle: String,
}

impl Export {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no export.
    pub(crate) fn read(text: &str) -> Result<Self, NodeProblem> {
        let mut export = Self::written(text)?;
        drawn::connect(&mut export);
        Ok(export)
    }

    fn written(text: &str) -> Result<Self, NodeProblem> {
        let problem = |what: String| NodeProblem::of_flow(format!("not an exported Flowise flow: {what}"));
        if let Some(WrappedFlow { flow_data, chatbot_config, follow_up_prompts, .. }) = wrapped(text) {
            let export = match flow_data {
                Some(Value::String(flow)) => json::read_str(&flow),
                flow => serde_json::from_value(flow.unwrap_or_default()),
            };
            let mut export: Self = export.map_err(|error| problem(error.to_string()))?;
            export.chatbot_config = export.chatbot_config.or(chatbot_config);
            export.follow_up_prompts = export.follow_up_prompts.or(follow_up_prompts);
            return Ok(export);
        }
        // A list would be read as well, its items for the fields.
        match misshapen(text) {
            None => json::read_str(text).map_err(|error| problem(error.to_string())),
            Some(what) => {
                Err(problem(format!("{what}; \"Export Chatflow\" or \"Export Agentflow\" in Flowise makes one")))
            }
        }
    }

    pub(crate) fn node(&self, id: &str) -> Option<&ExportNode> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The nodes that a flow of the first generation ends with: those whose output goes nowhere.
    pub(crate) fn last_nodes(&self) -> Vec<&ExportNode> {
        let is_source = |node: &ExportNode| self.edges.iter().any(|edge| edge.source == node.id);
        self.nodes.iter().filter(|node| !node.is_note() && !is_source(node)).collect()
    }

    /// Whether it is of the second generation.
    pub(crate) fn is_agentflow(&self) -> bool {
        self.nodes.iter().any(|node| node.data.name == "startAgentflow")
    }

    pub(crate) fn generation(&self) -> Generation {
        let is_of_v1 = |node: &ExportNode| is_of_agentflow_v1(&node.data.name, &node.data.category);
        if self.is_agentflow() {
            Generation::AgentflowV2
        } else if self.nodes.iter().any(is_of_v1) {
            Generation::AgentflowV1
        } else {
            Generation::Chatflow
        }
    }

    /// The nodes that may end a flow of the first generation, if their categories are known: Flowise takes no others, and
    /// none that nothing leads to.
    pub(crate) fn ends(&self) -> Vec<&ExportNode> {
        let is_end = |node: &&ExportNode| {
            matches!(&*node.data.category, "Chains" | "Agents" | "Engine" | "Multi Agents" | "Sequential Agents")
                || node.data.outputs.get("output").is_some_and(|output| output == "EndingNode")
        };
        let is_led_to = |node: &&ExportNode| {
            self.nodes.len() == 1
                || self.edges.iter().any(|edge| edge.target == node.id)
                || !node.data.referred().is_empty()
        };
        self.last_nodes().into_iter().filter(|node| is_end(node) && is_led_to(node)).collect()
    }

    /// Nodes of a flow of the first generation from which no way leads to one of its ends: Flowise never makes them.
    pub(crate) fn loose(&self) -> HashSet<&str> {
        let mut waiting: Vec<&str> = self.ends().iter().map(|end| &*end.id).collect();
        if waiting.is_empty() {
            return HashSet::new();
        }
        let mut seen = HashSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            waiting.extend(self.edges.iter().filter(|edge| edge.target == id).map(|edge| &*edge.source));
            let referred = self.node(id).map(|node| node.data.referred()).unwrap_or_default();
            waiting.extend(self.nodes.iter().map(|node| &*node.id).filter(|id| referred.contains(*id)));
        }
        let all = self.nodes.iter().filter(|node| !node.is_note()).map(|node| &*node.id);
        all.filter(|id| !seen.contains(id)).collect()
    }
}

impl NodeData {
    /// What its author calls the output that an edge leads from.
    pub(crate) fn output_label(&self, handle: &str) -> Option<&str> {
        let options = self.output_anchors.iter().flat_map(|anchor| &anchor.options);
        let found = options.into_iter().find(|option| option.id == handle);
        found.map(|option| &*option.label).filter(|label| !label.is_empty())
    }

    /// Ids of nodes that texts in its inputs refer to, `{{id.data.instance}}`.
    pub(super) fn referred(&self) -> HashSet<String> {
        fn collect(value: &Value, found: &mut HashSet<String>) {
            match value {
                Value::String(text) => {
                    let ids = text.split("{{").skip(1).filter_map(|rest| rest.split_once(".data.instance"));
                    found.extend(ids.map(|(id, _)| id.trim().to_owned()));
                }
                Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
                Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
                _ => {}
            }
        }
        let mut found = HashSet::new();
        self.inputs.values().for_each(|value| collect(value, &mut found));
        found
    }
}

/// A record of Flowise's API or database.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrappedFlow {
    nodes: Option<IgnoredAny>,
    /// The flow, often as a text.
    flow_data: Option<Value>,
    #[serde(default, deserialize_with = "settings")]
    chatbot_config: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "settings")]
    follow_up_prompts: Option<Map<String, Value>>,
}

fn wrapped(text: &str) -> Option<WrappedFlow> {
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return None;
    }
    let record: WrappedFlow = json::read_str(text).ok()?;
    let is_flow = matches!(record.flow_data, Some(Value::String(_) | Value::Object(_)));
    Some(record).filter(|record| record.nodes.is_none() && is_flow)
}

/// What stands in the place of an object with nodes, if something else does.
fn misshapen(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct NodesProbe {
        nodes: Option<IgnoredAny>,
    }
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('{') {
        // What is no JSON at all is told by its place.
        let probe = json::read_str::<NodesProbe>(text).ok()?;
        return probe.nodes.is_none().then(|| "it has no list `nodes`".to_owned());
    }
    if start.is_empty() {
        return Some("the file is empty".to_owned());
    }
    Some(match json::read_str(text) {
        Ok(Value::Array(items)) if items.is_empty() => "it is an empty list: nothing was exported".to_owned(),
        Ok(value) => {
            let kind = match value {
                Value::Array(_) => "a list",
                Value::String(_) => "a text",
                Value::Number(_) => "a number",
                Value::Null | Value::Bool(_) | Value::Object(_) => start.trim_end(),
            };
            format!("it is {kind}, not an object with a list `nodes`")
        }
        Err(error) => format!("it is no JSON: {error}"),
    })
}

impl ExportNode {
    /// One that stands in the inputs of another, under whose id and label its problems are told.
    pub(crate) fn inside(outer: &Self, kind: &str) -> Self {
        let data = NodeData { name: kind.to_owned(), label: outer.data.label.clone(), ..NodeData::default() };
        Self { id: outer.id.clone(), data, parent: outer.parent.clone() }
    }

    /// What no node of a flow stands for, as one.
    pub(crate) fn of_flow(id: &str, label: &str) -> Self {
        let (name, label) = (id.to_owned(), label.to_owned());
        let data = NodeData { name, label, ..NodeData::default() };
        Self { id: id.to_owned(), data, parent: None }
    }

    /// Whether it is a note of whoever drew the flow.
    pub(crate) fn is_note(&self) -> bool {
        matches!(&*self.data.name, "stickyNote" | "stickyNoteAgentflow")
    }
}

/// Where there is none, there may be anything.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(id) => Some(id).filter(|id| !id.is_empty()),
        _ => None,
    })
}

/// The same of what is a text in every export of Flowise's own.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(id(deserializer)?.unwrap_or_default())
}

/// Nodes without a kind are none: something else has come among them.
fn nodes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ExportNode>, D::Error> {
    let mut nodes = Vec::<ExportNode>::deserialize(deserializer)?;
    nodes.retain(|node| !node.data.name.is_empty());
    Ok(nodes)
}

/// What stands in a list, as far as it is what belongs there.
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let items = match Value::deserialize(deserializer)? {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

/// An object, or the JSON of one as a text.
fn settings<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(settings) => Some(settings),
        Value::String(text) => json::read_str(&text).ok(),
        _ => None,
    })
}

/// Old exports have `""` or an array where there is nothing.
fn map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_an_object_or_a_text_of_one() {
        for (written, is_there) in
            [(r#"{"a":1}"#, true), (r#""{\"a\":1}""#, true), (r#""{""#, false), ("null", false), ("[]", false)]
        {
            let of_widget = |text: &str| Export::read(text).unwrap().chatbot_config;
            let read = is_there.then(|| Map::from_iter([("a".to_owned(), 1.into())]));
            assert_eq!(of_widget(&format!(r#"{{"nodes":[],"chatbotConfig":{written}}}"#)), read, "{written}");
            let wrapped = format!(r#"{{"flowData":"{{\"nodes\":[]}}","chatbotConfig":{written}}}"#);
            assert_eq!(of_widget(&wrapped), read, "{wrapped}");
        }
    }
}
