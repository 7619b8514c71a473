//! The app's own shape of an answer, free of Flowise's fields.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::events::data_of;
use super::screen::{Allowed, Event};
use crate::wire::json::{read_str, sound};

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

/// Of a JSON answer, or of a stream's `metadata`. What else is in it is not looked at, however deep it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    answer: Option<&'a RawValue>,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    #[serde(borrow)]
    chat_message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    source_documents: Option<&'a RawValue>,
}

/// A JSON answer; `None`: it is no object.
pub(super) fn of_json(body: &[u8], allowed: Option<&Allowed>) -> Option<Vec<u8>> {
    let body = sound(body);
    let answer: Fields<'_> = serde_json::from_str(&body).ok().filter(|_| body.trim_start().starts_with('{'))?;
    let message = Message {
        id: answer.chat_message_id.map(text_of).unwrap_or_default(),
        role: Assistant::Assistant,
        content: answer.text.or(answer.answer).or(answer.json).map(text_of).unwrap_or_default(),
        sources: answer.source_documents.map(|documents| sources(documents, allowed)).unwrap_or_default(),
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
        let data = sound(&data);
        let Event { event, data } = serde_json::from_str(&data).ok()?;
        let data = data.unwrap_or(RawValue::NULL);
        match &*event {
            "token" => {
                let text = text_of(data);
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
                self.message.sources = sources(data, allowed);
                None
            }
            "metadata" => {
                let told: Fields<'_> = serde_json::from_str(data.get()).unwrap_or_default();
                self.message.id = told.chat_message_id.map(text_of).unwrap_or_default();
                None
            }
            "error" if !self.failed => Some(self.fail(&text_of(data))),
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

/// A text as it is, anything else as JSON.
fn text_of(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => read_str(text).unwrap_or_default(),
        other => other.to_owned(),
    }
}

/// A found passage, as far as it says where it comes from.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    file_name: Option<&'a RawValue>,
    #[serde(borrow)]
    filename: Option<&'a RawValue>,
    #[serde(borrow, rename = "file_name")]
    file_name_too: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

fn sources(documents: &RawValue, allowed: Option<&Allowed>) -> Vec<Source> {
    let mut sources = Vec::new();
    if allowed.is_some_and(|allowed| !allowed.lists("sourceDocuments")) {
        return sources;
    }
    let documents: Vec<&RawValue> = serde_json::from_str(documents.get()).unwrap_or_default();
    for document in documents {
        let Ok(Document { metadata }) = serde_json::from_str(document.get()) else { continue };
        let Some(source) = source(&metadata) else { continue };
        if sources.len() < MOST_SOURCES && !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Never a path on the server: of one, the file's name.
fn source(metadata: &Metadata<'_>) -> Option<Source> {
    let text = |value: Option<&RawValue>| read_str::<String>(value?.get()).ok().filter(|text| !text.is_empty());
    let is_url = |text: &String| text.starts_with("https://") || text.starts_with("http://");
    let Metadata { url, source, title, file_name, filename, file_name_too, name } = *metadata;
    let url = [url, source].into_iter().filter_map(text).find(is_url);
    let named = [title, file_name, filename, file_name_too, name, source].into_iter().find_map(text);
    let title = named.or_else(|| url.clone())?;
    let title = if is_url(&title) { &*title } else { title.rsplit(['/', '\\']).next().unwrap_or(&title) };
    let bounded = |text: &str| text.chars().take(LONGEST_TEXT).collect();
    Some(Source { title: bounded(title), url: url.as_deref().map(bounded) })
}
