//! The flows of `tests/flows`: of each family a file, with a flow that stands around the node in question, and what that
//! node may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::verdict::Verdict;
use super::{asked, exports, printed};
use crate::engine::compile::flowise::category;

/// What stands for the kind of node in question, and for its inputs.
const KIND: &str = "$kind";
const INPUTS: &str = "$inputs";

/// One file: nodes `[id, kind, inputs, outputs, around it]`, which are joined as they refer to each other, or along `lines` of ids; and, by
/// their names, the kinds that take the place of `$kind`, with the inputs that take the place of `$inputs`. A name may go on
/// behind a blank, where one kind is there more than once.
struct FlowFamily {
    nodes: Vec<Value>,
    lines: Vec<Value>,
    each: Map<String, Value>,
}

impl FlowFamily {
    fn read(text: &str) -> Vec<Self> {
        let all: Vec<Value> = serde_json::from_str(text).unwrap();
        let list = |family: &Value, name: &str| family[name].as_array().cloned().unwrap_or_default();
        let each = |family: &Value| family["each"].as_object().cloned().unwrap_or_default();
        all.iter().map(|one| Self { nodes: list(one, "nodes"), lines: list(one, "lines"), each: each(one) }).collect()
    }

    /// As Flowise would export it.
    fn export(&self, kind: &str, inputs: &Value) -> Value {
        let kind = kind.split(' ').next().unwrap_or_default();
        let mut nodes = Value::from(self.nodes.clone());
        put(&mut nodes, kind, inputs);
        let triples: Vec<(&str, &Value)> =
            nodes.as_array().into_iter().flatten().map(|node| (node[0].as_str().unwrap(), node)).collect();
        let mut edges = Vec::new();
        for (target, node) in &triples {
            let text = node[2].to_string();
            for (source, _) in
                triples.iter().filter(|(source, _)| text.contains(&format!("{{{{{source}.data.instance")))
            {
                edges.push(json!({ "source": source, "target": target }));
            }
        }
        for line in &self.lines {
            let ids: Vec<&Value> = line.as_array().into_iter().flatten().collect();
            edges.extend(ids.windows(2).map(|pair| {
                let (source, output) =
                    pair[0].as_str().unwrap().split_once('#').unwrap_or((pair[0].as_str().unwrap(), ""));
                json!({ "source": source, "target": pair[1], "sourceHandle": format!("{source}-output-{output}") })
            }));
        }
        let shown: Vec<Value> = triples.iter().map(|(id, node)| exported(id, node)).collect();
        json!({ "nodes": shown, "edges": edges })
    }
}

fn exported(id: &str, node: &Value) -> Value {
    let inputs = node[2].as_object().cloned().unwrap_or_default();
    let params: Vec<Value> =
        inputs.keys().map(|name| json!({ "name": name, "label": name, "acceptVariable": true })).collect();
    let kind = node[1].as_str().unwrap();
    let category = match category(kind) {
        // Agents of before.
        empty if empty.is_empty() && kind.ends_with("Agent") => "Agents".to_owned(),
        category => category,
    };
    let data = json!({ "id": id, "name": kind, "label": id, "category": category, "inputs": inputs,
        "inputParams": params, "outputs": node.get(3).cloned().unwrap_or(json!({})) });
    json!({ "id": id, "data": data, "parentNode": node.get(4) })
}

fn put(value: &mut Value, kind: &str, inputs: &Value) {
    match value {
        Value::String(text) if text == INPUTS => *value = inputs.clone(),
        Value::String(text) if text == KIND => kind.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, kind, inputs)),
        Value::Object(fields) => fields.values_mut().for_each(|field| put(field, kind, inputs)),
        _ => {}
    }
}

/// Every flow: what it is called, the kind of node in question, and the export.
pub(super) fn each_flow(mut see: impl FnMut(String, &str, Value)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows");
    for path in exports(&folder) {
        let family = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for flow in FlowFamily::read(&fs::read_to_string(&path).unwrap()) {
            for (kind, inputs) in &flow.each {
                let export = flow.export(kind, inputs);
                see(format!("{family}: {kind}"), kind.split(' ').next().unwrap_or_default(), export);
            }
        }
    }
}

#[test]
fn flows_of_every_family_are_loaded_and_answer() {
    let stage = crate::engine::stage::open();
    let mut verdicts = Vec::new();
    let mut kinds = BTreeSet::new();
    each_flow(|name, kind, export| {
        super::each_field(&mut export["nodes"].clone(), &mut |name, value| {
            if name == "name" {
                kinds.extend(value.as_str().map(str::to_owned));
            }
        });
        kinds.insert(kind.to_owned());
        verdicts.push((name, asked(&export.to_string(), None, stage)));
    });
    printed(&verdicts);
    let wrong: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| !matches!(verdict, Verdict::Answers(filled) if filled.is_empty()))
        .collect();
    let all = crate::engine::flow::kinds::KINDS.names().flatten().copied();
    let absent: Vec<&str> = all.filter(|name| !kinds.contains(*name)).collect();
    println!("in no flow of tests/flows: {}", absent.join(" "));
    assert!(!verdicts.is_empty() && wrong.is_empty(), "{wrong:?}");
}
