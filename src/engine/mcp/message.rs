//! What goes to and fro: JSON-RPC 2.0, and the greeting.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::engine::contract::failure::Failure;
use crate::wire::json;

/// Versions of the protocol, newest first.
const VERSIONS: [&str; 5] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"];

pub(super) const INITIALIZE: &str = "initialize";
pub(super) const INITIALIZED: &str = "notifications/initialized";

/// With what a client begins.
pub(super) fn greeting() -> Value {
    json!({
        "protocolVersion": VERSIONS.first(),
        "capabilities": {},
        "clientInfo": { "name": "flowgate", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// The version that a server has chosen.
///
/// # Errors
/// It is none that is known.
pub(super) fn agreed(greeted: &Value) -> Result<&'static str, Failure> {
    let chosen = greeted.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let known = VERSIONS.iter().copied().find(|version| *version == chosen);
    known.ok_or_else(|| Failure::Refused(format!("Server's protocol version is not supported: {chosen}")))
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> Value {
    let mut message = json!({ "method": method });
    if let Some(fields) = message.as_object_mut() {
        if !params.is_null() {
            fields.insert("params".to_owned(), params.clone());
        }
        fields.insert("jsonrpc".to_owned(), "2.0".into());
        fields.insert("id".to_owned(), id.into());
    }
    message
}

pub(super) fn notification(method: &str) -> Value {
    json!({ "method": method, "jsonrpc": "2.0" })
}

/// Nobody waits for the answer any more.
pub(super) fn cancelled(id: u64) -> Value {
    let params = json!({ "requestId": id, "reason": "nobody waits for it any more" });
    json!({ "method": "notifications/cancelled", "params": params, "jsonrpc": "2.0" })
}

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum ServerMessage {
    Answer {
        id: u64,
        result: Result<Value, String>,
    },
    /// It asks something itself; so much of it is answered.
    Asks(Value),
    /// Nothing that is of use here.
    Other,
}

impl ServerMessage {
    /// All messages of a text: one, or a list of them.
    pub(super) fn read(text: &Bytes) -> Vec<Self> {
        match json::read_answer::<Value>(text) {
            Ok(Value::Array(all)) => all.into_iter().map(Self::of).collect(),
            Ok(one) => vec![Self::of(one)],
            Err(_) => Vec::new(),
        }
    }

    fn of(mut message: Value) -> Self {
        let id = message.get("id").filter(|id| !id.is_null()).cloned();
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            return id.map_or(Self::Other, |id| Self::Asks(reply(&id, method)));
        }
        let Some(id) = id.and_then(|id| id.as_u64()) else { return Self::Other };
        if let Some(error) = message.get("error") {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            let words = error.get("message").and_then(Value::as_str).unwrap_or_default();
            return Self::Answer { id, result: Err(format!("MCP error {code}: {words}")) };
        }
        let result = message.get_mut("result").map(Value::take).unwrap_or_default();
        Self::Answer { id, result: Ok(result) }
    }
}

/// A server may ask whether its client is there, and for nothing else.
fn reply(id: &Value, method: &str) -> Value {
    if method == "ping" {
        return json!({ "result": {}, "jsonrpc": "2.0", "id": id });
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } })
}

/// A request that took too long.
pub(super) fn timed_out() -> Failure {
    Failure::Refused("MCP error -32001: Request timed out".to_owned())
}
