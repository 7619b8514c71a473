//! What comes back of stored things: closed lists of fields, with the client's own names in Flowise's places.

use serde_json::{Map, Value};

use crate::predict::session::Pair;

/// `row` with these fields and no others.
pub(crate) fn only(row: &Value, fields: &[&str]) -> Map<String, Value> {
    fields
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())))
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .collect()
}

/// A stored lead or rating, named as its client names things. `id` takes the row's own id, if it is given out at all.
pub(crate) fn stored(
    row: &Value,
    fields: &[&str],
    chatflow: &str,
    chat: &Pair,
    id: impl FnOnce(&str) -> Option<String>,
) -> Option<Value> {
    let mut stored = only(row.as_object().map(|_| row)?, fields);
    stored.insert("chatflowid".to_owned(), chatflow.into());
    stored.insert("chatId".to_owned(), chat.client.as_str().into());
    if let Some(id) = row.get("id").and_then(Value::as_str).and_then(id) {
        stored.insert("id".to_owned(), id.into());
    }
    Some(Value::Object(stored))
}

/// What became of attachments.
pub(crate) fn attachments(answer: &Value) -> Option<Value> {
    let files = answer.as_array()?.iter();
    Some(files.map(|file| Value::Object(only(file, &["name", "mimeType", "size", "content"]))).collect())
}

/// `{"status", "message"}` and the like.
pub(crate) fn outcome(answer: &Value) -> Option<Value> {
    answer.is_object().then(|| Value::Object(only(answer, &["status", "message"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_carry_nothing_of_flowises_own() {
        let row = json!({"id":"raw","chatflowid":"secret","chatId":"theirs","name":"Ann","tenant":"x","email":{"a":1}});
        let chat = Pair { client: "mine".to_owned(), upstream: "theirs".to_owned() };
        let lead = stored(&row, &["name", "email"], "support", &chat, |_| None).unwrap();
        assert_eq!(lead, json!({"name":"Ann","chatflowid":"support","chatId":"mine"}));
        assert_eq!(stored(&json!([]), &[], "support", &chat, |_| None), None);
    }
}
