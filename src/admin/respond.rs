//! Answers of the admin listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::unprintable::escaped;

pub(super) type AdminAnswer = Response<AdminBody>;

/// A whole answer, or one that goes on.
pub(super) enum AdminBody {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
}

impl Body for AdminBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Whole(body) => body.take(),
            Self::Pieces(pieces) => ready!(pieces.poll_recv(cx)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> AdminAnswer {
    let body = Some(body.into()).filter(|body| !body.is_empty());
    let mut response = with_body(status, AdminBody::Whole(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer that is on its way.
pub(super) fn pieces(status: StatusCode, pieces: mpsc::Receiver<Bytes>) -> AdminAnswer {
    with_body(status, AdminBody::Pieces(pieces))
}

fn with_body(status: StatusCode, body: AdminBody) -> AdminAnswer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // What is shown here is for who asked, now, and for no page of another origin.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> AdminAnswer {
    respond(status, TEXT, text)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> AdminAnswer {
    // Values of this project's own types always serialise.
    respond(status, "application/json", escaped(serde_json::to_string(value).unwrap_or_default()))
}

/// A no, as JSON under `/api` and for people elsewhere.
pub(super) fn no(path: &str, status: StatusCode, message: &str) -> AdminAnswer {
    if path.starts_with("/api/") {
        json(status, &serde_json::json!({ "error": message }))
    } else {
        text(status, format!("{message}\n"))
    }
}

pub(super) fn not_allowed(path: &str, allow: &'static str) -> AdminAnswer {
    let mut response = no(path, StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// `for_browser`: somebody opens the page, and is asked for the token by the browser itself.
pub(super) fn unauthorized(path: &str, for_browser: bool) -> AdminAnswer {
    let mut response = no(path, StatusCode::UNAUTHORIZED, "the admin token is needed: Authorization: Bearer");
    let headers = response.headers_mut();
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"flowgate admin\""));
    if for_browser {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"flowgate admin\", charset=\"UTF-8\""));
    }
    response
}
