//! Turns as `LangChain` stores them, which Flowise and the engine both read.

use serde_json::{Value, json};

use crate::engine::contract::memory::MOST_TURNS;
use crate::engine::contract::message::{Message, Role};

/// Of a session, so many are read.
pub(super) const MOST_READ: usize = MOST_TURNS;

/// What is stored of an exchange, turn by turn.
pub(super) fn exchange(question: &str, answer: &str) -> [Value; 2] {
    let data = json!({ "content": question, "additional_kwargs": {}, "response_metadata": {} });
    let answered = json!({
        "content": answer, "tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": {}, "response_metadata": {},
    });
    [json!({ "type": "human", "data": data }), json!({ "type": "ai", "data": answered })]
}

/// What is read of a turn; `None`: it is none of a kind that is told.
pub(super) fn message(stored: &Value) -> Option<Message> {
    let role = match stored.get("type").and_then(Value::as_str)? {
        "human" => Role::User,
        "ai" => Role::Assistant,
        "system" => Role::System,
        _ => return None,
    };
    // Of old, the text stood beside the kind.
    let content = stored.pointer("/data/content").or_else(|| stored.get("text"))?;
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => {
            let texts = pieces.iter().filter_map(|piece| piece.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => return None,
    };
    Some(Message::text(role, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_stored_as_the_library_stores_them() {
        let [question, answer] = exchange("x", "y");
        let human = r#"{"type":"human","data":{"content":"x","additional_kwargs":{},"response_metadata":{}}}"#;
        let ai = r#"{"type":"ai","data":{"content":"y","tool_calls":[],"invalid_tool_calls":[],"additional_kwargs":{},"response_metadata":{}}}"#;
        assert_eq!((question.to_string().as_str(), answer.to_string().as_str()), (human, ai));
        assert_eq!(message(&question), Some(Message::user("x")));
        assert_eq!(message(&answer), Some(Message::assistant("y")));
    }

    #[test]
    fn what_others_stored_is_read() {
        let pieces = json!({ "type": "ai", "data": { "content": [{ "type": "text", "text": "b" }, { "type": "x" }] } });
        assert_eq!(message(&pieces), Some(Message::assistant("b")));
        assert_eq!(message(&json!({ "type": "human", "text": "old" })), Some(Message::user("old")));
        assert_eq!(message(&json!({ "type": "system", "data": { "content": "s" } })), Some(Message::system("s")));
        for other in [json!({ "type": "x", "data": { "content": "q" } }), json!({ "type": "ai" }), json!(7)] {
            assert_eq!(message(&other), None);
        }
    }
}
