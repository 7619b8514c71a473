//! Settings in which an author named variables, `{{$vars.x}}` or `{{$flow.sessionId}}`: Flowise fills them in for each
//! request, and so is the flow made anew with what they stand for, as for a client that overrides these settings.

use serde_json::{Map, Value};

use super::export::Export;
use crate::engine::contract::request::RunRequest;
use crate::engine::text::mustache::{Dialect, JsonTemplate, Mustache};
use crate::engine::text::overrides::{FilledPaths, Overrides};
use crate::engine::text::variables::at;

/// An input of a node in which its author named variables, and whose kind reads it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VariedInput {
    /// The node's id.
    pub(crate) node: String,
    pub(crate) input: String,
}

/// What a request overrides, and what variables stand for where it overrides nothing.
pub(crate) fn filled(varied: &[VariedInput], export: &Export, flow: &str, request: &RunRequest) -> Overrides {
    let names = |name: &str| known(name, flow, request);
    let Overrides { mut values, settled } = request.overrides.clone();
    let mut paths = Vec::new();
    for VariedInput { node, input } in varied {
        if request.overrides.values.contains_key(input) {
            continue;
        }
        let Some(written) = export.node(node).and_then(|node| node.data.inputs.get(input)) else { continue };
        let by_node = values.entry(input.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(by_node) = by_node {
            by_node.insert(node.clone(), value(written, &names));
            paths.push(vec![input.clone(), node.clone()]);
        }
    }
    Overrides { values, settled: settled.with(paths) }
}

/// JSON stays what its author wrote, whatever the variables hold.
fn value(written: &Value, names: &impl Fn(&str) -> Option<Value>) -> Value {
    let template = match written {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            JsonTemplate::parse(text, Dialect::Chatflow).ok()
        }
        Value::String(_) => None,
        other => Some(JsonTemplate::of(other, Dialect::Chatflow, &FilledPaths::default(), &mut Vec::new())),
    };
    if let Some(value) = template.and_then(|template| template.value(names).ok()) {
        return value;
    }
    let text = written.as_str().unwrap_or_default();
    Mustache::parse(text, Dialect::Chatflow).text(names).into()
}

fn known(name: &str, flow: &str, request: &RunRequest) -> Option<Value> {
    if let Some(path) = name.strip_prefix("$vars.") {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let value = request.vars.get(first)?;
        return rest.map_or(Some(value), |rest| at(value, rest)).cloned();
    }
    match name {
        "$flow.sessionId" => Some(request.session_id.as_str().into()),
        "$flow.chatId" => Some(request.chat_id.as_str().into()),
        "$flow.chatflowId" => Some(flow.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::testing::{flow, predict};

    #[test]
    fn variables_in_settings_are_filled_in_for_each_request() {
        let agent = json!({
            "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": ["{{t_0.data.instance}}"],
        });
        let tool = json!({
            "requestsGetUrl": "https://example.com", "requestsGetDescription": "For {{$vars.user}} in {{$flow.sessionId}}, {{$vars.none}}",
        });
        let nodes = [
            ("m_0", "testModel", json!({})),
            ("mem_0", "bufferMemory", json!({})),
            ("t_0", "requestsGet", tool),
            ("end_0", "toolAgent", agent),
        ];
        let flow = flow(&nodes).unwrap();
        for user in ["Ada", "{{$flow.chatId}}"] {
            let body = json!({ "question": "q", "overrideConfig": { "vars": { "user": user } } });
            let asked = predict(&flow, &body, &["ok".into()]).asked;
            let told = format!("For {user} in chat, {{{{$vars.none}}}}");
            assert_eq!(asked[0]["tools"][0]["description"], told);
        }
        // Whoever overrides the setting means all of it.
        let body = json!({ "question": "q", "overrideConfig": { "requestsGetDescription": "For all" } });
        assert_eq!(predict(&flow, &body, &["ok".into()]).asked[0]["tools"][0]["description"], "For all");
    }

    #[test]
    fn json_stays_what_its_author_wrote() {
        let names = |name: &str| (name == "$vars.user").then(|| json!("a\", \"b\": \"c"));
        let written = json!("{\"user\": \"{{$vars.user}}\", \"n\": [1, \"{{$vars.none}}\"]}");
        let filled = json!({ "user": "a\", \"b\": \"c", "n": [1, "{{$vars.none}}"] });
        assert_eq!(value(&written, &names), filled);
        assert_eq!(value(&json!(["x {{$vars.user}}"]), &names), json!(["x a\", \"b\": \"c"]));
        assert_eq!(value(&json!("x {{$vars.user}}"), &names), "x a\", \"b\": \"c");
    }
}
