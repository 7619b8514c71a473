//! "Update State": what an agent's work changes in the state.

use serde_json::Value;

use super::code::AgentCode;
use super::visit::{Visit, is_path};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;

/// A key and the value that it gets: a path, or the text itself.
#[derive(Debug)]
pub(super) struct StateChange {
    key: String,
    value: Value,
}

/// See the module.
#[derive(Debug)]
pub(super) enum StateChanges {
    Table(Vec<StateChange>),
    Code(AgentCode),
}

impl Default for StateChanges {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

/// What an input with tabs shows: the tab's name.
pub(super) fn selected_tab(inputs: &mut Inputs<'_, '_, '_>, tab: &str, otherwise: &str) -> String {
    let own = format!("{tab}_{}", inputs.node.id);
    let selected = inputs.text(&own);
    // Editors copy nodes with the tabs of those that they were copied from.
    let others: Vec<String> = inputs.names_with(&format!("{tab}_"));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    inputs.ignore(&others);
    let behind = format!("_{}", inputs.node.id);
    selected.map_or_else(|| otherwise.to_owned(), |text| text.split(&behind).next().unwrap_or_default().to_owned())
}

impl StateChanges {
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Self {
        let tab = selected_tab(inputs, "selectedUpdateStateMemoryTab", "updateStateMemoryUI");
        let is_table = tab != "updateStateMemoryCode";
        let has_code = inputs.has("updateStateMemoryCode");
        let overridden = inputs
            .value("updateStateMemory")
            .filter(|value| !matches!(value.as_str(), Some("updateStateMemoryUI" | "updateStateMemoryCode")));
        inputs.fills(&["updateStateMemory", "updateStateMemoryCode", "updateStateMemoryUI"]);
        if overridden.is_some() && (has_code || inputs.has("updateStateMemoryUI")) {
            return Self::table(inputs, "updateStateMemory", ("Key", "Value"));
        }
        if is_table {
            return Self::table(inputs, "updateStateMemoryUI", ("key", "value"));
        }
        inputs.ignore(&["updateStateMemoryUI"]);
        AgentCode::read(inputs, "updateStateMemoryCode").map_or_else(Self::default, Self::Code)
    }

    fn table(inputs: &mut Inputs<'_, '_, '_>, name: &str, (key, value): (&str, &str)) -> Self {
        let Some(rows) = inputs.json(name) else { return Self::default() };
        let Some(rows) = rows.as_array() else {
            inputs.refuse(name, "expected a list of keys and values");
            return Self::default();
        };
        let row = |row: &Value| {
            let key = row.get(key).and_then(Value::as_str).filter(|key| !key.is_empty())?;
            Some(StateChange { key: key.to_owned(), value: row.get(value).cloned().unwrap_or_default() })
        };
        let rows: Option<Vec<StateChange>> = rows.iter().map(row).collect();
        if rows.is_none() {
            inputs.lacks(name);
        }
        Self::Table(rows.unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Table(rows) if rows.is_empty())
    }

    /// What a node's output makes of the state.
    pub(super) async fn made(
        &self,
        visit: &Visit<'_>,
        output: &Value,
    ) -> Result<Vec<(String, Option<Value>)>, Failure> {
        let rows = match self {
            Self::Table(rows) if rows.is_empty() => return Ok(Vec::new()),
            Self::Table(rows) => rows,
            Self::Code(code) => {
                let made = code.object(visit, Some(output), "Return output must be an object").await?;
                return Ok(made.into_iter().map(|(key, value)| (key, Some(value))).collect());
            }
        };
        let flow = visit.flow(Some(output));
        let made = |change: &StateChange| {
            let written = change.value.as_str().filter(|written| is_path(written));
            let value = written.map_or_else(|| Some(change.value.clone()), |path| visit.at(path, &flow));
            (change.key.clone(), value)
        };
        Ok(rows.iter().map(made).collect())
    }
}
