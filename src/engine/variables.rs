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

/// As [`filled_text`], in a setting, where Flowise fills in variables and what is known of the flow, and no more.
pub(crate) fn filled_setting(text: &str, run: &Run<'_>) -> String {
    replaced(text, |name| of_setting(name, run))
}

/// The value of a name in a setting.
pub(crate) fn of_setting(name: &str, run: &Run<'_>) -> Option<String> {
    known(name, run).filter(|_| name.starts_with('$'))
}

/// The first `{{...}}` that Flowise fills in anywhere, and, in inputs that accept variables, also of those that it fills
/// in there.
pub(crate) fn first(value: &Value, accepts: bool) -> Option<&str> {
    match value {
        Value::String(text) => names(text).find(|name| {
            let is_known = name.starts_with("$vars.") || name.starts_with("$flow.");
            is_known || (accepts && ["question", "chat_history", "file_attachment"].contains(name))
        }),
        Value::Array(items) => items.iter().find_map(|item| first(item, accepts)),
        Value::Object(fields) => fields.values().find_map(|field| first(field, accepts)),
        _ => None,
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
    // Read at the beginning of the run, where it is asked for.
    let stored = run.request.recalled.get().map_or(&[][..], |turns| turns);
    let line = |turn: &super::memory::Turn| {
        let who = if turn.by_user { "Human" } else { "Assistant" };
        format!("{who}: {}", turn.text)
    };
    run.request.history.iter().chain(stored).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::testing::{flow, predict};

    #[test]
    fn unknown_names_stay_and_values_are_not_looked_at() {
        let find = |name: &str| (name == "a").then(|| "{{a}}".to_owned());
        assert_eq!(replaced("x {{a}} {{ a }} {{b}} {{", find), "x {{a}} {{a}} {{b}} {{");
    }

    const GOLD: &str = r#"{ "vars": { "word": "gold" } }"#;

    /// A question to a flow that one moderation guards.
    fn guarded(inputs: &Value, question: &str) -> (Vec<Value>, Value) {
        let nodes = [
            ("m_0", "testModel", json!({})),
            ("p_0", "promptTemplate", json!({ "template": "{q} of {{$vars.word}}" })),
            ("mod_0", "inputModerationSimple", inputs.clone()),
            (
                "end_0",
                "llmChain",
                json!({
                    "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}",
                    "inputModeration": ["{{mod_0.data.instance}}"],
                }),
            ),
        ];
        let overrides: Value = serde_json::from_str(GOLD).unwrap();
        let body = json!({ "question": question, "overrideConfig": overrides });
        let predicted = predict(&flow(&nodes).unwrap(), &body, &["ok".into()]);
        (predicted.asked, predicted.reply.unwrap().said.into_text().into())
    }

    #[test]
    fn settings_are_filled_in_with_variables_and_not_with_what_the_user_said() {
        let inputs = json!({
            "denyList": "x{{$vars.word}}\n{{question}}\n{{$vars.none}}",
            "moderationErrorMessage": "No {{$vars.word}} in {{$flow.sessionId}}, {{question}}",
        });
        let (asked, said) = guarded(&inputs, "xGold");
        assert_eq!((asked.len(), said), (0, json!("No gold in chat, {{question}}")));
        let (asked, _) = guarded(&inputs, "x{{$vars.word}}");
        assert_eq!(asked[0][0]["content"], "x{{$vars.word}} of gold");
    }

    #[test]
    fn what_would_not_be_filled_in_is_refused() {
        let calc = |inputs: Value| {
            let agent = json!({
                "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": ["{{t_0.data.instance}}"],
            });
            let nodes = [
                ("m_0", "testModel", json!({})),
                ("mem_0", "bufferMemory", json!({ "memoryKey": "{{$vars.ignored}}", "sessionId": "{{$flow.chatId}}" })),
                ("t_0", "requestsGet", inputs),
                ("end_0", "toolAgent", agent),
            ];
            flow(&nodes).err()
        };
        let url = "https://example.com/{{$vars.path}}";
        let headers = json!({ "x-user": "{{$vars.user}}" });
        assert_eq!(calc(json!({ "requestsGetUrl": url, "requestsGetHeaders": headers })), None);
        let described = json!({ "requestsGetUrl": url, "requestsGetDescription": "For {{$vars.user}}" });
        let problem =
            "node \"t_0\" (requestsGet), input requestsGetDescription: the engine does not fill in {{$vars.user}} here";
        assert_eq!(calc(described).as_deref(), Some(problem));
        let inputs = json!({ "k": "{{$flow.k}}", "sessionId": "x" });
        assert!(flow(&[("mem_0", "bufferWindowMemory", inputs)]).is_err());
    }
}
