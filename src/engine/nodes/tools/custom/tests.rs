use std::path::PathBuf;

use super::*;
use crate::engine::compile::context::{CompileContext, Credentials};
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::CompiledFlow;
use crate::engine::provider::Targets;
use crate::engine::testing::predict;
use crate::telemetry::metrics::Metrics;

const ID: &str = "0b3c7d52-0000-4000-8000-000000000001";

/// A flow with an agent that has a custom tool with these inputs, beside an export with that tool.
fn flow(inputs: &Value, code: &str) -> Result<CompiledFlow, String> {
    let schema = json!([
        { "id": 1, "property": "city", "type": "string", "description": "Where", "required": true },
        { "id": 2, "property": "days", "type": "number", "description": "How many", "required": false },
        { "id": 3, "property": "now", "type": "boolean", "description": "", "required": false },
    ]);
    let record =
        json!({ "id": ID, "name": "weather", "description": "Tells it", "schema": schema.to_string(), "func": code });
    let stores =
        DocumentStores::read(&[(PathBuf::from("tools.json"), json!({ "Tool": [record] }).to_string())]).unwrap();
    let node = |id: &str, kind: &str, inputs: &Value| json!({ "id": id, "data": { "name": kind, "label": id, "inputs": inputs, "outputs": {} } });
    let agent = json!({ "model": "{{m_0.data.instance}}", "memory": "{{b_0.data.instance}}", "tools": ["{{t_0.data.instance}}"] });
    let edge = |source: &str| json!({ "source": source, "target": "a_0" });
    let export = json!({
        "nodes": [
            node("m_0", "testModel", &json!({})),
            node("b_0", "bufferMemory", &json!({})),
            node("t_0", "customTool", inputs),
            node("a_0", "toolAgent", &agent),
        ],
        "edges": [edge("m_0"), edge("b_0"), edge("t_0")],
    });
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let context = Arc::new(CompileContext::new(Credentials::default(), targets).with_stores(stores));
    CompiledFlow::load(None, "flow", &export.to_string(), &context)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What the model is told of the tools, and of the call's result.
fn called(inputs: &Value, code: &str, arguments: &Value) -> (Value, Value) {
    let flow = flow(inputs, code).unwrap();
    let call = json!([{ "id": "c", "name": "weather", "arguments": arguments }]);
    let body = json!({ "question": "Q", "overrideConfig": { "vars": { "unit": "C" } } });
    let predicted = predict(&flow, &body, &[call, "done".into()]);
    let told = predicted.asked.last().unwrap()["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    (predicted.asked[0]["tools"][0].clone(), told)
}

#[test]
fn a_tool_is_found_by_its_id_and_runs_its_code() {
    let chosen = json!({ "selectedTool": ID, "returnDirect": "", "customToolFunc": "" });
    let code = "return `${$city} ${$days + 1} ${$vars.unit} ${$flow.input} ${$flow.sessionId}`";
    let (tool, told) = called(&chosen, code, &json!({ "city": "Rome", "days": "2", "stray": 1 }));
    assert_eq!(told, "Rome 3 C Q chat");
    let parameters = json!({
        "type": "object",
        "properties": {
            "city": { "type": "string", "description": "Where" },
            "days": { "type": "number", "description": "How many" },
            "now": { "type": "boolean" },
        },
        "required": ["city"],
        "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    });
    assert_eq!(tool, json!({ "name": "weather", "description": "Tells it", "parameters": parameters }));
    let (_, told) = called(&chosen, "return { a: typeof $days, b: $city }", &json!({ "city": { "x": 1 } }));
    assert_eq!(told, r#"{"a":"undefined","b":"{\"x\":1}"}"#);
    let (_, told) = called(&chosen, "return 1", &json!({}));
    assert!(told.as_str().unwrap().contains(MISFIT), "{told}");
    let (_, told) = called(&chosen, "throw new Error('no')", &json!({ "city": "x" }));
    assert!(told.as_str().unwrap().contains("NodeVM Execution Error: Error: no"), "{told}");
}

#[test]
fn its_inputs_count_more_than_its_record() {
    let chosen = json!({ "selectedTool": ID, "customToolName": "weather", "customToolDesc": "Another",
        "customToolSchema": "z.object({ n: z.number().describe('N') })", "customToolFunc": "return $n * 2" });
    let (tool, told) = called(&chosen, "return 0", &json!({ "n": 4 }));
    assert_eq!((tool["description"].as_str(), told), (Some("Another"), json!("8")));
    assert_eq!(tool["parameters"]["properties"], json!({ "n": { "type": "number", "description": "N" } }));
}

#[test]
fn what_is_not_there_is_named() {
    let flow = flow(&json!({ "selectedTool": "another" }), "").unwrap();
    assert_eq!(flow.missing[0].need, Need::Tool { id: "another".to_owned() });
    let error = self::flow(&json!({ "selectedTool": ID }), "const x = require('mysql2')").unwrap_err();
    assert!(error.contains("it requires mysql2, which the engine does not have"), "{error}");
}

#[test]
fn values_of_other_types_are_read_as_flowise_does() {
    let read = |kind: RowKind, value: Value| kind.read(&value);
    assert_eq!(read(RowKind::Text, json!(5)), Some(json!("5")));
    assert_eq!(read(RowKind::Number, json!("7.5 km")), Some(json!(7.5)));
    assert_eq!(read(RowKind::Number, json!("km")), None);
    assert_eq!(read(RowKind::Flag, json!(" Yes ")), Some(json!(true)));
    assert_eq!(read(RowKind::Flag, json!(0)), Some(json!(false)));
    assert_eq!(read(RowKind::Date, json!("2026-01-01T00:00:00Z")), Some(json!("2026-01-01T00:00:00Z")));
    assert_eq!(rows("{}").map(|rows| rows.len()), None);
}
