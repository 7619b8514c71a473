//! Pages and APIs of the web whose addresses are found out while a flow runs: asked one after the other, guarded, and
//! never for more than so many bytes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
    REFERER, USER_AGENT,
};
use http::{Method, StatusCode};
use url::{Origin, Url};

use super::{Incoming, ProviderCall, ProviderEndpoint, Targets};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;

const MOST_REDIRECTS: usize = 5;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct WebReader {
    targets: Arc<Targets>,
    /// The server that whoever runs the gateway chose, wherever it is.
    chosen: Option<Origin>,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebRequest {
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct WebAnswer {
    pub(crate) status: StatusCode,
    /// Empty: none is said.
    pub(crate) media_type: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl WebAnswer {
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
    }
}

/// An address of the web.
///
/// # Errors
/// It is none.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    let problem = || "expected a URL such as https://example.com/page".to_owned();
    let url = Url::parse(text.trim()).map_err(|_| problem())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_web && url.username().is_empty() && url.password().is_none() { Ok(url) } else { Err(problem()) }
}

/// Whether a field may go to another server than the one that was asked, where that one leads there: it says what is
/// wanted, and not by whom. All others may hold a key, under whatever name.
pub(crate) fn is_harmless(name: &HeaderName) -> bool {
    [ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, RANGE, REFERER, USER_AGENT].contains(name)
}

impl WebReader {
    pub(crate) fn new(targets: &Arc<Targets>) -> Self {
        Self { targets: Arc::clone(targets), chosen: None }
    }

    /// One that asks a server of the operator's own, beside what others may ask.
    pub(crate) fn of_operator(targets: &Arc<Targets>, address: &str) -> Self {
        let chosen = web_address(address).ok().map(|url| url.origin());
        Self { chosen, ..Self::new(targets) }
    }

    /// The host, if it is plain that it may not be asked.
    pub(crate) fn denied(&self, url: &Url) -> Option<String> {
        self.endpoint(url).ok()?.denied().map(str::to_owned)
    }

    fn endpoint(&self, url: &Url) -> Result<ProviderEndpoint, String> {
        let origin = origin_of(url);
        if self.chosen == Some(url.origin()) {
            return self.targets.endpoint(&origin, None);
        }
        self.targets.visited(&origin)
    }

    /// Follows redirections, as browsers do; what the request says of its sender goes to no other server.
    pub(crate) async fn ask(
        &self,
        url: &Url,
        request: WebRequest,
        most: usize,
        run: &Run<'_>,
    ) -> Result<WebAnswer, Failure> {
        let WebRequest { mut method, mut headers, mut body } = request;
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            run.give_way().await;
            run.budget().step()?;
            let endpoint = self.endpoint(&url).map_err(Failure::flow)?;
            let path = path_of(&url);
            let call = ProviderCall { method: method.clone(), path: &path, headers: &headers, body: body.clone() };
            let answer = endpoint.call_api(call, run).await?;
            let status = answer.status;
            let location = answer.headers.get(LOCATION).filter(|_| status.is_redirection());
            let next = location.and_then(|location| url.join(location.to_str().ok()?).ok());
            if let Some(next) = next {
                if web_address(next.as_str()).is_err() {
                    return Err(Failure::flow("it was redirected to what is no page of the web"));
                }
                if next.origin() != url.origin() {
                    headers.retain(|(name, value)| !value.is_sensitive() && is_harmless(name));
                }
                let turns =
                    matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND) && method == Method::POST;
                if status == StatusCode::SEE_OTHER || turns {
                    method = Method::GET;
                    body = Bytes::new();
                    headers.retain(|(name, _)| *name != CONTENT_TYPE);
                }
                url = next;
                continue;
            }
            let media_type = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
            let headers = answer.headers.clone();
            let body = Incoming::new(answer).beginning(most + 1).await?;
            if body.len() > most {
                return Err(Failure::flow(format!("the answer is longer than {} MiB", most >> 20)));
            }
            let body = run.watch.redactor.without_keys(body);
            return Ok(WebAnswer { status, media_type, headers, body });
        }
        Err(Failure::flow("Too many redirects"))
    }
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Path and query.
fn path_of(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_web_are_read() {
        let url = web_address(" https://Example.com/a b?c=d#e ").unwrap();
        assert_eq!((origin_of(&url).as_str(), path_of(&url).as_str()), ("https://example.com", "/a%20b?c=d"));
        for text in ["", "example.com", "ftp://a/b", "file:///etc/passwd", "http://a:b@c/", "javascript:x", "http://"] {
            assert!(web_address(text).is_err(), "{text}");
        }
    }
}
