//! A memory in a Redis of Upstash, by its HTTP interface.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::kept;
use super::stored::{MOST_READ, exchange, message};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::header::secret_header;
use crate::wire::json::read_str;

/// The node `upstashRedisBackedChatMemory`.
pub(super) struct UpstashRedisChatMemory;

impl NodeKind for UpstashRedisChatMemory {
    fn names(&self) -> &'static [&'static str] {
        &["upstashRedisBackedChatMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        let mut headers = Vec::new();
        if let Some(token) = inputs.credential("upstashRedisMemoryApi", "upstashRestToken") {
            headers.push((AUTHORIZATION, secret_header(&format!("Bearer {}", token.expose())).ok()?));
        }
        let seconds = inputs.integer("sessionTTL").filter(|seconds| *seconds > 0);
        let url = inputs.required_text("baseURL")?;
        let endpoint = kept::outward(inputs, "baseURL", &url)?;
        Some(kept::kept_by(inputs, Upstash { endpoint, headers, seconds }))
    }
}

#[derive(Debug)]
struct Upstash {
    endpoint: ProviderEndpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Until a session is forgotten that nobody uses.
    seconds: Option<u64>,
}

impl Upstash {
    async fn command(&self, command: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let answer = self.endpoint.post("/", &self.headers, command, run).await?.json().await?;
        Ok(answer.get("result").cloned().unwrap_or_default())
    }
}

impl HistoryStrategy for Upstash {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let stored = self.command(json!(["lrange", run.request.session_id, 0, MOST_READ - 1]), run).await?;
            // The newest is the first.
            let newest = stored.as_array().into_iter().flatten().rev();
            let read = |stored: &Value| match stored {
                Value::String(text) => message(&read_str(text).ok()?),
                stored => message(stored),
            };
            let mut turns = messages_of(run, &[]);
            turns.extend(newest.filter_map(read));
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let session = &run.request.session_id;
            for turn in exchange(question, answer) {
                self.command(json!(["lpush", session, turn.to_string()]), run).await?;
                if let Some(seconds) = self.seconds {
                    self.command(json!(["expire", session, seconds]), run).await?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::Targets;
    use crate::engine::testing::{answer, server, within};
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn commands_and_turns_are_those_of_flowise() {
        let stored = exchange("q", "a").map(|turn| turn.to_string());
        let listed = json!({ "result": [stored[1], stored[0], "no json"] }).to_string();
        let answers = [&listed, "{\"result\":1}", "{}", "{\"result\":2}", "{}"].map(|body| answer("200 OK", "", body));
        let (origin, heard) = server(&answers.each_ref().map(String::as_str));
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let headers = vec![(AUTHORIZATION, secret_header("Bearer tok").unwrap())];
        let memory = Upstash { endpoint, headers, seconds: Some(60) };
        let body = json!({ "question": "x", "overrideConfig": { "sessionId": "sess" } });
        let turns = within(&body, async |run| {
            let turns = memory.recall(run).await.unwrap();
            memory.keep("q", "a", run).await.unwrap();
            turns
        });
        assert_eq!(turns, [Message::user("q"), Message::assistant("a")]);
        let bodies: Vec<String> = heard.iter().map(|text| text.split_once("\r\n\r\n").unwrap().1.to_owned()).collect();
        let push = |turn: &str| json!(["lpush", "sess", turn]).to_string();
        let expire = "[\"expire\",\"sess\",60]";
        let list = "[\"lrange\",\"sess\",0,199]";
        assert_eq!(bodies, [list, &push(&stored[0]), expire, &push(&stored[1]), expire]);
    }
}
