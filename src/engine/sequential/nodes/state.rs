//! The node `seqState`: what the agents of a flow share beside their messages.

use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::sequential::changes::selected_tab;
use crate::engine::sequential::code::StateCode;
use crate::engine::sequential::flow::StateDefinition;
use crate::engine::sequential::state::{Channels, Reducer, StateChannel};
use crate::wire::json::read_str;

pub(in crate::engine::sequential) fn build(inputs: &mut Inputs<'_, '_, '_>) -> Option<StateDefinition> {
    let tab = selected_tab(inputs, "selectedStateTab", "stateMemoryUI");
    let overridden = inputs.value("stateMemory");
    let overridden = overridden.filter(|value| !matches!(value.as_str(), Some("stateMemoryUI" | "stateMemoryCode")));
    inputs.fills(&["stateMemory", "stateMemoryUI", "stateMemoryCode"]);
    if tab == "stateMemoryCode" && overridden.is_none() {
        inputs.ignore(&["stateMemoryUI"]);
        if inputs.has("stateMemoryCode") {
            return StateCode::read(inputs, "stateMemoryCode").map(StateDefinition::Code);
        }
        return Some(StateDefinition::Table(Channels::new()));
    }
    inputs.ignore(&["stateMemoryCode"]);
    let mut channels = Channels::new();
    for name in ["stateMemoryUI", "stateMemory"].into_iter().take(1 + usize::from(overridden.is_some())) {
        let Some(rows) = inputs.json(name) else { continue };
        let read = rows.as_array().ok_or("expected a list of keys").and_then(|rows| {
            rows.iter().try_for_each(|row| {
                let channel = channel(row)?;
                channels.retain(|known| known.name != channel.name);
                channels.push(channel);
                Ok(())
            })
        });
        if let Err(problem) = read {
            inputs.refuse(name, problem);
            return None;
        }
    }
    Some(StateDefinition::Table(channels))
}

/// A row of the editor's table, or of a request's.
fn channel(row: &Value) -> Result<StateChannel, &'static str> {
    let field = |names: [&str; 2]| names.iter().find_map(|name| row.get(*name)).filter(|value| !value.is_null());
    let name =
        field(["Key", "key"]).and_then(Value::as_str).filter(|name| !name.is_empty()).ok_or("Key is required")?;
    let default = field(["Default Value", "defaultValue"]).cloned();
    let is_list = field(["Operation", "type"]).is_some_and(|kind| *kind == "Append");
    let (reducer, default) = if is_list {
        let list = match default {
            None => Value::Array(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => Value::Array(Vec::new()),
            Some(Value::String(text)) => read_str(&text).map_err(|_| "expected JSON as the default of a list")?,
            Some(value) => value,
        };
        if !list.is_array() {
            return Err("expected a list as the default of a list");
        }
        (Reducer::Append, Some(list))
    } else {
        (Reducer::Replace, default)
    };
    Ok(StateChannel { name: name.to_owned(), reducer, default })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_read_as_the_editor_and_requests_write_them() {
        let read = |row: Value| {
            let is_list = |channel: StateChannel| (matches!(channel.reducer, Reducer::Append), channel.default);
            channel(&row).map(is_list)
        };
        let list = (true, Some(json!(["a"])));
        assert_eq!(read(json!({ "key": "k", "type": "Append", "defaultValue": "[\"a\"]" })), Ok(list.clone()));
        assert_eq!(read(json!({ "Key": "k", "Operation": "Append", "Default Value": ["a"] })), Ok(list));
        let empty = (true, Some(json!([])));
        assert_eq!(read(json!({ "key": "k", "type": "Append", "defaultValue": "" })), Ok(empty));
        assert_eq!(read(json!({ "key": "k", "type": "Replace" })), Ok((false, None)));
        assert!(read(json!({ "key": "k", "type": "Append", "defaultValue": "{}" })).is_err());
        assert!(read(json!({ "type": "Replace" })).is_err());
    }
}
