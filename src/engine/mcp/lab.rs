//! For tests: servers on the loopback, and programs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Such as `POST /mcp`.
    pub(crate) line: String,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Heard {
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

/// A server on the loopback that does so with each request, one a connection.
fn serve(mut with: impl FnMut(Heard, TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut text, mut buffer) = (String::new(), [0; 4096]);
            let request = loop {
                if let Some(request) = read(&text) {
                    break Some(request);
                }
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break None,
                    Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
                }
            };
            if let Some(request) = request {
                with(request, stream);
            }
        }
    });
    origin
}

/// A server that answers by `answer`, and what it hears.
pub(crate) fn server(answer: impl Fn(&Heard) -> String + Send + 'static) -> (String, mpsc::Receiver<Heard>) {
    let (hears, hearing) = mpsc::channel();
    let origin = serve(move |heard, mut stream| {
        let answered = answer(&heard);
        let _ = hears.send(heard);
        let _ = stream.write_all(answered.as_bytes());
    });
    (origin, hearing)
}

/// A server of the protocol's first version: `GET /sse` is answered by a stream, on which all answers come.
pub(crate) fn events_server() -> (String, mpsc::Receiver<Heard>) {
    let (hears, hearing) = mpsc::channel();
    let mut events = None;
    let origin = serve(move |heard, mut stream| {
        match heard.line.as_str() {
            "GET /sse" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                let begin = format!("{head}event: endpoint\ndata: messages?id=1\n\n");
                stream.write_all(begin.as_bytes()).unwrap();
                events = Some(stream);
            }
            "POST /messages?id=1" => {
                stream.write_all(response("202 Accepted", "", "Accepted").as_bytes()).unwrap();
                if let Some(events) = events.as_mut().filter(|_| heard.body.get("id").is_some()) {
                    let answer = json!({ "jsonrpc": "2.0", "id": heard.body["id"], "result": echoing(&heard) });
                    events.write_all(format!("event: message\ndata: {answer}\n\n").as_bytes()).unwrap();
                }
            }
            _ => stream.write_all(response("405 Method Not Allowed", "", "").as_bytes()).unwrap(),
        }
        let _ = hears.send(heard);
    });
    (origin, hearing)
}

fn read(text: &str) -> Option<Heard> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let lower = head.to_lowercase();
    let length = lower.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
    if body.len() < length.parse().unwrap() {
        return None;
    }
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let json = serde_json::from_str(body).unwrap_or_default();
    Some(Heard { line, head: lower, body: json, text: body.to_owned() })
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// An answer to a request, as JSON.
pub(crate) fn json_answer(heard: &Heard, result: &Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": heard.body["id"], "result": result }).to_string();
    response("200 OK", "content-type: application/json\r\nmcp-session-id: s-1\r\n", &body)
}

/// What a server with one tool, `echo`, answers.
pub(crate) fn echoing(heard: &Heard) -> Value {
    match heard.method() {
        "initialize" => json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} }, "serverInfo": {} }),
        "tools/list" => {
            let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } }, "$schema": "x" });
            json!({ "tools": [
                { "name": "echo", "description": "Says it again.", "inputSchema": schema },
                { "name": "other.tool", "inputSchema": { "type": "object" } },
            ] })
        }
        _ => json!({ "content": [{ "type": "text", "text": heard.body["params"]["arguments"].to_string() }] }),
    }
}

/// A whole server over streamable HTTP.
pub(crate) fn echo_server() -> (String, mpsc::Receiver<Heard>) {
    server(|heard| match heard.method() {
        "notifications/initialized" => response("202 Accepted", "", ""),
        _ => json_answer(heard, &echoing(heard)),
    })
}

/// A program that answers with its environment, its number and its arguments, and ends when it is told to.
pub(crate) fn program(folder: &Path) -> String {
    let path = folder.join("server.sh");
    let script = r#"#!/bin/sh
echo "the key is $TOKEN" >&2
sleep 1000 &
child=$!
while read -r line; do
  id=${line##*\"id\":}; id=${id%%[!0-9]*}
  case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}' ;;
    *tools/list*'"cursor":"2"'*) result='{"tools":[{"name":"last","inputSchema":{"type":"object"}}]}' ;;
    *tools/list*) result='{"tools":[{"name":"who","description":"Who?","inputSchema":{"type":"object"}}],"nextCursor":"2"}' ;;
    *'"crash"'*) exit 3 ;;
    *'"fault"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such tool"}}\n' "$id"; continue ;;
    *tools/call*)
      printf '{"jsonrpc":"2.0","id":"p","method":"ping"}\n'
      text="$$ $child $1 ${TOKEN:-none} ${CARGO_MANIFEST_DIR:-none}"
      result='{"content":[{"type":"text","text":"'"$text"'"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}
