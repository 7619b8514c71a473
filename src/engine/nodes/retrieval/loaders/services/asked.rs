//! What is asked of services, and how much.

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
pub(super) use crate::engine::nodes::retrieval::loaders::{LoaderInput, RemoteDocuments, loader};
use crate::engine::provider::web::{WebAnswer, WebReader, WebRequest};
use crate::engine::text::size;
use crate::wire::json;

/// Bytes of one answer, and of all that one loader asks for.
const LONGEST: usize = 16 << 20;
const MOST_BYTES: usize = 64 << 20;
/// The same of loaders of files.
const LONGEST_FILE: usize = 64 << 20;
const MOST_FILES: usize = 128 << 20;
/// Bytes of texts that are written anew of answers.
const MOST_SPREAD: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// Bytes that a loader may still read.
#[derive(Debug)]
pub(super) struct FetchBudget {
    longest: usize,
    left: usize,
    /// Bytes of texts that may still be written.
    texts: usize,
}

impl FetchBudget {
    pub(super) fn new() -> Self {
        Self { longest: LONGEST, left: MOST_BYTES, texts: MOST_SPREAD }
    }

    pub(super) fn of_files() -> Self {
        Self { longest: LONGEST_FILE, left: MOST_FILES, texts: MOST_SPREAD }
    }

    /// An answer that is a success.
    pub(super) async fn ask(
        &mut self,
        reader: &WebReader,
        url: &Url,
        request: WebRequest,
        run: &Run<'_>,
    ) -> Result<WebAnswer, Failure> {
        let answer = reader.ask(url, request, self.longest.min(self.left), run).await?;
        self.left = self.left.saturating_sub(answer.body.len());
        if answer.status.is_success() {
            return Ok(answer);
        }
        let told: String = answer.text().chars().take(500).collect();
        Err(Failure::flow(format!("{} answered {}: {told}", place(url), answer.status.as_u16())))
    }

    pub(super) async fn json(
        &mut self,
        reader: &WebReader,
        url: &Url,
        request: WebRequest,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let answer = self.ask(reader, url, request, run).await?;
        run.budget().has_room(answer.body.len())?;
        json::read_answer(&answer.body)
            .map_err(|_| Failure::flow(format!("{} answered with what is no JSON", place(url))))
    }

    /// What a service told, as a text over lines.
    pub(super) fn spread(&mut self, value: &Value) -> Result<String, Failure> {
        let most = MOST_SPREAD >> 20;
        let too_long = || Failure::flow(format!("what was answered is longer than {most} MiB as a text"));
        let text = size::spread(value, self.texts).ok_or_else(too_long)?;
        self.texts = self.texts.saturating_sub(text.len());
        Ok(text)
    }
}

/// Without its query, in which some services want their key.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Where a service is; tests have theirs on the loopback.
#[cfg_attr(not(test), expect(unused_variables, reason = "for tests"))]
pub(super) fn service(inputs: &mut Inputs<'_, '_, '_>, address: &str) -> String {
    #[cfg(test)]
    if let (Some(here), Ok(url)) = (inputs.text("__service"), Url::parse(address)) {
        return address.replacen(&url.origin().ascii_serialization(), &here, 1);
    }
    address.to_owned()
}

/// A header that nobody is told.
pub(super) fn secret_header(name: HeaderName, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

pub(super) fn bearer(token: &Secret) -> Option<(HeaderName, HeaderValue)> {
    secret_header(AUTHORIZATION, &format!("Bearer {}", token.expose()))
}

/// A request with a body of JSON.
pub(super) fn posted(body: &Value) -> WebRequest {
    let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    WebRequest { method: Method::POST, headers, body: Bytes::from(body.to_string()) }
}

pub(super) fn document<const N: usize>(text: String, metadata: [(&str, Value); N]) -> Document {
    let metadata: Map<String, Value> = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Document { text, metadata }
}
