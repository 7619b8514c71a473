//! A memory in Zep's cloud, which tells of a chat what it made of it: facts, a summary, the last words.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::stored::MOST_READ;
use super::{kept, zep};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::percent::{alone, component};

const ADDRESS: &str = "https://api.getzep.com/api/v2";

/// The node `ZepMemoryCloud`.
pub(super) struct ZepCloudMemory;

impl NodeKind for ZepCloudMemory {
    fn names(&self) -> &'static [&'static str] {
        &["ZepMemoryCloud"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        // Names of fields that nobody sees.
        inputs.ignore(&["inputKey", "outputKey"]);
        let headers = match connection::wanted(inputs, "zepMemoryApi", "apiKey") {
            Some(key) => connection::header(inputs, AUTHORIZATION, &format!("Api-Key {}", key.expose())),
            None => Vec::new(),
        };
        let human = inputs.text("humanPrefix").unwrap_or_else(|| "Human".to_owned());
        let ai = inputs.text("aiPrefix").unwrap_or_else(|| "AI".to_owned());
        let kind = inputs.text("memoryType").unwrap_or_else(|| "perpetual".to_owned());
        let endpoint = kept::outward(inputs, "credential", ADDRESS)?;
        Some(kept::kept_by(inputs, ZepCloud { endpoint, headers, human, ai, kind }))
    }
}

#[derive(Debug)]
struct ZepCloud {
    endpoint: ProviderEndpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What those who speak are called.
    human: String,
    ai: String,
    /// What of the chat is told.
    kind: String,
}

impl ZepCloud {
    fn path(session: &str) -> Result<String, Failure> {
        Ok(format!("/sessions/{}/memory", alone(session).map_err(Failure::flow)?))
    }
}

impl HistoryStrategy for ZepCloud {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let path = format!("{}?memoryType={}", Self::path(&run.request.session_id)?, component(&self.kind));
            let mut turns = messages_of(run, &[]);
            let memory = zep::memory(&self.endpoint, &self.headers, &path, run).await?;
            turns.extend(memory.map(|memory| Message::user(condensed(&memory))));
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let turn =
                |role: &str, kind: &str, content: &str| json!({ "content": content, "role": role, "role_type": kind });
            let body = json!({
                "messages": [turn(&self.human, "user", question), turn(&self.ai, "assistant", answer)],
            });
            self.endpoint.post(&Self::path(&run.request.session_id)?, &self.headers, body, run).await?;
            Ok(())
        })
    }
}

/// All of it as one message of the user's, as `LangChain` tells it.
fn condensed(memory: &Value) -> String {
    let list = |name: &str| memory.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let facts: Vec<&str> = list("facts").iter().filter_map(Value::as_str).collect();
    let summary = memory.pointer("/summary/content").and_then(Value::as_str).unwrap_or_default();
    let said = list("messages");
    let said = said.get(said.len().saturating_sub(MOST_READ)..).unwrap_or_default();
    let line = |turn: &Value| {
        let text = |name: &str| turn.get(name).and_then(Value::as_str);
        let who = text("role").or_else(|| text("role_type")).unwrap_or_default();
        format!("{who}: {}", text("content").unwrap_or_default())
    };
    format!("{}{summary}\n{}", facts.join("\n"), said.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::Targets;
    use crate::engine::testing::{answer, server, within};
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn requests_and_what_is_told_are_those_of_flowise() {
        let memory = r#"{"facts":["F1","F2"],"summary":{"content":"SUM"},"messages":[{"role":"Human","role_type":"user","content":"hi"},{"role_type":"assistant","content":"yo"}]}"#;
        let answers = [answer("200 OK", "", memory), answer("200 OK", "", "{}"), answer("404 Not Found", "", "{}")];
        let (origin, heard) = server(&answers.each_ref().map(String::as_str));
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let headers = vec![(AUTHORIZATION, HeaderValue::from_static("Api-Key k"))];
        let of = str::to_owned;
        let zep = ZepCloud { endpoint, headers, human: of("human"), ai: of("ai"), kind: of("perpetual") };
        let body = json!({ "question": "q", "overrideConfig": { "sessionId": "a b" } });
        let (turns, none) = within(&body, async |run| {
            let turns = zep.recall(run).await.unwrap();
            zep.keep("q", "a", run).await.unwrap();
            (turns, zep.recall(run).await.unwrap())
        });
        assert_eq!(turns, [Message::user("F1\nF2SUM\nHuman: hi\nassistant: yo")]);
        assert_eq!(none, []);
        let sent: Vec<String> = heard.iter().collect();
        let line = "GET /sessions/a%20b/memory?memoryType=perpetual HTTP/1.1\r\n";
        assert!(sent[0].starts_with(line) && sent[0].contains("\r\nauthorization: Api-Key k\r\n"), "{}", sent[0]);
        let kept = r#"{"messages":[{"content":"q","role":"human","role_type":"user"},{"content":"a","role":"ai","role_type":"assistant"}]}"#;
        assert!(
            sent[1].starts_with("POST /sessions/a%20b/memory HTTP/1.1\r\n") && sent[1].ends_with(kept),
            "{}",
            sent[1]
        );
    }
}
