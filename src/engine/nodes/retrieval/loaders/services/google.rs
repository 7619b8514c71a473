//! What people keep with Google: files of a Drive, and tables.

pub(super) mod drive;
pub(super) mod sheets;

use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use url::Url;

use super::asked::{FetchBudget, bearer};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::nodes::tools::office::oauth::OAuthCredential;
use crate::engine::nodes::tools::office::service::GOOGLE;
use crate::engine::provider::web::{WebAnswer, WebReader, WebRequest, web_address};
use crate::engine::text::variables::text_of;
use crate::wire::json;

/// Who asks Google.
#[derive(Debug)]
struct GoogleReader {
    reader: WebReader,
    credential: OAuthCredential,
}

impl GoogleReader {
    fn read(credential: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let credential = OAuthCredential::read(credential, GOOGLE, inputs)?;
        Some(Self { reader: WebReader::new(&inputs.compiler.context.targets), credential })
    }

    async fn ask(&self, url: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<WebAnswer, Failure> {
        let (url, request) = self.request(url, run).await?;
        room.ask(&self.reader, &url, request, run).await
    }

    async fn json(&self, url: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<Value, Failure> {
        let (url, request) = self.request(url, run).await?;
        room.json(&self.reader, &url, request, run).await
    }

    async fn request(&self, url: &str, run: &Run<'_>) -> Result<(Url, WebRequest), Failure> {
        let url = web_address(url).map_err(Failure::flow)?;
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        headers.extend(bearer(&self.credential.token(run).await?));
        Ok((url, WebRequest { headers, ..WebRequest::default() }))
    }
}

/// What its author chose of several: a list, JSON of one, or one by itself.
fn chosen(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Vec<String> {
    let list = |items: &[Value]| items.iter().map(text_of).filter(|item| !item.is_empty()).collect();
    match inputs.value(input) {
        Some(Value::Array(items)) => list(&items),
        Some(Value::String(text)) if text.trim_start().starts_with('[') => {
            if let Ok(items) = json::read_str::<Vec<Value>>(&text) {
                return list(&items);
            }
            inputs.refuse(input, "expected a list");
            Vec::new()
        }
        Some(Value::String(text)) => vec![text],
        Some(_) => {
            inputs.refuse(input, "expected a list");
            Vec::new()
        }
        None => Vec::new(),
    }
}
