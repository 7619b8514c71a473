//! The app's own shape of an answer, free of Flowise's fields.

use serde::Serialize;
use serde_json::Value;

use super::super::events::data_of;
use super::screen::Allowed;

/// Sources of one answer.
const MOST_SOURCES: usize = 100;
/// Characters of a title or URL.
const LONGEST_TEXT: usize = 2000;
/// Bytes of a streamed answer that are kept for the message at its end.
const LONGEST_CONTENT: usize = 16 * 1024 * 1024;

#[derive(Debug, Default, Serialize)]
struct Message {
    id: String,
    role: Assistant,
    content: String,
    sources: Vec<Source>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
enum Assistant {
    #[default]
    Assistant,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Source {
    title: String,
    url: Option<String>,
}

/// A JSON answer; `None`: it is no object.
pub(super) fn of_json(body: &[u8], allowed: Option<&Allowed>) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let answer = value.as_object()?;
    let content = ["text", "answer", "json"].iter().find_map(|name| answer.get(*name)).map(text_of);
    let message = Message {
        id: answer.get("chatMessageId").map(text_of).unwrap_or_default(),
        role: Assistant::Assistant,
        content: content.unwrap_or_default(),
        sources: answer.get("sourceDocuments").map(|documents| sources(documents, allowed)).unwrap_or_default(),
    };
    serde_json::to_vec(&message).ok()
}

/// A message as a stream tells it.
#[derive(Debug, Default)]
pub(super) struct Telling {
    message: Message,
    failed: bool,
}

impl Telling {
    /// What a record becomes; `None`: nothing.
    pub(super) fn tell(&mut self, record: &[u8], allowed: Option<&Allowed>) -> Option<String> {
        let Some(data) = data_of(record) else {
            let is_comment = record.first() == Some(&b':');
            return is_comment.then(|| ": keep-alive\n\n".to_owned());
        };
        let mut event: Value = serde_json::from_slice(&data).ok()?;
        let data = event.get_mut("data").map(Value::take).unwrap_or_default();
        match event.get("event")?.as_str()? {
            "token" => {
                let text = text_of(&data);
                if text.is_empty() || self.failed {
                    return None;
                }
                if self.message.content.len() + text.len() > LONGEST_CONTENT {
                    return Some(self.fail("The answer is too long."));
                }
                self.message.content.push_str(&text);
                Some(event_text("delta", &serde_json::json!({ "content": text })))
            }
            "sourceDocuments" => {
                self.message.sources = sources(&data, allowed);
                None
            }
            "metadata" => {
                self.message.id = data.get("chatMessageId").map(text_of).unwrap_or_default();
                None
            }
            "error" if !self.failed => Some(self.fail(&text_of(&data))),
            "end" if !self.failed => Some(event_text("message", &self.message)),
            _ => None,
        }
    }

    fn fail(&mut self, text: &str) -> String {
        self.failed = true;
        told_error(text, "upstream_error")
    }
}

/// How such a stream tells that there is no answer.
pub(crate) fn told_error(sentence: &str, code: &str) -> String {
    event_text("error", &serde_json::json!({ "error": sentence, "code": code }))
}

fn event_text(name: &str, data: &impl Serialize) -> String {
    format!("event: {name}\ndata: {}\n\n", serde_json::to_string(data).unwrap_or_default())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn sources(documents: &Value, allowed: Option<&Allowed>) -> Vec<Source> {
    let mut sources = Vec::new();
    if allowed.is_some_and(|allowed| !allowed.lists("sourceDocuments")) {
        return sources;
    }
    for document in documents.as_array().into_iter().flatten() {
        let Some(source) = document.get("metadata").and_then(source) else { continue };
        if sources.len() < MOST_SOURCES && !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Never a path on the server: of one, the file's name.
fn source(metadata: &Value) -> Option<Source> {
    let text = |name: &&str| metadata.get(*name)?.as_str().filter(|text| !text.is_empty());
    let is_url = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
    let url = ["url", "source"].iter().filter_map(text).find(is_url);
    let title = ["title", "fileName", "filename", "file_name", "name", "source"].iter().find_map(text).or(url)?;
    let title = if is_url(&title) { title } else { title.rsplit(['/', '\\']).next().unwrap_or(title) };
    let bounded = |text: &str| text.chars().take(LONGEST_TEXT).collect();
    Some(Source { title: bounded(title), url: url.map(bounded) })
}
