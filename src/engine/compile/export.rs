//! Flowise's export format ("Export Chatflow"), both generations, as far as the engine reads it.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::problem::NodeProblem;
use crate::wire::json;

/// One file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Export {
    pub(crate) nodes: Vec<ExportNode>,
    #[serde(default)]
    pub(crate) edges: Vec<Edge>,
    /// Where files lie that Flowise kept in its storage.
    #[serde(skip)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportNode {
    pub(crate) id: String,
    pub(crate) data: NodeData,
    /// Of a node inside an iteration: the iteration's.
    #[serde(rename = "parentNode")]
    pub(crate) parent: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeData {
    /// The kind of node, such as `chatOpenAI`.
    pub(crate) name: String,
    /// What its author calls it.
    #[serde(default)]
    pub(crate) label: String,
    /// Flowise's id of the credential that its author chose.
    #[serde(default, deserialize_with = "id")]
    pub(crate) credential: Option<String>,
    /// Flowise's drawer of it, such as `Chat Models`.
    #[serde(default)]
    pub(crate) category: String,
    #[serde(default, deserialize_with = "map")]
    pub(crate) inputs: Map<String, Value>,
    #[serde(default, deserialize_with = "map")]
    pub(crate) outputs: Map<String, Value>,
    #[serde(default)]
    pub(crate) input_params: Vec<ExportParam>,
}

/// A declared input.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportParam {
    pub(crate) name: String,
    /// Whether texts in it may refer to values with `{{...}}`.
    #[serde(default)]
    pub(crate) accept_variable: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Edge {
    pub(crate) source: String,
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) source_handle: String,
}

impl Export {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no export.
    pub(crate) fn read(text: &str) -> Result<Self, NodeProblem> {
        let problem = |what: String| NodeProblem::of_flow(format!("not an exported Flowise flow: {what}"));
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
        let data = NodeData {
            name: kind.to_owned(),
            label: outer.data.label.clone(),
            credential: None,
            category: String::new(),
            inputs: Map::new(),
            outputs: Map::new(),
            input_params: Vec::new(),
        };
        Self { id: outer.id.clone(), data, parent: outer.parent.clone() }
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

/// Old exports have `""` or an array where there is nothing.
fn map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}
