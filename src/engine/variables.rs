//! What `{{...}}` stands for: the question, variables, and what is known of the flow and the chat.

use serde_json::Value;

use super::run::Run;

/// A value with every `{{...}}` in its texts replaced; what is not known stays.
pub(crate) fn filled(value: &Value, run: &Run<'_>) -> Value {
    filled_with(value, &|name| known(name, run))
}

/// As [`filled`], with what `find` knows.
pub(crate) fn filled_with(value: &Value, find: &impl Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => replaced(text, find).into(),
        Value::Array(items) => items.iter().map(|item| filled_with(item, find)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), filled_with(value, find))).collect())
        }
        value => value.clone(),
    }
}

/// The names in every `{{...}}`.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim())
}

/// As [`filled`].
pub(crate) fn filled_text(text: &str, run: &Run<'_>) -> String {
    replaced(text, |name| known(name, run))
}

/// Replaces every `{{name}}` that `find` knows; what it gives is not looked at again.
pub(crate) fn replaced(text: &str, find: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let inside = after.get(2..).unwrap_or_default();
        let Some((name, left)) = inside.split_once("}}") else {
            out.push_str(after);
            return out;
        };
        if let Some(value) = find(name.trim()) {
            out.push_str(&value);
        } else {
            out.push_str("{{");
            out.push_str(name);
            out.push_str("}}");
        }
        rest = left;
    }
    out.push_str(rest);
    out
}

/// The value of a name, as every generation of flows knows it.
pub(crate) fn known(name: &str, run: &Run<'_>) -> Option<String> {
    let request = run.request;
    if let Some(path) = name.strip_prefix("$vars.") {
        return at(&Value::Object(request.vars.clone()), path).map(text_of);
    }
    Some(match name {
        "question" => request.question().to_owned(),
        "chat_history" => history(run),
        "file_attachment" => request.files(),
        "$flow.sessionId" => request.session_id.clone(),
        "$flow.chatId" => request.chat_id.clone(),
        "$flow.chatflowId" => run.flow.to_owned(),
        _ => return None,
    })
}

/// The value at a path of names and numbers.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// As a template shows it.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn history(run: &Run<'_>) -> String {
    let stored = run.services.memory.turns(run.flow, &run.request.session_id).unwrap_or_default();
    let line = |turn: &super::memory::Turn| {
        let who = if turn.by_user { "Human" } else { "Assistant" };
        format!("{who}: {}", turn.text)
    };
    run.request.history.iter().chain(&stored).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_stay_and_values_are_not_looked_at() {
        let find = |name: &str| (name == "a").then(|| "{{a}}".to_owned());
        assert_eq!(replaced("x {{a}} {{ a }} {{b}} {{", find), "x {{a}} {{a}} {{b}} {{");
    }
}
