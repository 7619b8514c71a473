//! Requests as they go over the wire, to a server that answers from a list.

use std::sync::mpsc;

use super::*;
use crate::engine::provider::Targets;
use crate::engine::testing::{answer, server, within};
use crate::engine::text::mustache::Dialect;
use crate::telemetry::metrics::Metrics;

fn written(text: &str) -> Mustache {
    Mustache::parse(text, Dialect::Chatflow)
}

/// A server on the loopback, what it hears, and a tool for it that no policy keeps away.
fn tool(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    answers: &[&str],
) -> (Requesting, mpsc::Receiver<String>) {
    let (origin, hearing) = server(answers);
    let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, Some(PATIENCE)).unwrap();
    let address = Address { endpoint, origin, path: written(path) };
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), written(value))).collect();
    let request = HttpToolRequest { method, address, headers };
    let spec = ToolSpec { name: "t".into(), description: String::new(), parameters: json!({}) };
    (Requesting { spec, request, length: Some(5), params: Vec::new(), body: Vec::new() }, hearing)
}

fn called(tool: &Requesting, arguments: &Value) -> Result<String, String> {
    let body = json!({ "question": "a/../b", "overrideConfig": { "vars": { "key": "s3cret" } } });
    let result = within(&body, async |run| tool.call(arguments, run).await);
    result.map(|result| result.text).map_err(|failure| failure.to_string())
}

#[test]
fn a_get_has_values_of_the_request_and_of_the_model() {
    let ok = answer("200 OK", "", "wörter mehr");
    let (tool, heard) = tool(Method::GET, "/q/{{question}}", &[("authorization", "Bearer {{$vars.key}}")], &[&ok]);
    let text = called(&tool, &json!({ "queryParams": { "limit": "1 0" } })).unwrap();
    assert_eq!(text, "wörte");
    let heard = heard.recv().unwrap();
    assert!(heard.starts_with("GET /q/a%2F..%2Fb?limit=1+0 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_lowercase().contains("\r\nauthorization: bearer s3cret\r\n"), "{heard}");
}

#[test]
fn a_post_has_the_author_s_body_and_what_the_schema_names() {
    let ok = answer("200 OK", "", "ok");
    let (mut tool, heard) = tool(Method::POST, "/p", &[], &[&ok, &ok]);
    assert_eq!(called(&tool, &json!({ "body": { "a": 1 } })).unwrap(), "ok");
    let first = heard.recv().unwrap();
    assert!(first.starts_with("POST /p HTTP/1.1\r\n") && first.ends_with("\r\n\r\n{\"a\":1}"), "{first}");
    assert!(first.to_lowercase().contains("\r\ncontent-type: application/json\r\n"), "{first}");
    tool.body = vec![("q".to_owned(), JsonTemplate::Text(written("{{question}}")))];
    assert_eq!(called(&tool, &json!({ "body": { "a": 1 } })).unwrap(), "ok");
    assert!(heard.recv().unwrap().ends_with("\r\n\r\n{\"q\":\"a/../b\"}"));
}

#[test]
fn a_put_has_a_body_and_a_delete_has_none() {
    let (moved, ok) = (answer("302 Found", "location: /new\r\n", ""), answer("200 OK", "", "ok"));
    let (put, heard) = tool(Method::PUT, "/p", &[], &[&moved, &ok]);
    assert_eq!(called(&put, &json!({ "body": { "a": 1 } })).unwrap(), "ok");
    for path in ["/p", "/new"] {
        let text = heard.recv().unwrap();
        assert!(text.starts_with(&format!("PUT {path} HTTP/1.1\r\n")) && text.ends_with("\r\n\r\n{\"a\":1}"), "{text}");
    }
    let (delete, heard) = tool(Method::DELETE, "/p?x=1", &[], &[&ok]);
    assert_eq!(called(&delete, &json!({ "queryParams": { "id": "7" } })).unwrap(), "ok");
    let text = heard.recv().unwrap();
    assert!(text.starts_with("DELETE /p?x=1&id=7 HTTP/1.1\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    assert!(!text.to_lowercase().contains("content-type"), "{text}");
}

#[test]
fn errors_and_redirections_are_told() {
    let missing = answer("404 Not Found", "", "");
    let (get, _) = tool(Method::GET, "/", &[], &[&missing]);
    assert_eq!(called(&get, &json!({})).unwrap_err(), "Failed to make GET request: HTTP Error 404: Not Found");

    let (moved, ok) = (answer("302 Found", "location: /new?x=1\r\n", ""), answer("200 OK", "", "there"));
    let (get, heard) = tool(Method::GET, "/", &[], &[&moved, &ok]);
    assert_eq!(called(&get, &json!({})).unwrap(), "there");
    assert!(heard.iter().nth(1).unwrap().starts_with("GET /new?x=1 HTTP/1.1"));

    let away = answer("302 Found", "location: http://169.254.169.254/latest\r\n", "");
    let (get, _) = tool(Method::GET, "/", &[], &[&away]);
    let error = "Failed to make GET request: it was redirected to another server";
    assert_eq!(called(&get, &json!({})).unwrap_err(), error);
}

/// The name is public, its address is not.
#[test]
fn names_of_this_network_are_not_connected_to() {
    let ok = answer("200 OK", "", "ok");
    let (mut get, heard) = tool(Method::GET, "/", &[], &[&ok]);
    let port = get.request.address.origin.rsplit_once(':').unwrap().1.to_owned();
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"] {
        get.request.address.endpoint = targets.outward(&format!("http://{host}:{port}"), None).unwrap();
        assert!(get.request.address.endpoint.denied().is_some(), "{host}");
        let error = called(&get, &json!({})).unwrap_err();
        let denied = "requests to this machine and its network are denied by policy";
        assert_eq!(error, format!("Failed to make GET request: {denied}"));
    }
    // What only the system's look-up takes for an address.
    let hidden = format!("http://127.1:{port}");
    get.request.address.endpoint = targets.outward(&hidden, None).unwrap();
    let error = called(&get, &json!({})).unwrap_err();
    assert_eq!(error, "Failed to make GET request: Connection error.");
    assert!(heard.try_recv().is_err());
    // What the configuration allows is reached by every name of it.
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let targets = targets.allowing(&["127.0.0.0/8".parse().unwrap()]);
    get.request.address.endpoint = targets.outward(&hidden, None).unwrap();
    assert_eq!(called(&get, &json!({})).unwrap(), "ok");
}
