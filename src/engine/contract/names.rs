//! What `{{...}}` stands for: the question, variables, and what is known of the flow and the chat.

use serde_json::Value;

use super::run::Run;
use crate::engine::text::mustache::Names;
use crate::engine::text::variables::at;

impl Names for Run<'_> {
    /// What nodes of an agentflow know, or what every generation of flows does.
    fn find(&self, name: &str) -> Option<Value> {
        self.names.map_or_else(|| known(name, self), |names| names.find(name))
    }

    fn files(&self) -> &str {
        self.names.map_or("", Names::files)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.budget().has_room(bytes).is_ok()
    }
}

/// In a setting, where Flowise fills in variables and what is known of the flow, and not what the user said.
pub(crate) struct OfSettings<'a>(pub(crate) &'a Run<'a>);

impl Names for OfSettings<'_> {
    fn find(&self, name: &str) -> Option<Value> {
        self.0.find(name).filter(|_| name.starts_with('$'))
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.0.has_room(bytes)
    }
}

/// The value of a name, as every generation of flows knows it.
fn known(name: &str, run: &Run<'_>) -> Option<Value> {
    let request = run.request;
    if let Some(path) = name.strip_prefix("$vars.") {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let value = request.vars.get(first)?;
        return rest.map_or(Some(value), |rest| at(value, rest)).cloned();
    }
    Some(match name {
        "question" => request.question().into(),
        "chat_history" => request.told_history.get().map_or("", String::as_str).into(),
        "file_attachment" => request.files().into(),
        "$flow.sessionId" => request.session_id.as_str().into(),
        "$flow.chatId" => request.chat_id.as_str().into(),
        "$flow.chatflowId" => run.flow.into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::testing::{flow, predict};

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
        let described = json!({ "requestsGetUrl": url, "requestsGetDescription": "For {{$flow.state.user}}" });
        let problem = "input requestsGetDescription: the engine does not fill in {{$flow.state.user}} here";
        let refused = calc(described).unwrap();
        assert!(refused.ends_with(problem), "{refused}");
        let inputs = json!({ "k": "{{$flow.k}}", "sessionId": "x" });
        assert!(flow(&[("mem_0", "bufferWindowMemory", inputs)]).is_err());
    }
}
