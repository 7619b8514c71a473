//! What a provider answers.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{EventFrames, Lines, PATIENCE};
use crate::client::{self, ResponseBody};
use crate::engine::contract::failure::Failure;
use crate::wire::json;

/// A provider's answer that is read whole.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// An answer that is here.
#[derive(Debug)]
pub(crate) struct ProviderResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A provider's answer on its way.
pub(crate) struct Incoming {
    pub(super) body: ResponseBody,
    /// What was sent for it.
    pub(super) secrets: Vec<HeaderValue>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl Incoming {
    pub(crate) fn new(response: client::Response) -> Self {
        Self { body: response.body, secrets: Vec::new() }
    }

    /// What was sent for it and must not be told, should it be repeated.
    pub(crate) fn secrets(&self) -> &[HeaderValue] {
        &self.secrets
    }

    pub(crate) async fn whole(mut self) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > LONGEST_ANSWER {
                return Err(too_long());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// As much of it as is wanted, and perhaps a little more.
    pub(crate) async fn beginning(mut self, bytes: usize) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        while whole.len() < bytes {
            let Some(piece) = self.piece().await? else { break };
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    pub(crate) async fn json(self) -> Result<serde_json::Value, Failure> {
        let body = self.whole().await?;
        json::read_answer(&body).map_err(|_| unreadable(&body))
    }

    /// Its lines, as they come.
    pub(crate) fn lines(self) -> Lines {
        Lines::new(self)
    }

    /// Its messages, as they come, where it is an event stream of AWS.
    pub(crate) fn frames(self) -> EventFrames {
        EventFrames::new(self)
    }

    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        // Most pieces come together with others; time is kept for those that do not.
        let next = match poll_fn(|cx| Poll::Ready(self.body.poll_data(cx))).await {
            Poll::Ready(next) => next,
            Poll::Pending => {
                let next = tokio::time::timeout(PATIENCE, poll_fn(|cx| self.body.poll_data(cx))).await;
                next.map_err(|_| Failure::Timeout)?
            }
        };
        next.transpose().map_err(|_| Failure::Unreachable("The provider broke off.".to_owned()))
    }
}

pub(super) fn too_long() -> Failure {
    Failure::Unreachable("The provider's answer is too long.".to_owned())
}

/// A success that is none of an API, by how it begins: most often there is another server at the base path.
pub(crate) fn unreadable(answer: &[u8]) -> Failure {
    let words = match answer.trim_ascii_start() {
        [] => "The provider's answer is empty: is its base path right?",
        [b'<', ..] => "The provider answered with a web page: is its base path right?",
        [0x1f, 0x8b, ..] => "The provider's answer is compressed, which it was not asked for.",
        _ => "The provider's answer cannot be read: is its base path right?",
    };
    Failure::Unreachable(words.to_owned())
}

/// What a provider says is wrong, in the shapes that providers use.
pub(super) fn words_of(body: &[u8]) -> String {
    // Google's streams answer in lists.
    let mut json: serde_json::Value = json::read_answer(body).unwrap_or_default();
    if let Some(first) = json.get_mut(0) {
        json = first.take();
    }
    let error = json.get("error").unwrap_or(&json);
    let words = error.as_str().or_else(|| error.get("message")?.as_str()).or_else(|| json.get("message")?.as_str());
    let words = words.or_else(|| json.pointer("/errors/0/message")?.as_str());
    words.unwrap_or("status code (no body)").to_owned()
}

/// An error that comes in the place of a stream's next piece, with the status that it stands for.
pub(crate) fn failure_in_stream(error: &serde_json::Value) -> Failure {
    let kind = error.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
    let said = ["status", "code"].iter().find_map(|name| error.get(name)?.as_u64());
    let status = said.and_then(|status| u16::try_from(status).ok()).unwrap_or(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    });
    Failure::Provider { status, message: words_of(error.to_string().as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_words_are_found() {
        assert_eq!(words_of(br#"{"error":{"message":"no such model"}}"#), "no such model");
        assert_eq!(words_of(br#"{"error":"model not found"}"#), "model not found");
        assert_eq!(words_of(br#"[{"error":{"message":"no such key","code":400}}]"#), "no such key");
        assert_eq!(words_of(br#"{"errors":[{"code":"no","message":"no such model"}]}"#), "no such model");
        assert_eq!(words_of(b"<html>"), "status code (no body)");
    }

    #[test]
    fn what_is_no_answer_is_told_by_its_beginning() {
        for (answer, told) in [
            (b"\r\n".as_slice(), "is empty"),
            (b"\n<!doctype html>", "a web page"),
            (b"\x1f\x8b\x08", "is compressed"),
            (b"null", "cannot be read: is its base path right?"),
        ] {
            assert!(unreadable(answer).to_string().contains(told), "{told}");
        }
    }

    #[test]
    fn errors_in_streams_have_a_status() {
        for (error, sentence) in [
            (serde_json::json!({ "type": "overloaded_error", "message": "Overloaded" }), "529 Overloaded"),
            (serde_json::json!({ "code": 429, "message": "Slowly" }), "429 Slowly"),
            (serde_json::json!("broken"), "500 broken"),
        ] {
            assert_eq!(failure_in_stream(&error).to_string(), sentence);
        }
    }
}
