//! How each provider is asked, and how it answers.

use serde_json::{Map, Value, json};

use super::super::in_one_line;
use crate::engine::compile::inputs::Inputs;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmbeddingDialect {
    Cohere,
    Google,
    HuggingFace,
    Jina,
    Mistral,
    Together,
    Voyage,
}

/// What texts are embedded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Passages,
    Question,
}

/// What Google may take a text for.
const TASKS: &[&str] =
    &["RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION", "CLUSTERING"];

impl EmbeddingDialect {
    /// What stands before every path.
    pub(super) fn base(self, address: &str) -> &str {
        match self {
            Self::Mistral => address.trim_end_matches('/').trim_end_matches("/v1"),
            _ => address,
        }
    }

    /// The node's settings; `own`: the address that it names.
    pub(super) fn read(
        self,
        inputs: &mut Inputs<'_, '_, '_>,
        model: &str,
        own: Option<&str>,
    ) -> Option<DialectSettings> {
        let mut fields = Map::new();
        // Mistral's library takes line breaks out unless it is told otherwise, which Flowise cannot.
        let mut one_line = matches!(self, Self::HuggingFace | Self::Jina | Self::Mistral);
        // What Flowise never sends, or its libraries do by themselves.
        inputs.ignore(match self {
            Self::Cohere => &["inputType"],
            Self::Jina => &["allowLateChunking"],
            Self::Mistral => &["stripNewLines"],
            Self::Together => &["cache"],
            Self::Google | Self::HuggingFace | Self::Voyage => &[],
        });
        let path = match self {
            Self::Cohere => "/v1/embed".to_owned(),
            Self::Google => {
                let task = inputs.text("tasktype").unwrap_or_default();
                let task = TASKS.iter().find(|known| **known == task).unwrap_or(&"TASK_TYPE_UNSPECIFIED");
                fields.insert("taskType".to_owned(), (*task).into());
                one_line = inputs.flag("stripNewLines").unwrap_or(false);
                format!("/v1beta/models/{}", model.trim_start_matches("models/"))
            }
            // An endpoint serves one model, at the address itself.
            Self::HuggingFace if own.is_some() => String::new(),
            Self::HuggingFace => format!("/hf-inference/models/{model}/pipeline/feature-extraction"),
            Self::Jina => {
                let dimensions = inputs.integer("modelDimensions").filter(|dimensions| *dimensions > 0);
                fields.insert("dimensions".to_owned(), dimensions.unwrap_or(1024).into());
                "/v1/embeddings".to_owned()
            }
            Self::Mistral | Self::Together => "/v1/embeddings".to_owned(),
            // Its address is whole.
            Self::Voyage => String::new(),
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
        if matches!(self, Self::Google | Self::HuggingFace) && (!model.chars().all(fits) || model.contains("..")) {
            inputs.refuse("modelName", "it cannot stand in an address");
            return None;
        }
        let has_path = own.is_none_or(|own| own.trim_end_matches('/').matches('/').count() > 2);
        let path = if path.is_empty() && !has_path { "/".to_owned() } else { path };
        Some(DialectSettings { dialect: self, model: model.to_owned(), path, fields, one_line })
    }
}

/// A node's settings in its provider's dialect.
#[derive(Debug)]
pub(super) struct DialectSettings {
    dialect: EmbeddingDialect,
    model: String,
    path: String,
    /// Beside the texts.
    fields: Map<String, Value>,
    /// Line breaks become spaces.
    one_line: bool,
}

impl DialectSettings {
    /// Path and body.
    pub(super) fn request(&self, texts: &[String], purpose: Purpose) -> (String, Value) {
        let texts: Vec<String> =
            texts.iter().map(|text| if self.one_line { in_one_line(text) } else { text.clone() }).collect();
        let is_question = purpose == Purpose::Question;
        // A question goes as a text by itself, where a provider takes one.
        let input = match texts.as_slice() {
            [one] if is_question || self.dialect == EmbeddingDialect::Together => Value::from(one.as_str()),
            all => all.into(),
        };
        let (path, model) = (self.path.clone(), self.model.as_str());
        match self.dialect {
            EmbeddingDialect::Cohere => {
                let purpose = if is_question { "search_query" } else { "search_document" };
                let body =
                    json!({ "model": model, "texts": texts, "input_type": purpose, "embedding_types": ["float"] });
                (path, body)
            }
            EmbeddingDialect::Google => self.of_google(&texts, is_question),
            EmbeddingDialect::HuggingFace => (path, json!({ "inputs": texts })),
            EmbeddingDialect::Jina => {
                let task = if is_question { "retrieval.query" } else { "retrieval.passage" };
                let mut body = json!({ "model": model, "input": texts, "task": task, "normalized": true });
                if let Some(body) = body.as_object_mut() {
                    body.extend(self.fields.clone());
                }
                (path, body)
            }
            EmbeddingDialect::Mistral => (path, json!({ "model": model, "input": input, "encoding_format": "float" })),
            EmbeddingDialect::Together | EmbeddingDialect::Voyage => (path, json!({ "model": model, "input": input })),
        }
    }

    fn of_google(&self, texts: &[String], is_question: bool) -> (String, Value) {
        let content = |text: &String| {
            let mut fields = self.fields.clone();
            fields.insert("content".to_owned(), json!({ "role": "user", "parts": [{ "text": text }] }));
            fields
        };
        if let ([one], true) = (texts, is_question) {
            return (format!("{}:embedContent", self.path), content(one).into());
        }
        let name = format!("models/{}", self.model.trim_start_matches("models/"));
        let request = |text: &String| {
            let mut fields = content(text);
            fields.insert("model".to_owned(), name.as_str().into());
            Value::Object(fields)
        };
        let requests: Vec<Value> = texts.iter().map(request).collect();
        (format!("{}:batchEmbedContents", self.path), json!({ "requests": requests }))
    }

    /// What an answer holds, in the order of the texts.
    pub(super) fn vectors(&self, answer: Value) -> Option<Vec<Vec<f32>>> {
        let each = |list: &Value, field: &str| -> Option<Value> {
            Some(list.as_array()?.iter().map(|item| item.get(field).cloned().unwrap_or_default()).collect())
        };
        let listed = match self.dialect {
            EmbeddingDialect::Cohere => {
                let embeddings = answer.get("embeddings")?;
                embeddings.get("float").unwrap_or(embeddings).clone()
            }
            EmbeddingDialect::Google => match answer.get("embedding") {
                Some(one) => json!([one.get("values")?]),
                None => each(answer.get("embeddings")?, "values")?,
            },
            EmbeddingDialect::HuggingFace => answer,
            _ => each(answer.get("data")?, "embedding")?,
        };
        serde_json::from_value(listed).ok()
    }
}
