//! Flowise's export format ("Export Chatflow"), both generations, as far as the engine reads it.

use std::path::PathBuf;

use serde::Deserialize;
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
        json::read_str(text).map_err(|error| NodeProblem::of_flow(format!("not an exported Flowise flow: {error}")))
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

impl ExportNode {
    /// One that stands in the inputs of another, under whose id and label its problems are told.
    pub(crate) fn inside(outer: &Self, kind: &str) -> Self {
        let data = NodeData {
            name: kind.to_owned(),
            label: outer.data.label.clone(),
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

/// Old exports have `""` or an array where there is nothing.
fn map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}
