//! Tools of a document, as a model is told of them and as they go over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::engine::provider::Targets;
use crate::engine::testing::{answer, flow, predict, server, within};
use crate::engine::text::mustache::Dialect;
use crate::telemetry::metrics::Metrics;

/// A document, and the tools that Flowise 3.1.4 makes of it.
fn recorded() -> Value {
    serde_json::from_str(include_str!("flowise.json")).unwrap()
}

fn uri(document: &str) -> String {
    format!("data:text/yaml;base64,{},filename:api.yaml", STANDARD.encode(document))
}

/// The tools as they are sent, in an agent.
fn sent(inputs: &Value) -> Result<Value, String> {
    let agent = json!({
        "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": ["{{t_0.data.instance}}"],
    });
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("t_0", "openAPIToolkit", inputs.clone()),
        ("agent_0", "toolAgent", agent),
    ])?;
    let mut predicted = predict(&flow, &json!({ "question": "Q" }), &["A".into()]);
    Ok(predicted.asked[0]["tools"].take())
}

#[test]
fn tools_are_told_as_flowise_tells_them() {
    let recorded = recorded();
    let told = sent(&json!({ "openApiFile": uri(&recorded["document"].to_string()) })).unwrap();
    let expected = recorded["tools"].as_array().unwrap();
    assert_eq!(told.as_array().unwrap().len(), expected.len());
    for (told, expected) in told.as_array().unwrap().iter().zip(expected) {
        assert_eq!(told.to_string(), expected.to_string());
    }
    let chosen = json!({ "openApiFile": uri(&recorded["document"].to_string()), "selectedEndpoints": "[\"ping\"]" });
    let told = sent(&chosen).unwrap();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["name"]), (1, &"ping".into()));
}

/// Neither ends the process.
#[test]
fn what_lies_too_deep_or_grows_when_it_is_read_is_refused() {
    let deep = |open: &str| format!("paths: {}", open.repeat(100_000));
    let bomb = (1..60).map(|at| format!("a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1)).collect::<Vec<_>>().concat();
    for text in [deep("["), deep("{ a: "), deep("- "), "[".repeat(100_000), format!("a0: &a0 x\n{bomb}paths: *a59")] {
        assert!(OpenApiDocument::read(&text).is_err(), "{}", &text[..20]);
    }
}

/// A few megabytes of references to references, which would be followed for minutes.
#[test]
fn references_are_followed_so_far_and_no_further() {
    let long = |at: usize| format!("{at}{}", "x".repeat(20_000));
    let chain: Map<String, Value> =
        (0..20).map(|at| (long(at), json!({ "$ref": format!("#/chain/{}", long(at + 1)) }))).collect();
    let paths: Map<String, Value> =
        (0..200).map(|at| (format!("/{at}"), json!({ "$ref": format!("#/chain/{}", long(0)) }))).collect();
    let mut document = json!({ "paths": paths, "chain": chain });
    document["chain"][long(20)] = json!({});
    let read = OpenApiDocument::read(&document.to_string()).unwrap();
    assert_eq!(read.operations(|_| true).unwrap_err(), "it follows too many references");
}

const YAML: &str = "servers: [{ url: SERVER }]
paths:
  /items/{id}/of/{place}:
    parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
    put:
      operationId: put_item
      parameters:
        - { name: place, in: path, required: true, schema: { type: string } }
        - { name: q, in: query, schema: { type: string } }
      requestBody:
        content: { application/json: { schema: { properties: { b: { type: string }, a: { type: string } } } } }
";

/// The tool of [`YAML`], at a server that answers so.
fn tool(removes_nulls: bool, answers: &[&str]) -> (Calling, std::sync::mpsc::Receiver<String>) {
    let (origin, hearing) = server(answers);
    let document = OpenApiDocument::read(YAML).unwrap();
    assert_eq!(document.server(), Some("SERVER"));
    let Operation { name, description, path, method, parameters } = document.operations(|_| true).unwrap().remove(0);
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let endpoint = targets.endpoint(&origin, Some(PATIENCE)).unwrap();
    let headers = vec![("x-key".parse().unwrap(), Mustache::parse("{{$vars.key}}", Dialect::Chatflow))];
    let common = Common { headers, returns_directly: false, removes_nulls, code: None };
    let address = Address { endpoint, origin, path: Mustache::default() };
    let request = HttpToolRequest { method, address, headers: common.headers.clone() };
    let spec = ToolSpec { name, description, parameters };
    (Calling { spec, request, route: PathTemplate::read(&path), common }, hearing)
}

fn called(tool: &Calling, arguments: &Value) -> Result<String, String> {
    let body = json!({ "question": "q", "overrideConfig": { "vars": { "key": "s3cret" } } });
    let result = within(&body, async |run| tool.call(arguments, run).await);
    result.map(|result| result.text).map_err(|failure| failure.to_string())
}

#[test]
fn a_call_fills_path_query_and_body() {
    let ok = answer("201 Created", "", "{ \"id\" : 7 }");
    let (tool, heard) = tool(true, &[&ok]);
    let arguments = json!({
        "PathParameters": { "id": 7, "place": "a/b", "odd": "x" },
        "QueryParameters": { "q": "one two", "odd": "x" },
        "RequestBody": { "a": "1", "b": null, "odd": "x" },
    });
    assert_eq!(called(&tool, &arguments).unwrap(), "{\"id\":7}");
    let heard = heard.recv().unwrap();
    assert!(heard.starts_with("PUT /items/7/of/a%2Fb?q=one+two HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_lowercase().contains("\r\nx-key: s3cret\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n{\"a\":\"1\"}"), "{heard}");
}

#[test]
fn what_is_not_there_or_no_json_is_told_as_in_flowise() {
    let html = answer("404 Not Found", "", "<html>");
    let (tool, _) = tool(false, &[&html]);
    let arguments = json!({ "PathParameters": { "id": 7, "place": "x" }, "QueryParameters": {}, "RequestBody": {} });
    assert_eq!(called(&tool, &arguments).unwrap(), "");
    let error = called(&tool, &json!({ "PathParameters": { "id": 7 }, "QueryParameters": {} })).unwrap_err();
    let issues = error.strip_prefix("Received tool input did not match expected schema ").unwrap();
    let issue = |expected: &str, path: &[&str], message: &str| json!({ "code": "invalid_type", "expected": expected, "received": "undefined", "path": path, "message": message });
    let place = issue("string", &["PathParameters", "place"], "place required");
    let expected = json!([place, issue("object", &["RequestBody"], "Required")]);
    assert_eq!(serde_json::from_str::<Value>(issues).unwrap(), expected);
}

#[test]
fn what_the_engine_cannot_do_is_refused_at_load() {
    let yaml = YAML.replace("SERVER", "https://api.example.com/v1");
    let with = |more: Value| {
        let mut inputs = json!({ "openApiFile": uri(&yaml) });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        inputs
    };
    let usual = "const fetch = require('node-fetch');\nconst url = $url;\nconst options = $options;\n\ntry {\n\tconst \
                 response = await fetch(url, options);\n\tconst resp = await response.json();\n\treturn \
                 JSON.stringify(resp);\n} catch (error) {\n\tconsole.error(error);\n\treturn '';\n}\n";
    assert_eq!(sent(&with(json!({ "customCode": usual }))).unwrap()[0]["name"], "put_item");
    let circle = "paths: { /x: { get: { operationId: x, requestBody: { content: { application/json: { schema: \
                  { $ref: '#/components/schemas/A' } } } } } } }\nservers: [{ url: https://x.example }]\ncomponents: \
                  { schemas: { A: { properties: { a: { $ref: '#/components/schemas/A' } } } } }";
    for (inputs, input, words) in [
        (
            with(json!({ "customCode": "return require('fs')" })),
            "customCode",
            "it requires fs, which the engine does not have (engine.scripts.modules): code reaches nothing of this machine",
        ),
        (json!({ "openApiFile": uri("{") }), "openApiFile", "expected an OpenAPI document in JSON or YAML"),
        (json!({ "openApiFile": uri("a: b") }), "openApiFile", "expected an OpenAPI document, which has paths"),
        (json!({ "openApiFile": uri(circle) }), "openApiFile", "x: its schema is too large, or holds itself"),
        (
            with(json!({ "selectedEndpoints": "[\"no\"]" })),
            "openApiFile",
            "it has no operation with an operationId, or none of those that are chosen",
        ),
        (
            with(json!({ "selectedServer": "/v1" })),
            "openApiFile",
            "server /v1: expected a URL such as https://api.example.com/items",
        ),
    ] {
        let error = sent(&inputs).unwrap_err();
        let expected = format!("node \"t_0\" (openAPIToolkit), input {input}: {words}");
        assert_eq!(error.lines().next().unwrap(), expected);
    }
}

#[test]
fn what_is_told_again_and_again_has_a_bound() {
    let told = |name: &str, value: Value, many: usize| {
        let schema = json!({ "type": "string", name: value });
        let named = |number: usize| json!({ "name": format!("p{number}"), "in": "query", "schema": { "$ref": "#/components/schemas/S" } });
        let parameters: Vec<Value> = (0..many).map(named).collect();
        let document = json!({ "openapi": "3.0.0", "servers": [{ "url": "https://a.org" }],
            "components": { "schemas": { "S": schema } },
            "paths": { "/x": { "get": { "operationId": "x", "parameters": parameters } } } });
        OpenApiDocument::read(&document.to_string()).unwrap().operations(|_| true).map(|made| made.len())
    };
    let long = "x".repeat(1 << 20);
    for (name, value) in [("description", json!(long)), ("enum", json!([long]))] {
        assert_eq!(told(name, value.clone(), 3), Ok(1));
        assert!(told(name, value, 40).unwrap_err().contains("too large"));
    }
}
