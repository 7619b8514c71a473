//! What real Flowise 3.1.4 answered, word for word, passes through the gateway as it was.

use std::path::Path;
use std::sync::Arc;

use crate::harness::KEY;
use crate::harness::client::{Connection, read_chunked};
use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::Upstream;

/// One recorded prediction.
pub(crate) struct Exchange {
    /// File and title.
    pub(crate) name: String,
    pub(crate) request: Message,
    pub(crate) response: Message,
    /// The bytes of the response on the wire.
    raw: Vec<u8>,
    /// The response ends with its connection.
    ends_by_closing: bool,
}

/// A request or an answer, taken apart.
pub(crate) struct Message {
    pub(crate) first_line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// `None` if a part of it was left out of the recording.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&raw[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let first_line = lines.next()?.to_owned();
        if first_line.starts_with("HTTP/1.1 100 ") {
            return Self::parse(&raw[end + 4..]);
        }
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut message = Self { first_line, headers, body: raw[end + 4..].to_vec() };
        if message.header("transfer-encoding").is_some() {
            message.body = read_chunked(&mut message.body.as_slice()).ok()?;
        } else if let Some(length) = message.header("content-length") {
            let length: usize = length.parse().ok()?;
            if message.body.len() != length {
                return None;
            }
        }
        Some(message)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|value| value.starts_with("text/event-stream"))
    }

    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What Flowise says is wrong: the message of an error, or the text of a stream's first `error` event.
    fn complaint(&self) -> Option<String> {
        if self.is_stream() {
            let text = std::str::from_utf8(&self.body).ok()?;
            let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
            let mut events = events.filter_map(|json| serde_json::from_str::<serde_json::Value>(json).ok());
            return Some(events.find(|event| event["event"] == "error")?["data"].as_str()?.to_owned());
        }
        match self.json() {
            Some(json) => Some(json.get("message").or(json.get("error"))?.as_str()?.to_owned()),
            None => String::from_utf8(self.body.clone()).ok(),
        }
    }
}

/// The block of `size` bytes after a line that starts with `marker`, and the rest of that line.
pub(crate) fn block<'a>(text: &'a [u8], marker: &str) -> Option<(&'a str, &'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, marker.as_bytes())? + marker.len();
    let line_end = at + memchr::memchr(b'\n', &text[at..])?;
    let line = std::str::from_utf8(&text[at..line_end]).ok()?;
    let size: usize = line.split(' ').next()?.parse().ok()?;
    let start = line_end + 1;
    // What is shorter has parts left out.
    let bytes = text.get(start..start + size).unwrap_or_default();
    Some((line, bytes, &text[line_end..]))
}

/// All predictions in the recordings that are whole.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flowise/wire");
    let mut files: Vec<_> =
        folder.read_dir().expect("recordings").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut exchanges = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        let text = std::fs::read(file).expect("a recording");
        let name = file.file_stem().expect("a name").to_string_lossy();
        let mut rest = text.as_slice();
        while let Some((_, request, after)) = block(rest, "\n>>> request, ") {
            rest = after;
            // The title stands between; the answer comes before the next request.
            let next = memchr::memmem::find(rest, b"\n>>> request, ").unwrap_or(rest.len());
            let Some((ended, raw, _)) = block(rest, "\n<<< response, ") else { break };
            if memchr::memmem::find(rest, b"\n<<< response, ").is_some_and(|at| at > next) {
                continue;
            }
            let ends_by_closing = ended.ends_with("server closed the connection");
            if !ended.ends_with("complete") && !ends_by_closing {
                continue;
            }
            let (Some(request), Some(response)) = (Message::parse(request), Message::parse(raw)) else { continue };
            if request.first_line.starts_with("POST /api/v1/prediction/") {
                let name =
                    format!("{name}: {}", String::from_utf8_lossy(&request.body).chars().take(60).collect::<String>());
                exchanges.push(Exchange { name, request, response, raw: raw.to_vec(), ends_by_closing });
            }
        }
    }
    exchanges
}

/// An upstream that answers with the recording that the header `x-replay` names.
fn replaying(exchanges: &Arc<Vec<Exchange>>) -> Upstream {
    let exchanges = Arc::clone(exchanges);
    Upstream::start(move |seen, reply| {
        let index: usize = seen.header("x-replay").and_then(|index| index.parse().ok()).expect("an index");
        reply.raw(&exchanges[index].raw);
        if exchanges[index].ends_by_closing {
            reply.cut();
        }
    })
}

/// How an exchange ended.
#[derive(Debug, Default)]
struct Count {
    json: usize,
    streams: usize,
    errors: usize,
    refused_by_the_gateway: usize,
}

/// Sends every recorded request and compares what comes back with what Flowise answered.
fn replay(chatflow: &str) -> Count {
    let unread = chatflow.contains("passthrough");
    let exchanges = Arc::new(exchanges());
    let upstream = replaying(&exchanges);
    let plans = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";
    let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-replay]", chatflow, plans));
    let mut count = Count::default();
    for (index, exchange) in exchanges.iter().enumerate() {
        let Exchange { name, request, response: recorded, .. } = exchange;
        let seen_before = upstream.seen().len();
        let mut head = format!(
            "POST /api/v1/prediction/support HTTP/1.1\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\nX-Replay: {index}\r\n\
             Content-Length: {}\r\n",
            request.body.len()
        );
        for passed in ["content-type", "accept", "accept-encoding", "content-encoding", "origin", "x-forwarded-for"] {
            if let Some(value) = request.header(passed) {
                head = format!("{head}{passed}: {value}\r\n");
            }
        }
        let mut connection = Connection::open(gateway.http);
        connection.write([head.as_bytes(), b"\r\n", &request.body].concat());
        let response = connection.read_response().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!response.text().contains("\"stack\""), "{name}: {}", response.text());

        if upstream.seen().len() == seen_before {
            // Not for Flowise.
            let code = response.json()["code"].as_str().expect("a code").to_owned();
            response.assert_refused(response.status, &code);
            assert!(matches!(response.status, 400 | 413 | 415), "{name}: {}", response.text());
            count.refused_by_the_gateway += 1;
            continue;
        }
        let seen = upstream.seen().pop().expect("a request");
        if unread {
            assert!(seen.body == request.body, "{name}");
        } else {
            let recorded = request.json().expect("a JSON request");
            assert_eq!(seen.json().get("question"), recorded.get("question"), "{name}");
            let given =
                recorded.get("overrideConfig").filter(|given| given.as_object().is_some_and(|given| !given.is_empty()));
            if recorded.get("variables").is_none() {
                assert_eq!(seen.json().get("overrideConfig"), given, "{name}");
            }
        }
        let complaint = recorded.complaint();
        if complaint.as_deref().is_some_and(|text| text.ends_with("Unauthorized")) {
            response.assert_refused(502, "upstream_error");
            count.errors += 1;
        } else if recorded.status() != 200 {
            assert_eq!(response.status, recorded.status(), "{name}");
            let code = response.json()["code"].as_str().expect("a code").to_owned();
            response.assert_refused(recorded.status(), &code);
            assert_same_complaint(name, &complaint.expect("a message"), response.json()["message"].as_str().unwrap());
            assert_eq!(response.header("retry-after"), recorded.header("retry-after"), "{name}");
            count.errors += 1;
        } else if recorded.is_stream() && complaint.is_some() {
            assert_same_stream_but_for_errors(name, &recorded.body, &response.body);
            count.streams += 1;
        } else {
            assert_eq!(response.status, 200, "{name}");
            assert!(response.body == recorded.body, "{name}: {}", response.text());
            assert_eq!(response.header("content-type"), recorded.header("content-type"), "{name}");
            if recorded.is_stream() {
                count.streams += 1;
            } else {
                assert_eq!(response.header("etag"), recorded.header("etag"), "{name}");
                count.json += 1;
            }
        }
    }
    println!("replayed with {{{chatflow}}}: {count:?} of {}", exchanges.len());
    count
}

/// Word for word, except for words that name an address or an id.
fn assert_same_complaint(name: &str, recorded: &str, arrived: &str) {
    let mut arrived_words = arrived.split(' ');
    for word in recorded.trim().split(' ') {
        let arrived = arrived_words.next().unwrap_or_else(|| panic!("{name}: {arrived}"));
        if arrived.contains("[address]") || arrived.contains("[id]") || arrived.contains("[key]") {
            let secret = word.contains("://") || word.contains(':') || word.len() >= 12;
            assert!(secret, "{name}: {word} became {arrived}");
        } else {
            assert_eq!(arrived.trim_end(), word.trim_end(), "{name}");
        }
    }
    assert_eq!(arrived_words.next(), None, "{name}");
}

fn assert_same_stream_but_for_errors(name: &str, recorded: &[u8], arrived: &[u8]) {
    let lines =
        |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).split('\n').map(str::to_owned).collect() };
    let (recorded, arrived) = (lines(recorded), lines(arrived));
    assert_eq!(recorded.len(), arrived.len(), "{name}: {arrived:?}");
    for (recorded, arrived) in recorded.iter().zip(&arrived) {
        if recorded.starts_with("data:{\"event\":\"error\"") {
            let text = |line: &str| {
                let event: serde_json::Value = serde_json::from_str(&line["data:".len()..]).expect("an event");
                event["data"].as_str().expect("a text").to_owned()
            };
            assert_same_complaint(name, &text(recorded), &text(arrived));
        } else {
            assert_eq!(recorded, arrived, "{name}");
        }
    }
}

#[test]
fn recorded_answers_pass_unchanged_behind_unread_requests() {
    let count = replay(", body: passthrough");
    assert!(count.json >= 100 && count.streams >= 30 && count.errors >= 35, "{count:?}");
    // Forms and packed bodies.
    assert!(count.refused_by_the_gateway <= 4, "{count:?}");
}

#[test]
fn recorded_answers_pass_unchanged_behind_checked_requests() {
    let count = replay(", override_config: [sessionId, vars, promptValues, temperature]");
    assert!(count.json >= 75 && count.streams >= 28 && count.errors >= 25, "{count:?}");
}
