//! Which request a proxy asks about.
//!
//! Proxies say it in one of three ways, and hand on whatever their own client has sent beside it. A client that writes the
//! headers of another kind of proxy must not choose what is decided: what is said in two ways is refused, and so is what
//! is said twice, or by half.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};

use crate::wire::refusal::{Refusal, Rule};

/// Where proxies ask.
const PATH: &str = "/authorize";
/// Bytes of an address that is asked about; a proxy's own bound is far below.
const LONGEST: usize = 16 * 1024;

/// nginx's `auth_request` sets the first two by hand; ingress-nginx sends an address with scheme and host.
const SUBREQUEST: [&str; 3] = ["x-original-method", "x-original-uri", "x-original-url"];
/// Traefik's `ForwardAuth` and Caddy's `forward_auth`.
const FORWARDED: [&str; 2] = ["x-forwarded-method", "x-forwarded-uri"];

/// What came of reading it.
pub(crate) struct Original {
    is_subrequest: bool,
    fault: Option<Box<Refusal>>,
}

impl Original {
    /// Puts method and address of the request that is asked about into the head.
    pub(crate) fn read(head: &mut Parts) -> Self {
        let is_subrequest = is_said(&head.headers, &SUBREQUEST);
        let fault = match asked(head) {
            Ok((method, target)) => {
                head.method = method;
                head.uri = Uri::from(target);
                None
            }
            Err(refusal) => Some(Box::new(refusal)),
        };
        Self { is_subrequest, fault }
    }

    /// Whether it is known which request is meant.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.fault.as_deref().map_or(Ok(()), |refusal| Err(refusal.clone()))
    }

    /// nginx asks, which keeps the body of no answer.
    pub(crate) fn is_subrequest(&self) -> bool {
        self.is_subrequest
    }
}

fn asked(head: &Parts) -> Result<(Method, PathAndQuery), Refusal> {
    let below = head.uri.path().strip_prefix(PATH).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let below = below.ok_or(Refusal::NotFound)?;
    let headers = &head.headers;
    match (!below.is_empty(), is_said(headers, &SUBREQUEST), is_said(headers, &FORWARDED)) {
        (true, false, false) => {
            let whole = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
            Ok((head.method.clone(), target(whole.strip_prefix(PATH).unwrap_or_default())?))
        }
        (false, true, false) => Ok((method(headers, "x-original-method")?, of_subrequest(headers)?)),
        (false, false, true) => {
            let uri = only(headers, "x-forwarded-uri")?.ok_or_else(|| missing("X-Forwarded-Uri"))?;
            Ok((method(headers, "x-forwarded-method")?, target(uri)?))
        }
        (false, false, false) => Err(refuse(
            "It is not said which request this is about: X-Original-Method and X-Original-URI, X-Forwarded-Method and \
             X-Forwarded-Uri, or the path below /authorize/.",
        )),
        _ => Err(refuse(
            "It is said in two ways which request this is about: the proxy must take the headers of other proxies out of \
             what its client sends.",
        )),
    }
}

/// `X-Original-URI`, or the path in `X-Original-URL`; both if they agree.
fn of_subrequest(headers: &HeaderMap) -> Result<PathAndQuery, Refusal> {
    let uri = only(headers, "x-original-uri")?.map(target).transpose()?;
    let url = only(headers, "x-original-url")?.map(|url| {
        let host = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        host.and_then(|(_, rest)| Some(rest.split_at(rest.find('/')?).1)).map_or_else(|| Err(unclear()), target)
    });
    match (uri, url.transpose()?) {
        (Some(uri), Some(url)) if uri != url => Err(refuse("X-Original-URI and X-Original-URL disagree.")),
        (Some(target), _) | (None, Some(target)) => Ok(target),
        (None, None) => Err(missing("X-Original-URI")),
    }
}

/// Path and query as a client has sent them. What two programs may read differently is not looked at.
fn target(text: &str) -> Result<PathAndQuery, Refusal> {
    let is_plain = text.starts_with('/') && text.len() <= LONGEST && !text.contains('#');
    let read = is_plain.then(|| PathAndQuery::try_from(text).ok()).flatten();
    // What the reader leaves out would be decided about without being seen.
    read.filter(|read| read.as_str() == text).ok_or_else(unclear)
}

fn method(headers: &HeaderMap, name: &'static str) -> Result<Method, Refusal> {
    let method = only(headers, name)?.ok_or_else(|| missing(name))?;
    Method::from_bytes(method.as_bytes()).map_err(|_| unclear())
}

/// An empty header says nothing: some proxies cannot take one out.
fn is_said(headers: &HeaderMap, names: &[&str]) -> bool {
    names.iter().any(|name| headers.get_all(*name).iter().any(|value| !value.is_empty()))
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() {
        return Err(refuse(format!("The header {name} was sent more than once.")));
    }
    first.map(|value| value.to_str().map_err(|_| unclear())).transpose()
}

fn missing(name: &str) -> Refusal {
    refuse(format!("The proxy must say {name} as well."))
}

fn unclear() -> Refusal {
    refuse("It cannot be read which request this is about.")
}

fn refuse(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Rule::ExtAuthRequest.refuse(sentence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(method: &str, uri: &str, fields: &[(&'static str, &str)]) -> Result<String, u16> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let original = Original::read(&mut head);
        original.check().map_err(|refusal| refusal.status().as_u16())?;
        Ok(format!("{} {}", head.method, head.uri))
    }

    #[test]
    fn each_proxy_is_understood() {
        let post = "POST /api/v1/prediction/support?a=%2e";
        let uri = ("x-original-uri", "/api/v1/prediction/support?a=%2e");
        let url = ("x-original-url", "https://chat.example.com/api/v1/prediction/support?a=%2e");
        let forwarded = [("x-forwarded-method", "POST"), ("x-forwarded-uri", uri.1)];
        let method = ("x-original-method", "POST");
        for fields in [&[method, uri][..], &[method, url], &[method, uri, url], &forwarded] {
            assert_eq!(read("GET", "/authorize", fields), Ok(post.into()), "{fields:?}");
        }
        assert_eq!(read("POST", "/authorize/api/v1/prediction/support?a=%2e", &[]), Ok(post.into()));
        let emptied = [forwarded[0], forwarded[1], ("x-original-uri", "")];
        assert_eq!(read("GET", "/authorize", &emptied), Ok(post.into()));
    }

    #[test]
    fn what_is_said_in_two_ways_or_by_half_is_refused() {
        let (method, uri) = (("x-original-method", "POST"), ("x-original-uri", "/a"));
        let (their_method, their_uri) = (("x-forwarded-method", "POST"), ("x-forwarded-uri", "/a"));
        for fields in [
            &[][..],
            &[method],
            &[uri],
            &[their_method],
            &[their_uri],
            &[method, uri, their_uri],
            &[method, uri, their_method],
            &[their_method, their_uri, uri],
            &[their_method, their_uri, ("x-original-url", "https://a/a")],
            &[method, uri, uri],
            &[method, method, uri],
            &[method, uri, ("x-original-url", "https://a/b")],
            &[method, ("x-original-url", "https://a")],
            &[method, ("x-original-url", "ftp://a/a")],
            &[method, ("x-original-uri", "a")],
            &[method, ("x-original-uri", "https://a/a")],
            &[method, ("x-original-uri", "/a#b")],
            &[("x-original-method", "P OST"), uri],
        ] {
            assert_eq!(read("GET", "/authorize", fields), Err(400), "{fields:?}");
        }
        assert_eq!(read("POST", "/authorize/a", &[uri]), Err(400));
        assert_eq!(read("POST", "/authorize/a", &[their_method]), Err(400));
        for path in ["/", "/authorized", "/Authorize", "/api/v1/prediction/support", "//authorize"] {
            assert_eq!(read("GET", path, &[method, uri]), Err(404), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_decided_about_is_what_was_said(text in "[ -~]{0,40}|/[!-~]{0,40}") {
            if let Ok(target) = target(&text) {
                prop_assert_eq!(target.as_str(), text.as_str());
            }
        }
    }
}
