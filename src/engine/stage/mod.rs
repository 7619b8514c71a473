//! For tests of whole flows: every server of the world on one port of the loopback. It answers whatever is asked of it
//! as the model, database, search engine or page does whose name and path it is asked by, so that flows need no rewiring.

mod dialects;
mod flows;
mod heard;
mod model;
mod raw;
mod services;

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use self::heard::StubRequest;

/// What is answered over HTTP.
pub(super) struct StubResponse {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl StubResponse {
    fn json(value: &serde_json::Value) -> Self {
        Self { status: 200, kind: "application/json", body: value.to_string().into_bytes() }
    }

    fn text(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, body: body.into() }
    }
}

/// Listens, for as long as the process runs.
pub(super) fn open() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut first = [0; 16];
    let peeked = stream.peek(&mut first).unwrap_or(0);
    if !first.first().is_some_and(u8::is_ascii_uppercase) || peeked == 0 {
        raw::serve(stream, first);
        return;
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(heard) = StubRequest::read(&mut reader) {
        let StubResponse { status, kind, body } = dialects::answer(&heard).unwrap_or_else(|| services::answer(&heard));
        let head = format!("HTTP/1.1 {status} Told\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}
