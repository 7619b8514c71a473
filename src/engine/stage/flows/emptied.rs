//! The flows of `tests/flows` with nothing in any setting: whatever an author left empty, a flow is loaded, and says what it
//! lacks when it is asked.

use serde_json::{Value, json};

use super::given::Given;
use super::own::each_flow;
use crate::engine::compile::flowise;
use crate::engine::flow::CompiledFlow;
use crate::engine::stage::open;

/// Whether it connects a node with another one, which is no setting.
fn is_connection(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(".data.instance}}"),
        Value::Array(items) => items.iter().any(is_connection),
        _ => false,
    }
}

/// Every setting of nodes of that kind, those that the flow does not mention included.
fn empty(export: &mut Value, kind: &str, with: &Value) {
    let nodes = export["nodes"].as_array_mut().into_iter().flatten();
    for node in nodes.filter(|node| node["data"]["name"] == kind) {
        let inputs = node["data"]["inputs"].as_object_mut().unwrap();
        for name in flowise::inputs(kind) {
            inputs.entry(name).or_insert(Value::Null);
        }
        inputs.values_mut().filter(|value| !is_connection(value)).for_each(|value| value.clone_from(with));
    }
}

#[test]
fn a_flow_is_loaded_however_many_of_its_settings_are_empty() {
    let mut refused = Vec::new();
    let mut count = 0;
    let context = Given::default().context(open());
    each_flow(|name, kind, export| {
        for with in [json!(""), Value::Null] {
            let mut export = export.clone();
            empty(&mut export, kind, &with);
            count += 1;
            if let Err(problems) = CompiledFlow::load(None, "emptied", &export.to_string(), &context) {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                refused.push(format!("{name}, emptied with {with}: {}", problems.join("; ")));
            }
        }
    });
    assert!(count > 500 && refused.is_empty(), "{} of {count}:\n{}", refused.len(), refused.join("\n"));
}
