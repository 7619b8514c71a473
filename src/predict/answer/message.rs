//! The app's own shape of an answer, free of Flowise's fields.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::event::{AnswerEvent, AnswerValue};
use super::event_name::EventName;
use super::fields::AnswerFields;
use super::output::AnswerOutput;
use super::renderer::Renderer;
use crate::wire::json::read_str;

/// Sources of one answer.
const MOST_SOURCES: usize = 100;
/// Characters of a title or URL.
const LONGEST_TEXT: usize = 2000;
/// Bytes of a streamed answer that are kept for the message at its end.
const LONGEST_CONTENT: usize = 16 * 1024 * 1024;

/// See the module: a message, as a stream tells it.
#[derive(Debug, Default)]
pub(super) struct MessageRenderer {
    fields: MessageFields,
    failed: bool,
}

#[derive(Debug, Default, Serialize)]
struct MessageFields {
    id: String,
    role: Assistant,
    content: String,
    sources: Vec<SourceLink>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
enum Assistant {
    #[default]
    Assistant,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SourceLink {
    title: String,
    url: Option<String>,
}

impl Renderer for MessageRenderer {
    fn event(&mut self, AnswerEvent { name, data }: &AnswerEvent<'_>, out: &mut Vec<u8>) {
        match name {
            EventName::SourceDocuments => self.fields.sources = sources(data),
            EventName::Metadata => self.fields.id = message_id(data),
            _ if self.failed => {}
            EventName::Token => self.token(&data.to_text(), out),
            EventName::Error => self.fail(&data.to_text(), out),
            EventName::End => write_event(out, "message", &self.fields),
            _ => {}
        }
    }

    fn whole(&self, answer: AnswerFields<'_>, out: &mut AnswerOutput) -> serde_json::Result<()> {
        let text = |names: &[&str]| names.iter().find_map(|name| answer.get(name)).map(AnswerValue::to_text);
        let message = MessageFields {
            id: text(&["chatMessageId"]).unwrap_or_default().into_owned(),
            role: Assistant::Assistant,
            content: text(&["text", "answer", "json"]).unwrap_or_default().into_owned(),
            sources: answer.get("sourceDocuments").map(sources).unwrap_or_default(),
        };
        serde_json::to_writer(out, &message)
    }

    fn failure(&self, sentence: &str, code: &str) -> String {
        if self.failed { String::new() } else { told_error(sentence, code) }
    }
}

impl MessageRenderer {
    fn token(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.fields.content.len() + text.len() > LONGEST_CONTENT {
            return self.fail("The answer is too long.", out);
        }
        self.fields.content.push_str(text);
        write_event(out, "delta", &MessageDelta { content: text });
    }

    fn fail(&mut self, sentence: &str, out: &mut Vec<u8>) {
        self.failed = true;
        out.extend_from_slice(told_error(sentence, "upstream_error").as_bytes());
    }
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    content: &'a str,
}

/// How such a stream tells that there is no answer.
fn told_error(sentence: &str, code: &str) -> String {
    let error = serde_json::json!({ "error": sentence, "code": code });
    format!("event: error\ndata: {error}\n\n")
}

fn write_event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    for part in ["event: ", name, "\ndata: "] {
        out.extend_from_slice(part.as_bytes());
    }
    // Neither the values nor the writing can fail.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// Of a stream's `metadata`. What else is in it is not looked at, however deep it is.
fn message_id(metadata: &AnswerValue<'_>) -> String {
    let fields = AnswerFields::of(metadata);
    let id = fields.as_ref().and_then(|fields| fields.get("chatMessageId"));
    id.map(AnswerValue::to_text).unwrap_or_default().into_owned()
}

/// A found passage, as far as it says where it comes from.
#[derive(Deserialize)]
struct SourceDocument<V> {
    metadata: DocumentOrigin<V>,
}

/// Where, in whichever words.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentOrigin<V> {
    url: Option<V>,
    source: Option<V>,
    title: Option<V>,
    file_name: Option<V>,
    #[serde(rename = "filename")]
    lower: Option<V>,
    #[serde(rename = "file_name")]
    snake: Option<V>,
    name: Option<V>,
}

impl<V> DocumentOrigin<V> {
    fn map<T>(self, read: impl Fn(V) -> Option<T>) -> DocumentOrigin<T> {
        let Self { url, source, title, file_name, lower, snake, name } = self;
        let [url, source, title, file_name, lower, snake, name] =
            [url, source, title, file_name, lower, snake, name].map(|value| value.and_then(&read));
        DocumentOrigin { url, source, title, file_name, lower, snake, name }
    }
}

fn sources(documents: &AnswerValue<'_>) -> Vec<SourceLink> {
    let mut sources = Vec::new();
    let mut add = |origin: DocumentOrigin<String>| {
        if let Some(source) = source(origin)
            && sources.len() < MOST_SOURCES
            && !sources.contains(&source)
        {
            sources.push(source);
        }
    };
    match documents {
        AnswerValue::Text(_) => {}
        AnswerValue::Value(documents) => {
            let text = |value| if let Value::String(text) = value { Some(text) } else { None };
            for document in documents.as_array().into_iter().flatten() {
                if let Ok(SourceDocument { metadata }) = SourceDocument::<Value>::deserialize(document) {
                    add(metadata.map(text));
                }
            }
        }
        AnswerValue::Raw(documents) => {
            let documents: Vec<&RawValue> = serde_json::from_str(documents.get()).unwrap_or_default();
            for document in documents {
                if let Ok(SourceDocument { metadata }) =
                    serde_json::from_str::<SourceDocument<&RawValue>>(document.get())
                {
                    add(metadata.map(|value| read_str(value.get()).ok()));
                }
            }
        }
    }
    sources
}

/// Never a path on the server: of one, the file's name.
fn source(origin: DocumentOrigin<String>) -> Option<SourceLink> {
    let is_url = |text: &String| text.starts_with("https://") || text.starts_with("http://");
    let DocumentOrigin { url, source, title, file_name, lower, snake, name } =
        origin.map(|text| Some(text).filter(|text| !text.is_empty()));
    let url = url.into_iter().chain(source.clone()).find(is_url);
    let named = [title, file_name, lower, snake, name, source].into_iter().flatten().next();
    let title = named.or_else(|| url.clone())?;
    let title = if is_url(&title) { &*title } else { title.rsplit(['/', '\\']).next().unwrap_or(&title) };
    let bounded = |text: &str| text.chars().take(LONGEST_TEXT).collect();
    Some(SourceLink { title: bounded(title), url: url.as_deref().map(bounded) })
}
