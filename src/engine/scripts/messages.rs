//! Messages that a program gives: those of `LangChain`, or who speaks and what, as pairs or objects.

use serde_json::{Map, Value};

use super::Returned;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolCall};

/// Those in the list that a program gave.
pub(super) fn messages(returned: &Returned) -> Result<Vec<Message>, Failure> {
    let Returned::Value(Value::Array(items)) = returned else {
        return Err(Failure::flow("Error: Returned message history must be an array"));
    };
    items.iter().map(|item| message(item).ok_or_else(|| unknown(item))).collect()
}

fn unknown(item: &Value) -> Failure {
    Failure::flow(format!("Unable to coerce message from array: {item}"))
}

fn message(item: &Value) -> Option<Message> {
    if let Value::Array(pair) = item {
        let [who, text] = pair.as_slice() else { return None };
        return spoken(who.as_str()?, text.as_str()?.to_owned(), &Map::new());
    }
    let fields = item.as_object()?;
    let who = fields.get("type").or_else(|| fields.get("role"))?.as_str()?;
    let text = match fields.get("content")? {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => {
            let texts = pieces.iter().filter_map(|piece| piece.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => return None,
    };
    spoken(who, text, fields)
}

fn spoken(who: &str, text: String, fields: &Map<String, Value>) -> Option<Message> {
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match who {
        "human" | "user" => Some(Message::user(text)),
        "system" => Some(Message::system(text)),
        "ai" | "assistant" => {
            let call = |call: &Value| {
                let of = |name: &str| Some(call.get(name)?.as_str()?.to_owned());
                Some(ToolCall::new(of("id")?, of("name")?, call.get("args").cloned().unwrap_or_default()))
            };
            let calls = fields.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
            Some(Message::calling(text, calls.map(call).collect::<Option<_>>()?))
        }
        "tool" => Some(Message::tool(&ToolCall::new(field("tool_call_id"), field("name"), Value::Null), text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_in_each_form() {
        let call = ToolCall::new("1", "t", json!({ "a": 1 }));
        let calls = json!([{ "id": "1", "name": "t", "args": { "a": 1 } }]);
        for (item, expected) in [
            (json!({ "type": "human", "content": "q" }), Message::user("q")),
            (json!({ "type": "ai", "content": "", "tool_calls": calls }), Message::calling("", vec![call.clone()])),
            (json!({ "type": "tool", "tool_call_id": "1", "name": "t", "content": "r" }), Message::tool(&call, "r")),
            (json!({ "role": "assistant", "content": [{ "type": "text", "text": "x" }] }), Message::assistant("x")),
            (json!(["system", "s"]), Message::system("s")),
        ] {
            assert_eq!(message(&item), Some(expected), "{item}");
        }
        for wrong in [json!("x"), json!(["x"]), json!(["who", "x"]), json!({ "type": "ai" }), json!({ "content": "x" })]
        {
            assert_eq!(message(&wrong), None, "{wrong}");
        }
    }
}
