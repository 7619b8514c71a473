//! A request to an address of the flow's author, and its answer.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::address::Address;
use crate::engine::provider::{Incoming, ProviderCall};
use crate::engine::text::mustache::Mustache;

/// Of an answer, in bytes.
const LONGEST: usize = 256 * 1024;
const MOST_REDIRECTS: usize = 5;

/// What is sent, but for what the model adds.
#[derive(Debug)]
pub(crate) struct HttpToolRequest {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: Vec<(HeaderName, Mustache)>,
}

/// What came back, or its beginning.
#[derive(Debug)]
pub(crate) struct HttpToolResponse {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl HttpToolRequest {
    /// `path` with its query, as they go over the wire; `kind` is the body's type where the author sets no other.
    pub(crate) async fn sent(
        &self,
        mut path: String,
        kind: Option<&'static str>,
        mut body: Vec<u8>,
        run: &Run<'_>,
    ) -> Result<HttpToolResponse, Failure> {
        let mut method = self.method.clone();
        let headers = self.head(kind, run)?;
        for _ in 0..=MOST_REDIRECTS {
            let call =
                ProviderCall { method: method.clone(), path: &path, headers: &headers, body: body.clone().into() };
            let answer = self.address.endpoint.call_api(call, run).await?;
            let status = answer.status;
            let location = answer.headers.get(LOCATION).filter(|_| status.is_redirection());
            if let Some(location) = location.and_then(|location| location.to_str().ok()) {
                path = self.address.redirected(location).map_err(Failure::flow)?;
                // As fetch does.
                let was_done =
                    method == Method::POST && matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND);
                if status == StatusCode::SEE_OTHER || was_done {
                    method = Method::GET;
                    body.clear();
                }
                continue;
            }
            let mut bytes = Incoming::new(answer).beginning(LONGEST).await?;
            bytes.truncate(LONGEST);
            let text = String::from_utf8_lossy(&run.watch.redactor.without_keys(bytes)).into_owned();
            return Ok(HttpToolResponse { status, text });
        }
        Err(Failure::flow("Too many redirects"))
    }

    fn head(&self, kind: Option<&'static str>, run: &Run<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        if let Some(kind) = kind.filter(|_| !self.headers.iter().any(|(name, _)| *name == CONTENT_TYPE)) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static(kind)));
        }
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.header(name, run).map_err(Failure::flow)?));
        }
        Ok(headers)
    }
}
