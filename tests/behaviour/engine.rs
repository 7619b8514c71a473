//! Chatflows that the built-in engine answers, with a scripted model behind it.

mod agents;
mod approving;
mod attachments;
mod chats;
mod checks;
mod discretion;
mod documents;
mod errors;
mod knowledge;
mod limits;
mod moving;
mod networks;
mod running_others;
mod scripts;
mod servers;
mod settings;
mod streams;
mod telling;
mod threads;
mod upserting;
mod values;
pub(crate) mod waiting;

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, model};

pub(crate) const PATH: &str = "/api/v1/prediction/support";
pub(crate) const ASK: &str = r#"{"question":"hi","chatId":"c1"}"#;
pub(crate) const STREAM: &str = r#"{"question":"hi","chatId":"c1","streaming":true}"#;
pub(crate) const WIDE: &str = "plans: { default: { requests: 1000000/min, burst: 100000, concurrent: 1000 } }";
pub(crate) const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

/// A gateway whose chatflow `support` is that export, its models being `model`.
pub(crate) fn running(model: &Upstream, flow: &str) -> Gateway {
    with(model, flow, "", "")
}

/// The same with more fields of `server` and of the chatflow.
pub(crate) fn with(model: &Upstream, flow: &str, server: &str, chatflow: &str) -> Gateway {
    let config = model::config(server, chatflow, WIDE);
    Gateway::start_with(&config, &keys(""), |dir| {
        model::write(dir, "support", &model::export(flow, model.address));
    })
}

/// Begins a prediction with more headers.
pub(crate) fn begin(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Connection {
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PATH, headers, body));
    connection
}

/// Names of a stream's events, in order.
pub(crate) fn events(text: &str) -> Vec<String> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let event =
        |data: &str| serde_json::from_str::<serde_json::Value>(data).unwrap()["event"].as_str().map(str::to_owned);
    data.filter_map(event).collect()
}

pub(crate) fn stream(gateway: &Gateway, body: &str) -> String {
    let mut stream = gateway.begin(body);
    let head = stream.read_head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    stream.read_rest()
}

pub(crate) fn get(gateway: &Gateway, path: &str) -> Response {
    client::get(gateway.http, path, &[("x-api-key", KEY)])
}

pub(crate) fn abort(gateway: &Gateway, key: &str, chat: &str) -> Response {
    let path = format!("/api/v1/chatmessage/abort/support/{chat}");
    client::send(gateway.http, "PUT", &path, &[("x-api-key", key)], "")
}
