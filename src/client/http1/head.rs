//! Heads: a request's as bytes, a response's as fields.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::decode::Decoder;
use crate::client::error::Broken;
use crate::client::pool;

/// Fields in a response head.
const MOST_FIELDS: usize = 100;

/// A request's head without `Host` and framing, which depend on where it goes.
pub(crate) struct RequestHead {
    method: Method,
    /// Request line and fields, as they go out.
    text: Vec<u8>,
    /// Bytes of it that do not depend on where it goes.
    fixed: usize,
}

impl RequestHead {
    /// `path` comes in parts. What cannot stand in a request line is encoded, so that whatever somebody else says of a path
    /// is no more than one.
    pub(crate) fn new(method: Method, path: &[&str]) -> Self {
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(method.as_str().as_bytes());
        text.push(b' ');
        for part in path {
            if part.bytes().all(|byte| byte.is_ascii_graphic()) {
                text.extend_from_slice(part.as_bytes());
            } else {
                encode(part, &mut text);
            }
        }
        text.extend_from_slice(b" HTTP/1.1\r\n");
        Self { method, fixed: text.len(), text }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Adds one field. Values come from the type that admits no line break.
    pub(crate) fn field(&mut self, name: &str, value: &HeaderValue) {
        self.put(name, value.as_bytes());
        self.fixed = self.text.len();
    }

    /// Adds fields that are written already, each with its line's end.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        self.text.extend_from_slice(lines);
        self.fixed = self.text.len();
    }

    fn put(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.text.extend_from_slice(part);
        }
    }

    /// The head as it goes out, with what shall go out with it; may be asked for again. `length` is the body's,
    /// `None` when it is not known (chunked).
    pub(in crate::client) fn encode(&mut self, host: &HeaderValue, length: Option<u64>, body: &[u8]) -> &[u8] {
        self.text.truncate(self.fixed);
        self.put("host", host.as_bytes());
        match length {
            // RFC 9110, 8.6: methods that do not anticipate content.
            Some(0) if matches!(self.method, Method::GET | Method::DELETE) => {}
            Some(length) => {
                self.text.extend_from_slice(b"content-length: ");
                self.text.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                self.text.extend_from_slice(b"\r\n");
            }
            None => self.put("transfer-encoding", b"chunked"),
        }
        self.text.extend_from_slice(b"\r\n");
        self.text.extend_from_slice(body);
        &self.text
    }
}

/// With every byte encoded that is no visible letter of ASCII.
fn encode(part: &str, text: &mut Vec<u8>) {
    for byte in part.bytes() {
        if byte.is_ascii_graphic() {
            text.push(byte);
        } else {
            text.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// A response's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// Those that are kept.
    pub(crate) headers: HeaderMap,
    body: Option<Decoder>,
    /// Whether the connection can be used again after the body.
    pub(in crate::client) keeps_alive: bool,
    /// How long it may then rest.
    pub(in crate::client) rest: Duration,
}

impl ResponseHead {
    /// Reads the body; the second call gets an empty one.
    pub(in crate::client) fn take_body(&mut self) -> Decoder {
        self.body.take().unwrap_or_else(|| Decoder::length(0))
    }

    /// Takes a head from the front of what was received; `None` if it is not whole yet. Fields are kept that `keeps`
    /// says yes to and that are not about the connection.
    pub(super) fn parse(received: &mut Bytes, keeps: fn(&HeaderName) -> bool) -> Result<Option<Self>, Broken> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let length = match parser.parse_response_with_uninit_headers(&mut parsed, received, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Broken::Malformed("the head cannot be read")),
        };
        let is_http11 = parsed.version == Some(1);
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Broken::Malformed("the status is no status"))?;
        let mut headers = HeaderMap::with_capacity(12);
        let mut framing = Framing { keeps_alive: is_http11, ..Framing::default() };
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Broken::Malformed("a field name"))?;
            if !framing.take(name.as_str(), field.value)? && keeps(&name) {
                // A slice and no copy: it goes when the head has been passed on.
                let value = HeaderValue::from_maybe_shared(received.slice_ref(field.value))
                    .map_err(|_| Broken::Malformed("a field value"))?;
                headers.append(name, value);
            }
        }
        for name in framing.nominated {
            headers.remove(name);
        }
        received.advance(length);
        let body = match (framing.is_chunked, framing.length) {
            _ if status == StatusCode::NO_CONTENT
                || status == StatusCode::NOT_MODIFIED
                || status.is_informational() =>
            {
                Decoder::length(0)
            }
            // Two programs could read two different bodies out of that.
            (true, Some(_)) => return Err(Broken::Malformed("Content-Length beside Transfer-Encoding")),
            // HTTP/1.0 knows no chunks: nobody can say where that body ends (RFC 9112, section 6.1).
            (true, None) if !is_http11 => return Err(Broken::Malformed("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Decoder::chunked(),
            (false, Some(length)) => Decoder::length(length),
            (false, None) => Decoder::until_close(),
        };
        let rest = framing.rest.unwrap_or(pool::USUAL_REST);
        let keeps_alive = framing.keeps_alive && body.has_an_end() && !rest.is_zero();
        Ok(Some(Self { status, headers, body: Some(body), keeps_alive, rest }))
    }
}

/// What the fields about the connection say.
#[derive(Default)]
struct Framing {
    is_chunked: bool,
    length: Option<u64>,
    keeps_alive: bool,
    rest: Option<Duration>,
    nominated: Vec<String>,
}

impl Framing {
    /// Whether it is one of them.
    fn take(&mut self, name: &str, value: &[u8]) -> Result<bool, Broken> {
        let value = || std::str::from_utf8(value).map_err(|_| Broken::Malformed("a field value"));
        match name {
            "content-length" => {
                let text = value()?;
                let length = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
                let length = length.ok_or(Broken::Malformed("Content-Length"))?;
                if self.length.replace(length).is_some_and(|other| other != length) {
                    return Err(Broken::Malformed("two values of Content-Length"));
                }
            }
            "transfer-encoding" => {
                if self.is_chunked || !value()?.trim().eq_ignore_ascii_case("chunked") {
                    return Err(Broken::Malformed("Transfer-Encoding"));
                }
                self.is_chunked = true;
            }
            "connection" => {
                for token in value()?.split(',').map(str::trim) {
                    if token.eq_ignore_ascii_case("close") {
                        self.keeps_alive = false;
                    } else if !token.is_empty() && !token.eq_ignore_ascii_case("keep-alive") {
                        self.nominated.push(token.to_ascii_lowercase());
                    }
                }
            }
            "keep-alive" => self.rest = pool::promised_rest(value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ResponseHead, Broken> {
        let keeps = |name: &HeaderName| name != "x-powered-by";
        ResponseHead::parse(&mut Bytes::copy_from_slice(text.as_bytes()), keeps).map(|head| head.expect("a whole head"))
    }

    #[test]
    fn a_path_is_no_more_than_a_path() {
        let mut head = RequestHead::new(Method::GET, &["/a%20b", "/c d?\r\nx: y\r\n\r\n\u{e9}"]);
        let sent = head.encode(&HeaderValue::from_static("h"), Some(0), b"");
        let line = "GET /a%20b/c%20d?%0D%0Ax:%20y%0D%0A%0D%0A%C3%A9 HTTP/1.1\r\nhost: h\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(sent), line);
    }

    #[test]
    fn hop_by_hop_fields_end_here_and_say_how_the_body_is_framed() {
        let head = parse(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nX-Secret: 1\r\n\
             Connection: keep-alive, X-Secret\r\nKeep-Alive: timeout=5\r\nX-Powered-By: Express\r\n\r\n",
        )
        .unwrap();
        assert_eq!(head.headers.len(), 1);
        assert_eq!(head.headers["content-type"], "text/plain");
        assert!(head.keeps_alive);
        assert_eq!(head.rest, Duration::from_millis(2500));
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: +5",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
            assert!(matches!(parse(&text), Err(Broken::Malformed(_))), "{fields}");
        }
        assert!(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n").is_ok());
    }

    #[test]
    fn a_body_that_ends_with_its_connection_cannot_be_followed_by_another() {
        assert!(!parse("HTTP/1.1 200 OK\r\n\r\n").unwrap().keeps_alive);
        assert!(!parse("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap().keeps_alive);
        assert!(!parse("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().keeps_alive);
        assert!(parse("HTTP/1.1 204 No Content\r\n\r\n").unwrap().keeps_alive);
    }

    #[test]
    fn a_request_head_is_written_as_it_stands() {
        let mut head = RequestHead::new(Method::POST, &["/", "x"]);
        head.field("accept", &HeaderValue::from_static("*/*"));
        for (host, body) in [("h:1", ""), ("h:2", "ab")] {
            let text = head.encode(&HeaderValue::from_static(host), Some(2), body.as_bytes());
            let expected =
                format!("POST /x HTTP/1.1\r\naccept: */*\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{body}");
            assert_eq!(String::from_utf8_lossy(text), expected);
        }
    }
}
