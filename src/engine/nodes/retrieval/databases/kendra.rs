//! AWS Kendra, which reads words.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::database::{CHAT, Database, Hit, NewPassage, Query};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::aws::{self, AwsAccess, AwsHost, AwsRequest};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
/// What is found where nothing is said.
const FOUND: usize = 10;
/// Passages in one request.
const AT_ONCE: usize = 10;

/// The node `kendra`.
pub(super) struct KendraNode {
    /// For tests, the input with an address.
    pub(super) address_input: &'static str,
}

impl NodeKind for KendraNode {
    fn names(&self) -> &'static [&'static str] {
        &["kendra"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let has_most = inputs.has("topK");
        let features =
            DatabaseFeatures { filter: "attributeFilter", chats: true, wordless: true, ..DatabaseFeatures::default() };
        let mut common = node::read(inputs, features)?;
        if !has_most {
            common.options.most = FOUND;
        }
        let region = aws::region(inputs)?;
        let index = inputs.text("indexId").map(|index| index.trim().to_owned());
        if index.is_none() {
            inputs.lacks("indexId");
        }
        let access = AwsAccess::read(inputs, &region);
        let own = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let host = AwsHost::read(inputs, "region", ("kendra", "kendra"), &region, own.as_deref());
        let Some(access) = access else { return Some(node::part(inputs, common, Err(aws::CREDENTIAL))) };
        let database = Kendra { access, host: host?, index: index? };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Kendra {
    access: AwsAccess,
    host: AwsHost,
    index: String,
}

impl Kendra {
    async fn ask(&self, what: &str, body: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let target = HeaderValue::from_str(&format!("AWSKendraFrontendService.{what}"));
        let target = target.map_err(|error| Failure::flow(error.to_string()))?;
        let (headers, body) = (vec![(CONTENT_TYPE, JSON), (TARGET, target)], Bytes::from(body.to_string()));
        let request = AwsRequest { method: Method::POST, path: "/", query: &[], headers, body };
        self.access.send(&self.host, request, run).await?.json().await
    }

    fn question(&self, query: &Query) -> Value {
        let mut body = json!({ "IndexId": self.index, "QueryText": query.text, "PageSize": query.most });
        if let (Some(filter), Value::Object(fields)) = (filter(query), &mut body) {
            fields.insert("AttributeFilter".to_owned(), filter);
        }
        body
    }
}

/// The author's own, and the chat's files.
fn filter(query: &Query) -> Option<Value> {
    let own = query.filter.clone();
    let Some(chat) = &query.chat else { return own };
    let of_chat = json!({ "EqualsTo": { "Key": CHAT, "Value": { "StringValue": chat } } });
    // Flowise adds it to the author's own alternatives, by which files of other chats are found as well.
    Some(own.map_or_else(|| of_chat.clone(), |own| json!({ "AndAllFilters": [own, of_chat] })))
}

fn items(answer: &Value) -> Vec<Value> {
    answer.get("ResultItems").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// White space in one, and no dots of what was left out.
fn cleaned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if !letter.is_whitespace() {
            out.push(letter);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.replace("...", "")
}

fn text<'v>(item: &'v Value, place: &str) -> &'v str {
    item.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// What a question's answer tells of, in the place of a passage.
fn excerpt(item: &Value) -> String {
    let is_answer = text(item, "/AdditionalAttributes/0/Key") == "AnswerText";
    let place =
        if is_answer { "/AdditionalAttributes/0/Value/TextWithHighlightsValue/Text" } else { "/DocumentExcerpt/Text" };
    cleaned(text(item, place))
}

fn hit(item: &Value, title: &str, excerpt: String) -> Hit {
    let mut told = String::new();
    if !title.is_empty() {
        told = format!("Document Title: {title}\n");
    }
    if !excerpt.is_empty() {
        told = format!("{told}Document Excerpt: \n{excerpt}\n");
    }
    let attributes = item.get("DocumentAttributes").and_then(Value::as_array).into_iter().flatten();
    let attributes = attributes.filter_map(|attribute| {
        let value = attribute.get("Value")?;
        let kinds = ["DateValue", "LongValue", "StringListValue", "StringValue"];
        let value = kinds.iter().find_map(|kind| value.get(*kind)).cloned().unwrap_or_else(|| "".into());
        Some((attribute.get("Key")?.as_str()?.to_owned(), value))
    });
    let attributes: Map<String, Value> = attributes.collect();
    let mut metadata = Map::new();
    metadata.extend(item.get("DocumentURI").map(|source| ("source".to_owned(), source.clone())));
    metadata.insert("title".to_owned(), title.into());
    metadata.insert("excerpt".to_owned(), excerpt.into());
    metadata.insert("document_attributes".to_owned(), attributes.into());
    Hit { document: Document { text: told, metadata }, nearness: 0.0, vector: Vec::new() }
}

impl Database for Kendra {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let found = items(&self.ask("Retrieve", self.question(query), run).await?);
            if !found.is_empty() {
                let hit = |item: &Value| hit(item, text(item, "/DocumentTitle"), cleaned(text(item, "/Content")));
                return Ok(found.iter().map(hit).collect());
            }
            let found = items(&self.ask("Query", self.question(query), run).await?);
            Ok(found.iter().map(|item| hit(item, text(item, "/DocumentTitle/Text"), excerpt(item))).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            for some in passages.chunks(AT_ONCE) {
                let document = |NewPassage { id, document: Document { text, metadata }, .. }: &NewPassage| {
                    let named = ["title", "source"].iter().find_map(|name| metadata.get(*name)?.as_str());
                    json!({ "Id": id, "Title": named.unwrap_or("Document"), "ContentType": "PLAIN_TEXT",
                        "Blob": BASE64_STANDARD.encode(text) })
                };
                let body = json!({ "IndexId": self.index, "Documents": some.iter().map(document).collect::<Value>() });
                let answer = self.ask("BatchPutDocument", body, run).await?;
                if answer.get("FailedDocuments").and_then(Value::as_array).is_some_and(|failed| !failed.is_empty()) {
                    return Err(Failure::Refused("Failed to index some documents".to_owned()));
                }
            }
            Ok(())
        })
    }
}
