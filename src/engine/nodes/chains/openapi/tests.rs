//! Expected: what the library that Flowise 3.1.4 has this chain of tells a model, and asks of an API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::filled;
use crate::engine::contract::node::ReplyContent;
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{Predicted, answer, flow_with, predict, server};

const DOCUMENT: &str = r##"
openapi: 3.1.0
servers: [{ url: HERE/v1/ }]
paths:
  /teas/{tea}:
    parameters:
      - { name: tea, in: path, required: true, schema: { type: string, description: gone } }
    get:
      operationId: get.tea
      summary: Says how a tea is made
      parameters:
        - { name: hot, in: query, schema: { type: boolean } }
        - { name: cold, in: query, required: true, schema: { type: string } }
        - { name: X-Team, in: header, schema: { type: string } }
    put:
      description: Changes a tea
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Tea" } } } }
components:
  schemas:
    Tea:
      type: object
      required: [leaves]
      properties:
        leaves: { type: array, minItems: 1, items: { type: string, maxLength: 9 } }
        odd: {}
        mood: { anyOf: [{ type: string }, { type: "null" }] }
"##;

fn load(inputs: &Value) -> Result<CompiledFlow, String> {
    let mut own = json!({ "model": "{{m_0.data.instance}}" });
    own.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    flow_with(&[], &[("m_0", "testModel", json!({})), ("c_0", "openApiChain", own)])
}

fn file(text: &str) -> Value {
    format!("data:text/yaml;base64,{},filename:api.yaml", STANDARD.encode(text)).into()
}

/// A prediction for which the model makes that call, and what the API heard.
fn called(call: &Value, status: &str, headers: &str) -> (Predicted, String) {
    let (here, heard) = server(&[&answer(status, "", "boil it")]);
    let inputs = json!({ "yamlFile": file(&DOCUMENT.replace("HERE", &here)), "headers": headers });
    let predicted = predict(&load(&inputs).unwrap(), &json!({ "question": "How?" }), &[json!([call])]);
    (predicted, heard.try_recv().unwrap_or_default())
}

#[test]
fn the_model_is_told_every_operation_and_the_api_is_asked_what_it_chose() {
    let arguments = json!({ "path_params": { "tea": "a/b" }, "params": { "cold": "ice & mint", "hot": "" },
        "headers": { "X-Team": "model", "host": "elsewhere" } });
    let (predicted, sent) =
        called(&json!({ "name": "get_tea", "arguments": arguments }), "200 OK", "{\"x-key\":\"k\"}");
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("boil it".into()));
    assert!(sent.starts_with("GET /v1/teas/a%2Fb?cold=ice+%26+mint HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nx-team: model\r\n") && sent.contains("\r\nx-key: k\r\n"), "{sent}");
    assert!(!sent.contains("elsewhere"), "{sent}");
    // Told in one piece, as the widget expects of this chain.
    assert!(predicted.events.iter().all(|(name, _)| name != "token"), "{:?}", predicted.events);
    let asked = &predicted.asked[0];
    assert_eq!(
        asked["messages"],
        json!([{ "role": "user", "content": "Use the provided API's to respond to this user query:\n\nHow?" }])
    );
    let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": {} });
    let path = object(json!({ "tea": { "type": "string" } }), json!(["tea"]));
    let get = json!({ "name": "get_tea", "description": "Says how a tea is made", "parameters": {
        "type": "object",
        "properties": {
            "params": object(json!({ "hot": { "type": "boolean" }, "cold": { "type": "string" } }), json!(["cold"])),
            "headers": object(json!({ "X-Team": { "type": "string" } }), json!([])),
            "path_params": path,
        },
        "required": ["params", "headers", "path_params"],
    } });
    let leaves = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let put = json!({ "name": "teas__tea__put", "description": "Changes a tea", "parameters": {
        "type": "object",
        "properties": { "path_params": path, "data": object(json!({ "leaves": leaves }), json!(["leaves"])) },
        "required": ["path_params", "data"],
    } });
    assert_eq!(asked["tools"], json!([get, put]));
}

#[test]
fn a_body_is_sent_as_it_is_and_an_error_is_told() {
    let arguments = json!({ "path_params": { "tea": "oolong" }, "data": { "leaves": ["x"] } });
    let (predicted, sent) = called(&json!({ "name": "teas__tea__put", "arguments": arguments }), "409 Conflict", "");
    assert!(
        sent.starts_with("PUT /v1/teas/oolong HTTP/1.1\r\n") && sent.ends_with("\r\n\r\n{\"leaves\":[\"x\"]}"),
        "{sent}"
    );
    assert!(sent.contains("\r\ncontent-type: application/json\r\n"), "{sent}");
    let told = "409: Conflict for teas__tea__put called with \"\"";
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text(told.into()));
    for call in [
        json!({ "name": "other", "arguments": {} }),
        json!({ "name": "get_tea", "arguments": {} }),
        json!({ "name": "get_tea", "arguments": { "path_params": { "tea": ".." } } }),
        json!({ "name": "get_tea", "arguments": { "path_params": { "tea": "x" }, "data": "x" } }),
    ] {
        let (predicted, sent) = called(&call, "200 OK", "");
        assert!(predicted.reply.is_err() && sent.is_empty(), "{call}");
    }
}

#[test]
fn a_document_at_a_link_is_read_once_and_counts_more_than_a_file() {
    let document = answer("200 OK", "", "paths: { /a: { get: {} } }\nservers: [{ url: 'http://127.0.0.1:9' }]");
    let (here, heard) = server(&[&document]);
    let flow = load(&json!({ "yamlLink": format!("{here}/api.yaml"), "yamlFile": "data:x" })).unwrap();
    let predicted = predict(&flow, &json!({ "question": "How?" }), &["words".into()]);
    assert!(heard.try_recv().unwrap().starts_with("GET /api.yaml HTTP/1.1\r\n"));
    assert_eq!(predicted.asked[0]["tools"][0]["name"], "a_get");
    let told = predicted.reply.unwrap_err().to_string();
    assert!(told.contains("No function_call"), "{told}");
    let again = predict(&flow, &json!({ "question": "How?" }), &["words".into()]);
    assert_eq!((again.asked.len(), heard.try_recv().is_err()), (1, true));
}

#[test]
fn what_is_no_document_is_refused() {
    for (text, told) in [
        ("{", "expected an OpenAPI document"),
        ("paths: { /a: { get: {} } }", "names no server"),
        ("servers: [{ url: https://a.example }]", "any valid operations"),
        ("servers: [{ url: /v1 }]\npaths: { /a: { get: {} } }", "server /v1"),
        (
            "servers: [{ url: https://a.example }]\npaths: { /a: { get: { parameters: [{ in: query, name: a, schema: \
             { $ref: '#/x' } }] } } }\nx: { type: array, items: { $ref: '#/x' } }",
            "holds itself",
        ),
    ] {
        let refused = load(&json!({ "yamlFile": file(text) })).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
    // An empty setting refuses no flow.
    assert!(load(&json!({ "yamlLink": "", "yamlFile": "" })).is_ok());
}

#[test]
fn values_have_their_place_in_a_path() {
    let given = json!({ "a": ["x", "y"], "b": { "k": 1 }, "c": 7 });
    assert_eq!(filled("/{a}/{b}/{b*}/{c}", Some(&given)).unwrap(), "/x%2Cy/k%2C1/k%3D1/7");
    assert!(filled("/{d}", Some(&given)).is_err());
}

#[test]
fn what_is_referred_to_again_and_again_is_told_so_often_and_no_more() {
    let read = |description: &str| {
        let item = json!({ "get": { "description": description } });
        let paths = (0..100).map(|path| (format!("/{path}"), json!({ "$ref": "#/item" })));
        let paths: serde_json::Map<_, _> = paths.collect();
        let document = json!({ "servers": [{ "url": "http://a" }], "paths": paths, "item": item });
        super::document::ChainApi::read(&document.to_string())
    };
    assert_eq!(read("Says all").unwrap().specs.len(), 100);
    assert!(read(&"a".repeat(1 << 20)).unwrap_err().contains("too many references"));
}

#[test]
fn a_document_of_very_many_values_is_not_read() {
    let read = |count: usize| {
        let paths = r#""paths":{"/a":{"get":{}}}"#;
        let document = format!(r#"{{"servers":[{{"url":"http://a"}}],{paths},"x":[{}1]}}"#, "[],".repeat(count));
        super::document::ChainApi::read(&document).map(|api| api.specs.len())
    };
    assert_eq!(read(1000), Ok(1));
    assert_eq!(read(1 << 20).unwrap_err(), "expected an OpenAPI document in JSON or YAML");
}
