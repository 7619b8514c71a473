//! HTTP/2: a client for whole requests, and one that writes and reads single frames.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::PATIENCE;
use super::client::{Connection, Response};
use super::tls::{self, TlsStream};

/// One connection. Requests go by `&self`, so several threads can use it.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Client {
    pub(crate) fn connect(mut config: ClientConfig, address: SocketAddr) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sender = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let name = ServerName::try_from("localhost").expect("a name");
            let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("a handshake");
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender, authority: "gateway.test".to_owned() }
    }

    /// Sends a request and waits for the answer's head.
    pub(crate) fn try_start(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> hyper::Result<Exchange<'_>> {
        let uri = format!("https://{}{path}", self.authority);
        let mut request = http::Request::builder().method(method).uri(uri);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
        let mut sender = self.sender.clone();
        self.within(async move {
            sender.ready().await?;
            sender.send_request(request).await
        })
        .map(|response| Exchange { client: self, response })
    }

    pub(crate) fn start(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Exchange<'_> {
        self.try_start(method, path, headers, body).expect("an answer")
    }

    /// A whole exchange.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        self.start(method, path, headers, body).finish()
    }

    /// Sends a request and gives it up as soon as `seen` returns.
    pub(crate) fn abandon(&self, path: &str, headers: &[(&str, &str)], body: &str, seen: impl FnOnce()) {
        let mut request = http::Request::builder().method("POST").uri(format!("https://{}{path}", self.authority));
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
        let mut sender = self.sender.clone();
        let sending = self.runtime.spawn(async move { sender.send_request(request).await });
        seen();
        sending.abort();
        let _ = self.within(sending);
    }

    fn within<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
    }
}

/// An answer on its way; dropping it resets the stream.
pub(crate) struct Exchange<'a> {
    client: &'a Client,
    response: http::Response<Incoming>,
}

impl Exchange<'_> {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) fn piece(&mut self) -> Option<hyper::Result<Bytes>> {
        let frame = self.client.within(self.response.body_mut().frame())?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    /// Reads to the end.
    pub(crate) fn finish(mut self) -> Response {
        let mut body = Vec::new();
        while let Some(piece) = self.piece() {
            body.extend(piece.expect("a whole body"));
        }
        let headers = self.response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
        Response { status: self.status(), headers: headers.collect(), body }
    }
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame (RFC 9113, section 4.1).
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection that does only what it is told: it answers pings, but never makes room.
pub(crate) struct Raw {
    connection: Connection<TlsStream>,
}

impl Raw {
    /// Connects and sends preface and settings (`(identifier, value)`).
    pub(crate) fn connect(mut config: ClientConfig, address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut connection = tls::connect(config, address);
        connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut raw = Self { connection };
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(identifier, value)| [&identifier.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        raw.write(SETTINGS, 0, 0, &settings);
        raw
    }

    pub(crate) fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.connection.write(frame(kind, flags, stream, payload));
    }

    /// A whole request on that stream; field names must be in lower case.
    pub(crate) fn request(&mut self, stream: u32, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let end = if body.is_empty() { END_STREAM } else { 0 };
        self.write(HEADERS, END_HEADERS | end, stream, &request_head(method, path, headers));
        if !body.is_empty() {
            self.write(DATA, END_STREAM, stream, body.as_bytes());
        }
    }

    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.connection.reader.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.connection.reader.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        if head[3] == PING && head[4] & ACK == 0 {
            let answer = frame(PING, ACK, 0, &payload);
            // The gateway may have closed already, and what it sent before is still to be read.
            let _ = self.connection.reader.get_mut().write_all(&answer);
        }
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Whole frames in one piece; what the gateway thinks of them is seen by reading.
    pub(crate) fn write_frames(&mut self, frames: &[u8]) {
        let stream = self.connection.reader.get_mut();
        let _ = stream.write_all(frames).and_then(|()| stream.flush());
    }

    /// The code of the next `RST_STREAM` on that stream, or of `GOAWAY`, whichever comes.
    #[track_caller]
    pub(crate) fn read_error(&mut self, stream: u32) -> u32 {
        loop {
            let frame = self.read().unwrap_or_else(|error| panic!("no error frame: {error}"));
            let code = match frame.kind {
                RST_STREAM if frame.stream == stream => frame.payload.first_chunk(),
                GOAWAY => frame.payload.get(4..).and_then(<[u8]>::first_chunk),
                _ => continue,
            };
            return u32::from_be_bytes(*code.expect("a code"));
        }
    }

    /// Reads up to the end of the answer on that stream; its first byte is its status, as a static entry of HPACK.
    #[track_caller]
    pub(crate) fn read_answer(&mut self, stream: u32) -> u8 {
        let mut status = 0;
        loop {
            let frame = self.read().unwrap_or_else(|error| panic!("no answer: {error}"));
            assert!(frame.kind != RST_STREAM && frame.kind != GOAWAY, "{frame:?}");
            if frame.stream == stream && frame.kind == HEADERS {
                status = frame.payload.first().copied().unwrap_or_default();
            }
            if frame.stream == stream && matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return status;
            }
        }
    }

    /// The next frame of that kind; panics if the connection ends before.
    #[track_caller]
    pub(crate) fn read_kind(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.read().unwrap_or_else(|error| panic!("no frame of kind {kind}: {error}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// All frames up to the end of the connection.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "the connection stays open: {frames:?}");
            match self.read() {
                Ok(frame) => frames.push(frame),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the connection stays open: {frames:?}")
                }
                Err(_) => return frames,
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The field section of a request; field names must be in lower case.
pub(crate) fn request_head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "gateway.test"), (":path", path)];
    [fields(&pseudo), fields(headers)].concat()
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A field as HPACK writes it without any table (RFC 7541, section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        let length = text.len();
        if length < 127 {
            field.push(u8::try_from(length).expect("checked"));
        } else {
            field.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                field.push(u8::try_from(rest % 128).expect("below 128") | 128);
                rest /= 128;
            }
            field.push(u8::try_from(rest).expect("below 128"));
        }
        field.extend_from_slice(text.as_bytes());
    }
    field
}
