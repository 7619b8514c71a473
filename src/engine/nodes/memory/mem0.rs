//! What Mem0 knows of a user, before the last turns of the chat.

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::kept;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of, recalled};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::header::secret_header;

/// The words of Mem0's own library (`@mem0/community`).
const PROMPT: &str = include_str!("mem0.txt");
const CLOUD: &str = "https://api.mem0.ai";
/// Turns of the chat that are told beside it.
const MOST_TURNS: usize = 10;

/// The node `mem0`.
pub(super) struct Mem0;

impl NodeKind for Mem0 {
    fn names(&self) -> &'static [&'static str] {
        &["mem0"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::kept_here(inputs);
        // Names of fields and roles that nobody sees here, and a switch that changes nothing.
        inputs.ignore(&["inputKey", "outputKey", "humanPrefix", "aiPrefix"]);
        let mut headers = Vec::new();
        if let Some(key) = inputs.credential("mem0MemoryApi", "apiKey") {
            headers.push((AUTHORIZATION, secret_header(&format!("Token {}", key.expose())).ok()?));
        }
        let user = inputs.text("user_id");
        let of_chat = inputs.flag("useFlowiseChatId").unwrap_or(false);
        if user.is_none() && !of_chat {
            inputs.lacks("user_id");
        }
        let only_searches = inputs.flag("searchOnly").unwrap_or(false);
        let mut fields = Map::new();
        for name in ["run_id", "agent_id", "app_id", "project_id", "org_id"] {
            fields.extend(inputs.text(name).map(|value| (name.to_owned(), value.into())));
        }
        let version = inputs.text("api_version");
        fields.insert("enable_graph".to_owned(), inputs.flag("enable_graph").unwrap_or(false).into());
        for name in ["metadata", "filters"] {
            fields.insert(name.to_owned(), inputs.json(name).unwrap_or_else(|| json!({})));
        }
        let host = inputs.text("host").unwrap_or_else(|| CLOUD.to_owned());
        let endpoint = kept::outward(inputs, "host", &host)?;
        let user = user.filter(|_| !of_chat);
        Some(kept::kept_by(inputs, KnownOfUser { endpoint, headers, user, only_searches, fields, version }))
    }
}

#[derive(Debug)]
struct KnownOfUser {
    endpoint: ProviderEndpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Of whom; `None`: of the session.
    user: Option<String>,
    only_searches: bool,
    /// What is sent with every request.
    fields: Map<String, Value>,
    version: Option<String>,
}

impl HistoryStrategy for KnownOfUser {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let mut turns = self.spoken(run).await?;
            match self.known(run).await {
                Ok(known) => turns.insert(0, Message::assistant(known)),
                Err(failure) if failure.ends_run() => return Err(failure),
                // As Flowise, whose chats go on without.
                Err(failure) => tracing::warn!(error = %run.told(&failure), "Mem0 does not say what it knows"),
            }
            Ok(turns)
        })
    }

    /// Nobody but a model is told what Mem0 knows.
    fn spoken<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let turns = recalled(run).await?;
            Ok(messages_of(run, turns.get(turns.len().saturating_sub(MOST_TURNS)..).unwrap_or_default()))
        })
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            if self.only_searches || question.is_empty() || answer.is_empty() {
                return Ok(());
            }
            match self.told(question, answer, run).await {
                Err(failure) if failure.ends_run() => Err(failure),
                Err(failure) => {
                    tracing::warn!(error = %run.told(&failure), "Mem0 does not keep an exchange");
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        })
    }
}

impl KnownOfUser {
    async fn known(&self, run: &Run<'_>) -> Result<String, Failure> {
        let mut body = Map::from_iter([("query".to_owned(), run.request.question_with_files().into())]);
        body.extend(self.fields(run).await?);
        let version = if self.version.as_deref() == Some("v2") { "v2" } else { "v1" };
        let path = format!("/{version}/memories/search/");
        let found = self.endpoint.post(&path, &self.headers, Value::Object(body), run).await?.json().await?;
        let found = found.get("results").unwrap_or(&found);
        let memory = |found: &Value| found.get("memory")?.as_str().map(str::to_owned);
        let memories: Vec<String> = found.as_array().into_iter().flatten().filter_map(memory).collect();
        Ok(format!("{} \n\n\n{}", PROMPT.trim_end(), memories.join("\n")))
    }

    async fn told(&self, question: &str, answer: &str, run: &Run<'_>) -> Result<(), Failure> {
        let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
        let messages = json!([turn("user", question), turn("assistant", answer)]);
        let mut body = Map::from_iter([("messages".to_owned(), messages)]);
        body.extend(self.fields(run).await?);
        if let Some(version) = &self.version {
            body.insert("version".to_owned(), version.as_str().into());
        }
        self.endpoint.post("/v1/memories/", &self.headers, Value::Object(body), run).await?;
        Ok(())
    }

    /// Of whom, and whose: the organisation and the project of the key, where the author names none.
    async fn fields(&self, run: &Run<'_>) -> Result<Map<String, Value>, Failure> {
        let call =
            ProviderCall { method: Method::GET, path: "/v1/ping/", headers: &self.headers, body: Vec::new().into() };
        let ping = self.endpoint.send(call, run).await?.json().await?;
        // A user whom the author names is one of the caller's own.
        let session = &run.request.session_id;
        let user = self.user.as_ref().map_or_else(|| session.clone(), |user| run.request.sessions.named(user));
        let mut fields = Map::from_iter([("user_id".to_owned(), user.into())]);
        fields.extend(self.fields.clone());
        for name in ["project_id", "org_id"] {
            if let Some(value) = ping.get(name).filter(|_| !self.fields.contains_key(name)) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::Targets;
    use crate::engine::testing::{answer, server, within};
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn requests_and_words_are_those_of_flowise() {
        let ping = r#"{"status":"ok","org_id":"O","project_id":"P","user_email":"e@x"}"#;
        let found = r#"[{"id":"1","memory":"likes tea"},{"id":"2","memory":"is old"}]"#;
        let answers = [ping, found, ping, "[]"].map(|body| answer("200 OK", "", body));
        let (origin, heard) = server(&answers.each_ref().map(String::as_str));
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let headers = vec![(AUTHORIZATION, secret_header("Token k").unwrap())];
        let fields = json!({ "app_id": "app", "enable_graph": false, "metadata": {}, "filters": {} });
        let fields = fields.as_object().cloned().unwrap();
        let mem0 = KnownOfUser { endpoint, headers, user: None, only_searches: false, fields, version: None };
        let body = json!({ "question": "x", "overrideConfig": { "sessionId": "sess" } });
        let turns = within(&body, async |run| {
            let turns = mem0.recall(run).await.unwrap();
            mem0.keep("q", "a", run).await.unwrap();
            turns
        });
        let Some(Message { content, .. }) = turns.first() else { panic!() };
        assert!(content.plain().ends_with("The MEMORIES of the USER are: \n\n\nlikes tea\nis old"), "{turns:?}");
        let sent: Vec<String> = heard.iter().collect();
        assert!(sent[0].starts_with("GET /v1/ping/ HTTP/1.1\r\n") && sent[0].contains("authorization: Token k\r\n"));
        let body = |text: &str| serde_json::from_str::<Value>(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let common = json!({
            "user_id": "sess", "app_id": "app", "project_id": "P", "org_id": "O", "enable_graph": false, "metadata": {},
            "filters": {},
        });
        let with = |name: &str, value: Value| {
            let mut fields = common.as_object().cloned().unwrap();
            fields.insert(name.to_owned(), value);
            Value::Object(fields)
        };
        assert!(sent[1].starts_with("POST /v1/memories/search/ HTTP/1.1\r\n"));
        assert_eq!(body(&sent[1]), with("query", json!("x")));
        let turns = json!([{ "role": "user", "content": "q" }, { "role": "assistant", "content": "a" }]);
        assert!(sent[3].starts_with("POST /v1/memories/ HTTP/1.1\r\n"));
        assert_eq!(body(&sent[3]), with("messages", turns));
    }

    #[test]
    fn a_chat_goes_on_where_mem0_does_not_answer() {
        let (origin, _) = server(&[&answer("500 Oh", "", "{}"), &answer("500 Oh", "", "{}")]);
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let (headers, fields) = (Vec::new(), Map::new());
        let mem0 = KnownOfUser { endpoint, headers, user: None, only_searches: false, fields, version: None };
        within(&json!({ "question": "x" }), async |run| {
            assert_eq!(mem0.recall(run).await.unwrap(), []);
            mem0.keep("q", "a", run).await.unwrap();
        });
    }
}
