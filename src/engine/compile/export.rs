//! Flowise's export format ("Export Chatflow"), both generations, as far as the engine reads it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::engine::documents::index::Indexes;
use crate::wire::json;

/// One file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Export {
    pub(crate) nodes: Vec<Node>,
    #[serde(default)]
    pub(crate) edges: Vec<Edge>,
    /// Where files lie that Flowise kept in its storage.
    #[serde(skip)]
    pub(crate) folder: Option<PathBuf>,
    /// What was made of the flow's documents, for as long as it is loaded.
    #[serde(skip)]
    pub(crate) indexes: Indexes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) data: Data,
    /// Of a node inside an iteration: the iteration's.
    #[serde(rename = "parentNode")]
    pub(crate) parent: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Data {
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
    pub(crate) input_params: Vec<Param>,
}

/// A declared input.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Param {
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
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        json::read_str(text).map_err(|error| Problem::of_flow(format!("not an exported Flowise flow: {error}")))
    }

    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Whether it is of the second generation.
    pub(crate) fn is_agentflow(&self) -> bool {
        self.nodes.iter().any(|node| node.data.name == "startAgentflow")
    }
}

/// Old exports have `""` or an array where there is nothing.
fn map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}
