//! What one flow sets in the inputs of another: names that its author wrote, and values, some of which were filled in.
//! Those are settled: in them the other flow finds no template, no reference to a node and no JSON, only a text.

use serde_json::{Map, Value};

/// What a request sets in the inputs of nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) values: Map<String, Value>,
    pub(crate) settled: FilledPaths,
}

/// Paths below which everything was filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilledPaths(Vec<Vec<String>>);

impl FilledPaths {
    pub(crate) fn at(paths: Vec<Vec<String>>) -> Self {
        Self(paths)
    }

    /// With more of them.
    pub(crate) fn with(mut self, paths: impl IntoIterator<Item = Vec<String>>) -> Self {
        self.0.extend(paths);
        self
    }

    /// Whether what stands there was filled in.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        self.0.iter().any(|settled| path.starts_with(settled))
    }

    /// Whether something there, or below it, was filled in.
    pub(crate) fn touches(&self, input: &str) -> bool {
        self.0.iter().any(|settled| settled.first().is_some_and(|first| first == input))
    }

    /// Within one node's inputs: a value may stand under the id of the node that it is for, and a list behind what the
    /// node's own author has listed.
    pub(crate) fn of(&self, id: &str, inputs: &Map<String, Value>) -> Self {
        let own = |path: &Vec<String>| {
            let mut path = path.clone();
            if path.get(1).is_some_and(|step| step == id) {
                path.remove(1);
            }
            let before = path.first().and_then(|name| inputs.get(name)?.as_array()).map_or(0, Vec::len);
            if let Some(at) = path.get_mut(1)
                && let Ok(place) = at.parse::<usize>()
            {
                *at = (before + place).to_string();
            }
            path
        };
        Self(self.0.iter().map(own).collect())
    }
}

impl From<Map<String, Value>> for Overrides {
    /// As a client sends them.
    fn from(values: Map<String, Value>) -> Self {
        Self { values, settled: FilledPaths::default() }
    }
}
