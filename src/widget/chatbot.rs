//! `public-chatbotConfig` and `chatflows-uploads`: what the widget draws itself by.
//!
//! Flowise answers with the whole flow, prompts and ids of credentials included (CVE-2026-41266, CVE-2026-41278). The
//! widget reads of it the form of an agentflow that starts with one (flowise-embed 3.1.6), and so it gets that alone.

use serde_json::{Map, Value, json};

use super::rows::only;
use crate::wire::json::read_str;

/// What may be uploaded.
pub(crate) fn uploads(answer: &Value) -> Option<Value> {
    let mut uploads = only(
        answer.as_object().map(|_| answer)?,
        &["isSpeechToTextEnabled", "isImageUploadAllowed", "isRAGFileUploadAllowed"],
    );
    for name in ["imgUploadSizeAndTypes", "fileUploadSizeAndTypes"] {
        if let Some(rules) = answer.get(name).and_then(Value::as_array) {
            uploads.insert(name.to_owned(), rules.iter().map(size_and_types).collect());
        }
    }
    Some(Value::Object(uploads))
}

fn size_and_types(rule: &Value) -> Value {
    let mut shown = only(rule, &["maxUploadSize"]);
    if let Some(types) = rule.get("fileTypes").and_then(Value::as_array) {
        shown.insert("fileTypes".to_owned(), types.iter().filter(|name| name.is_string()).cloned().collect());
    }
    Value::Object(shown)
}

/// The widget's configuration.
pub(crate) fn configuration(answer: &Value) -> Option<Value> {
    let mut shown = only(answer.as_object().map(|_| answer)?, &["isTTSEnabled"]);
    let sections: [(&str, &[&str]); 4] = [
        ("leads", &["status", "title", "name", "email", "phone", "successMessage"]),
        ("chatFeedback", &["status"]),
        ("followUpPrompts", &["status"]),
        ("fullFileUpload", &["status", "allowedUploadFileTypes"]),
    ];
    for (name, fields) in sections {
        if let Some(section) = answer.get(name) {
            shown.insert(name.to_owned(), Value::Object(only(section, fields)));
        }
    }
    if let Some(prompts) = answer.get("starterPrompts").and_then(Value::as_object) {
        let prompts = prompts.iter().map(|(name, prompt)| (name.clone(), Value::Object(only(prompt, &["prompt"]))));
        shown.insert("starterPrompts".to_owned(), Value::Object(prompts.collect()));
    }
    if let Some(rules) = answer.get("uploads").and_then(uploads) {
        shown.insert("uploads".to_owned(), rules);
    }
    if let Some(flow) = answer.get("flowData").and_then(Value::as_str).and_then(start) {
        // A text with JSON in it is what the widget reads.
        shown.insert("flowData".to_owned(), flow.to_string().into());
    }
    Some(Value::Object(shown))
}

/// The start of an agentflow, if it is a form: a flow of that one node.
fn start(flow: &str) -> Option<Value> {
    let flow: Value = read_str(flow).ok()?;
    let data = flow.get("nodes")?.as_array()?.iter().filter_map(|node| node.get("data"));
    let inputs =
        data.filter(|data| data.get("name").is_some_and(|name| name == "startAgentflow")).find_map(|data| {
            let inputs = data.get("inputs")?;
            inputs.get("startInputType").is_some_and(|kind| kind == "formInput").then_some(inputs)
        })?;
    let mut shown = only(inputs, &["startInputType", "formTitle", "formDescription"]);
    let fields = inputs.get("formInputTypes").and_then(Value::as_array);
    shown.insert("formInputTypes".to_owned(), fields.into_iter().flatten().map(form_field).collect());
    Some(json!({ "nodes": [{ "data": { "name": "startAgentflow", "inputs": shown } }] }))
}

fn form_field(field: &Value) -> Value {
    let mut shown: Map<String, Value> = only(field, &["type", "label", "name"]);
    if let Some(options) = field.get("addOptions").and_then(Value::as_array) {
        let options = options.iter().map(|option| Value::Object(only(option, &["option"]))).collect();
        shown.insert("addOptions".to_owned(), options);
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_flow_leaves_but_the_form_it_starts_with() {
        let node = |name: &str, inputs: Value| json!({"id": "x", "data": {"name": name, "credential": "cred", "inputs": inputs}});
        let flow = |kind: &str| {
            let form = json!({"startInputType": kind, "formTitle": "T", "formDescription": "D", "startState": "secret",
                "formInputTypes": [{"type": "options", "label": "L", "name": "n", "addOptions": [{"option": "a", "x": "secret"}], "y": "secret"}]});
            json!({"nodes": [node("startAgentflow", form), node("chatOpenAI", json!({"prompt": "secret"}))], "edges": ["secret"]})
        };
        let answer = |kind: &str| {
            json!({"flowData": flow(kind).to_string(), "apiConfig": "secret", "isTTSEnabled": false,
                "starterPrompts": {"0": {"prompt": "Hi", "x": "secret"}}, "followUpPrompts": {"status": true, "openAI": {"credentialId": "secret"}},
                "uploads": {"isImageUploadAllowed": true, "x": "secret", "imgUploadSizeAndTypes": [{"fileTypes": ["image/png"], "maxUploadSize": 5, "x": "secret"}]}})
        };
        let shown = configuration(&answer("formInput")).unwrap();
        assert!(!shown.to_string().contains("secret") && !shown.to_string().contains("cred"), "{shown}");
        let form: Value = serde_json::from_str(shown["flowData"].as_str().unwrap()).unwrap();
        assert_eq!(form["nodes"][0]["data"]["inputs"]["formInputTypes"][0]["addOptions"], json!([{"option": "a"}]));
        assert_eq!(
            shown["uploads"]["imgUploadSizeAndTypes"],
            json!([{"fileTypes": ["image/png"], "maxUploadSize": 5}])
        );
        assert_eq!(shown["followUpPrompts"], json!({"status": true}));
        assert_eq!(configuration(&answer("chatInput")).unwrap().get("flowData"), None);
        assert_eq!(configuration(&json!("text")), None);
    }
}
