//! A Redis for tests, which says what it was told to say.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use super::{Redis, RedisServer};
use crate::engine::provider::Targets;
use crate::telemetry::metrics::Metrics;

/// Gives each connection a reply, and tells what it heard; `login` stands in the address before the host.
pub(in crate::engine::nodes) fn stub(login: &str, replies: &[&str]) -> (Redis, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hearing) = mpsc::channel();
    let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
    std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            let _ = heard.send(bytes);
        }
    });
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let endpoint = targets.endpoint(&format!("http://127.0.0.1:{port}"), None).unwrap();
    let server = RedisServer::read(&format!("redis://{login}127.0.0.1:{port}")).unwrap();
    (Redis { endpoint: Some(endpoint), server }, hearing)
}

/// What was heard, without what says how long each word is.
pub(in crate::engine::nodes) fn words(heard: &[u8]) -> Vec<String> {
    let is_length =
        |line: &str| line.strip_prefix(['*', '$']).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let text = String::from_utf8_lossy(heard);
    text.split("\r\n").filter(|line| !line.is_empty() && !is_length(line)).map(str::to_owned).collect()
}

/// A text as replies have it.
pub(in crate::engine::nodes) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
