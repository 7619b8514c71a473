use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use serde_json::json;

use super::*;
use crate::engine::nodes::redis::RedisServer;
use crate::engine::provider::Targets;
use crate::engine::testing::within;
use crate::telemetry::metrics::Metrics;

/// A server that gives these replies, one a connection, and what it hears.
fn server_of(replies: &[&str]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hearing) = mpsc::channel();
    let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
    std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            let _ = heard.send(String::from_utf8(text).unwrap());
        }
    });
    (port, hearing)
}

#[test]
fn a_session_is_the_list_that_flowise_keeps() {
    let stored = exchange("q", "a").map(|turn| turn.to_string());
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let listed = format!("+OK\r\n*3\r\n{}{}{}", bulk(&stored[1]), bulk(&stored[0]), bulk("no json"));
    let (port, heard) = server_of(&[&listed, "+OK\r\n:1\r\n:1\r\n:2\r\n:1\r\n", "-WRONGPASS no\r\n"]);
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let endpoint = targets.endpoint(&format!("http://127.0.0.1:{port}"), None).unwrap();
    let server = RedisServer::read(&format!("redis://:s3cret@127.0.0.1:{port}")).unwrap();
    let memory = RedisMemory { redis: Redis { endpoint: Some(endpoint), server }, seconds: Some(60), window: 6 };
    let body = json!({ "question": "x", "overrideConfig": { "sessionId": "sess" } });
    let (turns, refused) = within(&body, async |run| {
        let turns = memory.recall(run).await.unwrap();
        memory.keep("q", "a", run).await.unwrap();
        (turns, memory.recall(run).await.unwrap_err().to_string())
    });
    assert_eq!(turns, [Message::user("q"), Message::assistant("a")]);
    assert_eq!(refused, "Redis: WRONGPASS no");
    let words = |text: String| {
        let words = text.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(heard.recv().unwrap()), ["AUTH", "s3cret", "LRANGE", "sess", "0", "5"]);
    let kept = words(heard.recv().unwrap());
    let pushed =
        ["LPUSH", "sess", &stored[0], "EXPIRE", "sess", "60", "LPUSH", "sess", &stored[1], "EXPIRE", "sess", "60"];
    assert_eq!(kept[2..], pushed);
}
