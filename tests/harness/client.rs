//! Clients that see every byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// Asserts the one shape of errors: status, code, and that the parts agree.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["statusCode"], status);
        assert_eq!(json["success"], false);
        assert_eq!(json["error"], json["message"]);
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(json["requestId"].as_str(), self.header("x-request-id"));
        self
    }
}

/// A connection that reads and writes what it is told, over TCP or TLS.
pub(crate) struct Connection<S: Read + Write = TcpStream> {
    pub(crate) reader: BufReader<S>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self::over(stream)
    }
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).expect("written");
        self.reader.get_mut().flush().expect("flushed");
    }

    /// Reads the head of an answer; the body is empty.
    pub(crate) fn read_head(&mut self) -> io::Result<Response> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|status| status.trim().parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            let line = line.trim_end();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Response { status, headers, body: Vec::new() })
    }

    /// Reads a whole answer.
    pub(crate) fn read_response(&mut self) -> io::Result<Response> {
        let mut response = self.read_head()?;
        while response.status == 100 {
            response = self.read_head()?;
        }
        if let Some(length) = response.header("content-length") {
            response.body.resize(length.parse().expect("a length"), 0);
            self.reader.read_exact(&mut response.body)?;
        } else if response.header("transfer-encoding").is_some() {
            response.body = read_chunked(&mut self.reader)?;
        }
        Ok(response)
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        read_chunk(&mut self.reader)
    }

    /// What is left of a stream, which ends regularly.
    pub(crate) fn read_rest(&mut self) -> String {
        let mut rest = Vec::new();
        while let Some(chunk) = self.read_chunk().expect("a regular end") {
            rest.extend(chunk);
        }
        String::from_utf8(rest).expect("text")
    }

    /// Waits until the other side has closed; `true` if it did so without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
        }
    }
}

fn read_chunk(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let size = usize::from_str_radix(line.trim(), 16).map_err(|_| io::Error::other(format!("chunk size {line:?}")))?;
    let mut data = vec![0; size + 2];
    reader.read_exact(&mut data)?;
    data.truncate(size);
    Ok((size > 0).then_some(data))
}

pub(crate) fn read_chunked(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = read_chunk(reader)? {
        body.extend(chunk);
    }
    Ok(body)
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if !has("host") {
        text.push_str("Host: gateway.test\r\n");
    }
    if !body.is_empty() && !has("content-type") {
        text.push_str("Content-Type: application/json\r\n");
    }
    if !body.is_empty() && !has("content-length") && !has("transfer-encoding") {
        text = format!("{text}Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        text = format!("{text}{name}: {value}\r\n");
    }
    format!("{text}\r\n{body}").into_bytes()
}

/// One request on a connection of its own.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut connection = Connection::open(address);
    connection.write(request(method, path, headers, body));
    connection.read_response().expect("an answer")
}

pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    send(address, "GET", path, headers, "")
}

pub(crate) fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    send(address, "POST", path, headers, body)
}
