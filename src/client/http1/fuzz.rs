//! The reader of answers beside hyper's: what both take, they read alike, and nothing is taken that hyper refuses.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Decoded, ResponseHead};
use crate::fuzzing::fuzz;

/// Status and body.
type Read = (u16, Vec<u8>);

const WORDS: [&str; 16] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "5;name=value\r\nhello\r\n",
    " folded\r\n",
];

#[test]
fn fuzz_http1() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    fuzz("http1", &WORDS, |input| {
        let whole = ours(&[input]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(whole, ours(&bytes), "byte by byte it reads as something else");
        // Trailers are dropped unread here, whatever stands in them; hyper reads them.
        if let Some(ours) = whole.filter(|_| !has_trailers(input)) {
            let theirs = runtime.block_on(hypers(input.to_vec()));
            assert_eq!(Some(ours), theirs, "hyper reads something else");
        }
    });
}

fn has_trailers(input: &[u8]) -> bool {
    let mut received = Bytes::copy_from_slice(input);
    while let Ok(Some(mut head)) = ResponseHead::parse(&mut received, |_| true) {
        if head.status.is_informational() {
            continue;
        }
        let mut decoder = head.take_body();
        for byte in received.chunks(1) {
            let _ = decoder.decode(&mut Bytes::copy_from_slice(byte));
            if decoder.is_in_trailers() {
                return true;
            }
        }
        break;
    }
    false
}

/// `None`: no answer, or a body that is not whole.
fn ours(pieces: &[&[u8]]) -> Option<Read> {
    let mut pieces = pieces.iter();
    let mut received = Bytes::new();
    let mut head = loop {
        if !received.is_empty()
            && let Some(head) = ResponseHead::parse(&mut received, |_| true).ok()?
        {
            if head.status.is_informational() {
                continue;
            }
            break head;
        }
        received = [&*received, pieces.next()?].concat().into();
    };
    let mut decoder = head.take_body();
    let mut body = Vec::new();
    loop {
        match decoder.decode(&mut received).ok()? {
            Decoded::Data(data) => body.extend_from_slice(&data),
            Decoded::End => break,
            Decoded::More if decoder.is_done() => break,
            Decoded::More => match pieces.next() {
                Some(piece) => received = Bytes::copy_from_slice(piece),
                None => break decoder.closed().ok()?,
            },
        }
    }
    Some((head.status.as_u16(), body))
}

async fn hypers(input: Vec<u8>) -> Option<Read> {
    let (client, mut server) = tokio::io::duplex(256 * 1024);
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().handshake::<_, Empty<Bytes>>(TokioIo::new(client)).await.ok()?;
    let serve = async {
        // Its request first: hyper takes what comes before it for noise.
        let mut request = [0; 1024];
        let _ = server.read(&mut request).await;
        let _ = server.write_all(&input).await;
        drop(server);
        Ok::<(), Infallible>(())
    };
    let ask = async {
        let request = http::Request::get("/").header("host", "upstream").body(Empty::new()).unwrap();
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, body.to_vec()))
    };
    let work = async { tokio::join!(serve, ask).1 };
    tokio::pin!(work);
    tokio::select! {
        read = &mut work => read,
        _ = connection => work.await,
    }
}
