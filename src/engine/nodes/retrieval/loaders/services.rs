//! Documents that services keep or make, by their HTTP interfaces.

mod airtable;
mod api;
mod gitbook;
mod github;
mod spider;
mod unstructured;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::{LoaderInput, RemoteDocuments, loader};
use crate::config::Secret;
use crate::engine::compile::kind::NodeKind;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebAnswer, WebReader, WebRequest};
use crate::wire::json;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &airtable::Airtable,
    &api::ApiLoader,
    &gitbook::Gitbook,
    &github::Github,
    &spider::Spider,
    &unstructured::Unstructured,
];

/// Bytes of one answer, and of all that one loader asks for.
const LONGEST: usize = 16 << 20;
const MOST_BYTES: usize = 64 << 20;

/// Bytes that a loader may still read.
#[derive(Debug)]
struct FetchRoom(usize);

impl FetchRoom {
    fn new() -> Self {
        Self(MOST_BYTES)
    }

    /// An answer that is a success.
    async fn ask(
        &mut self,
        reader: &WebReader,
        url: &Url,
        request: WebRequest,
        run: &Run<'_>,
    ) -> Result<WebAnswer, Failure> {
        let answer = reader.ask(url, request, LONGEST.min(self.0), run).await?;
        self.0 = self.0.saturating_sub(answer.body.len());
        if answer.status.is_success() {
            return Ok(answer);
        }
        let told: String = answer.text().chars().take(500).collect();
        Err(Failure::flow(format!("{url} answered {}: {told}", answer.status.as_u16())))
    }

    async fn json(
        &mut self,
        reader: &WebReader,
        url: &Url,
        request: WebRequest,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let answer = self.ask(reader, url, request, run).await?;
        run.budget().has_room(answer.body.len())?;
        json::read(&answer.body).map_err(|_| Failure::flow(format!("{url} answered with what is no JSON")))
    }
}

/// A header that nobody is told.
fn secret_header(name: HeaderName, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

fn bearer(token: &Secret) -> Option<(HeaderName, HeaderValue)> {
    secret_header(AUTHORIZATION, &format!("Bearer {}", token.expose()))
}

/// A request with a body of JSON.
fn posted(body: &Value) -> WebRequest {
    let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    WebRequest { method: Method::POST, headers, body: Bytes::from(body.to_string()) }
}

fn document<const N: usize>(text: String, metadata: [(&str, Value); N]) -> Document {
    let metadata: Map<String, Value> = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Document { text, metadata }
}

#[cfg(test)]
mod tests;
