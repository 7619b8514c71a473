//! A memory in a Zep of one's own, which sums up what is old.

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::kept;
use super::stored::MOST_READ;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::header::secret_header;
use crate::engine::text::percent::alone;
use crate::wire::json;

/// The node `ZepMemory`.
pub(super) struct ZepMemory;

impl NodeKind for ZepMemory {
    fn names(&self) -> &'static [&'static str] {
        &["ZepMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        // Names of fields that nobody sees, and of roles: those that Zep knows.
        inputs.ignore(&["inputKey", "outputKey"]);
        let mut headers = Vec::new();
        if let Some(key) = inputs.optional_credential("zepMemoryApi", "apiKey") {
            headers.push((AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose())).ok()?));
        }
        let human = inputs.text("humanPrefix").unwrap_or_else(|| "human".to_owned());
        let ai = inputs.text("aiPrefix").unwrap_or_else(|| "ai".to_owned());
        let turns = inputs.integer("k").filter(|turns| *turns > 0);
        let url = inputs.text("baseURL").unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
        let endpoint = kept::outward(inputs, "baseURL", &url)?;
        Some(kept::kept_by(inputs, Zep { endpoint, headers, human, ai, turns }))
    }
}

#[derive(Debug)]
struct Zep {
    endpoint: ProviderEndpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What those who speak are called.
    human: String,
    ai: String,
    /// Of the newest, so many are asked for.
    turns: Option<u64>,
}

impl Zep {
    fn path(session: &str) -> Result<String, Failure> {
        Ok(format!("/api/v1/sessions/{}/memory", alone(session).map_err(Failure::flow)?))
    }
}

/// What Zep has of a session; `None`: there is no such session.
pub(super) async fn memory(
    endpoint: &ProviderEndpoint,
    headers: &[(HeaderName, HeaderValue)],
    path: &str,
    run: &Run<'_>,
) -> Result<Option<Value>, Failure> {
    let call = ProviderCall { method: Method::GET, path, headers, body: Vec::new().into() };
    let answer = endpoint.fetch(call, run).await?;
    if answer.status == http::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !answer.status.is_success() {
        return Err(Failure::flow(format!("Zep answered {}", answer.status.as_u16())));
    }
    json::read_answer(&answer.body).map(Some).map_err(|_| Failure::flow("Zep's answer cannot be read"))
}

impl HistoryStrategy for Zep {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let mut path = Self::path(&run.request.session_id)?;
            if let Some(turns) = self.turns {
                path.extend(["?lastn=", &turns.to_string()]);
            }
            let mut turns = messages_of(run, &[]);
            let Some(memory) = memory(&self.endpoint, &self.headers, &path, run).await? else { return Ok(turns) };
            let summary = memory.pointer("/summary/content").and_then(Value::as_str);
            turns.extend(summary.filter(|summary| !summary.is_empty()).map(Message::system));
            let kept = memory.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let kept = kept.get(kept.len().saturating_sub(MOST_READ)..).unwrap_or_default();
            turns.extend(kept.iter().filter_map(|turn| self.message(turn)));
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
            let messages = [turn(&self.human, question), turn(&self.ai, answer)];
            let body = json!({ "messages": messages, "metadata": {} });
            self.endpoint.post(&Self::path(&run.request.session_id)?, &self.headers, body, run).await?;
            Ok(())
        })
    }
}

impl Zep {
    fn message(&self, turn: &Value) -> Option<Message> {
        let (role, content) = (turn.get("role")?.as_str()?, turn.get("content")?.as_str()?);
        Some(if role == self.ai { Message::assistant(content) } else { Message::user(content) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::Targets;
    use crate::engine::testing::{answer, server, within};
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn requests_and_turns_are_those_of_flowise() {
        let memory = r#"{"messages":[{"uuid":"1","role":"human","content":"hi"},{"role":"ai","content":"yo"}],"summary":{"content":"SUM"}}"#;
        let answers = [answer("200 OK", "", memory), answer("200 OK", "", "{}"), answer("404 Not Found", "", "{}")];
        let (origin, heard) = server(&answers.each_ref().map(String::as_str));
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let headers = vec![(AUTHORIZATION, secret_header("Bearer k").unwrap())];
        let zep = Zep { endpoint, headers, human: "human".into(), ai: "ai".into(), turns: Some(5) };
        let body = json!({ "question": "x", "overrideConfig": { "sessionId": "a b" } });
        let (turns, none) = within(&body, async |run| {
            let turns = zep.recall(run).await.unwrap();
            zep.keep("q", "a", run).await.unwrap();
            (turns, zep.recall(run).await.unwrap())
        });
        assert_eq!(turns, [Message::system("SUM"), Message::user("hi"), Message::assistant("yo")]);
        assert_eq!(none, []);
        let sent: Vec<String> = heard.iter().collect();
        let line = "GET /api/v1/sessions/a%20b/memory?lastn=5 HTTP/1.1\r\n";
        assert!(sent[0].starts_with(line) && sent[0].contains("\r\nauthorization: Bearer k\r\n"), "{}", sent[0]);
        let kept = r#"{"messages":[{"role":"human","content":"q"},{"role":"ai","content":"a"}],"metadata":{}}"#;
        assert!(sent[1].starts_with("POST /api/v1/sessions/a%20b/memory HTTP/1.1\r\n") && sent[1].ends_with(kept));
    }
}
