//! Gives the gateway's shape to what hyper answers by itself.
//!
//! A head that is no HTTP, or too long, never becomes a request: hyper writes a bare status line and closes. Here
//! that line is seen on its way to the socket and replaced by the same refusal in the one shape of all errors.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use jiff::Timestamp;

use crate::config::LogFormat;
use crate::predict::chat_id;
use crate::snapshot::SharedSnapshot;
use crate::stack::helps;
use crate::state::recent::{RecentState, RefusalEntry};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::wire::body::Body;
use crate::wire::refusal::{Refusal, Rule};

/// Longer than any head that hyper writes by itself.
const LONGEST: usize = 256;

/// Where whoever runs the gateway finds such a head: its answer has an id, too.
pub(super) struct MalformedHeads {
    pub(super) log: AccessLog,
    pub(super) recent: Arc<RecentState>,
    pub(super) snapshots: SharedSnapshot,
}

impl MalformedHeads {
    /// What to write instead of `piece`, if that is hyper's own refusal.
    pub(super) fn replacement(&self, piece: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        let refusal = refused(piece)?;
        let id = chat_id::random().unwrap_or_default().replace('-', "");
        let text = write_out(&refusal, &id);
        self.note(&refusal, &id, &peer.ip().to_canonical().to_string());
        Some(text)
    }

    /// A line as of any request, as far as there was one, and its place among the refusals.
    fn note(&self, refusal: &Refusal, id: &str, client: &str) {
        let snapshot = self.snapshots.load();
        let log = &snapshot.config.log;
        let (status, code) = (refusal.status().as_u16(), refusal.code().name());
        let rule = refusal.rule().map_or("-", Rule::name);
        if log.access {
            self.log.line(|line| {
                // Writing to a Vec cannot fail.
                let _ = match log.format {
                    LogFormat::Json => {
                        line.extend_from_slice(br#"{"timestamp":""#);
                        self.log.timestamp(line);
                        writeln!(
                            line,
                            r#"","level":"INFO","message":"request","request_id":"{id}","client":"{client}","method":"-","path":"-","protocol":"-","route":"other","chatflow":"-","key":"-","status":{status},"bytes":0,"duration_ms":0.000,"code":"{code}","rule":"{rule}","end":"complete"}}"#
                        )
                    }
                    LogFormat::Text => {
                        self.log.timestamp(line);
                        writeln!(line, " INFO request {id} - - {status} client={client} code={code} rule={rule}")
                    }
                };
            });
        }
        let setting = matches!(refusal, Refusal::HeadersTooLarge(_)).then_some("server.max_header_bytes");
        self.recent.refusals.push(RefusalEntry {
            time: format!("{:.3}", Timestamp::now()),
            request_id: id.into(),
            status,
            code,
            rule: refusal.rule().map(Rule::name),
            method: "-".into(),
            path: "-".into(),
            address: client.into(),
            message: refusal.message().into(),
            setting: setting.map(Into::into),
            place: setting.and_then(|setting| snapshot.config.place(setting)).map(Into::into),
            helps: helps(refusal),
            ..RefusalEntry::default()
        });
    }
}

/// What a piece says, if it is hyper's own refusal: a whole head without body and without the `X-Request-Id` that every
/// answer of the stack has.
fn refused(piece: &[u8]) -> Option<Refusal> {
    let code = piece.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    if piece.len() > LONGEST || !piece.ends_with(b"\r\n\r\n") || memchr::memmem::find(piece, b"x-request-id").is_some()
    {
        return None;
    }
    Some(match code {
        b"31" | b"14" => Refusal::HeadersTooLarge(
            "The request's headers are too large (server.max_header_bytes), or too many (at most 100).".into(),
        ),
        _ => Rule::Malformed.refuse("The request is not valid HTTP."),
    })
}

/// Counts a head that never became a request.
pub(super) fn count(error: &hyper::Error, metrics: &Metrics) {
    let rule = if error.is_parse_too_large() { Rule::HeadSize } else { Rule::Malformed };
    metrics.rejected.with_label_values(&[rule.name()]).inc();
    metrics.requests.with_label_values(&["other", "-", "-", rule.code().status().as_str()]).inc();
}

fn write_out(refusal: &Refusal, id: &str) -> Vec<u8> {
    let id = HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"));
    let response = refusal.response(&id, false);
    let status = response.status();
    let mut text =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default()).into_bytes();
    for (name, value) in response.headers() {
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend_from_slice(&[b"x-request-id: ", id.as_bytes(), b"\r\n"].concat());
    let Body::Full(body) = response.into_body() else { return text };
    let length = body.len();
    text.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    text.extend_from_slice(&body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_refusals_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let text = String::from_utf8(write_out(&refused(bare).unwrap(), "an-id")).unwrap();
        assert!(text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{text}");
        assert!(text.contains("\"code\":\"headers_too_large\"") && text.contains("x-request-id: an-id"), "{text}");
        let ours = b"HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert!(refused(ours).is_none());
        assert!(refused(b"HTTP/1.1 200 OK\r\n\r\n").is_none());
        assert!(refused(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}").is_none());
    }
}
