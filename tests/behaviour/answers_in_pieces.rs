//! JSON answers that an upstream delivers in many pieces, split anywhere: inside ids, escapes and letters.

use serde_json::{Value, json};

use crate::harness::KEY;
use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::upstream::{Gate, Reply, Seen, Upstream};

/// What the client calls its chat: longer or shorter than what Flowise knows it by, and to be quoted.
const CHATS: [&str; 2] = ["c \"1\"", "größer als die Kennung, die Flowise davon kennt 🙂"];
/// Letters of one to four bytes, an escape, and what starts like an id and is none.
const TEXT: &str = "größer €uro 🙂 \\ \" 0123abcd-";

/// Where an answer is cut.
#[derive(Clone, Copy)]
enum Cut {
    /// After each byte.
    Everywhere,
    /// Once, so many bytes from the start.
    At(usize),
    /// Into pieces of this size.
    Every(usize),
}

impl Cut {
    fn pieces(self, text: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Everywhere => text.chunks(1).collect(),
            Self::Every(size) => text.chunks(size).collect(),
            Self::At(at) => [&text[..at.min(text.len())], &text[at.min(text.len())..]].into(),
        }
    }
}

fn answer(chat: &str) -> String {
    let step = json!([{"nodeId": "llm_0", "data": {"id": "llm_0", "input": "secret", "chatId": chat}}]);
    // In this order, with the id in the middle, in a text, and at the very end.
    format!(
        r#"{{"text":{},"chatId":"{chat}","agentFlowExecutedData":{step},"question":"{chat} and {}","sessionId":"{chat}"}}"#,
        json!(TEXT),
        &chat[..35]
    )
}

fn quoted(chat: &str) -> String {
    let quoted = json!(chat).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Answers in pieces, with or without saying how long the answer is.
fn cutting(cuts: Vec<Cut>) -> Upstream {
    Upstream::start(move |seen: &Seen, reply: &mut Reply| {
        let asked = seen.json();
        let text = answer(asked["chatId"].as_str().expect("an id"));
        let index: usize = seen.header("x-cut").and_then(|index| index.parse().ok()).expect("a number");
        let pieces = cuts[index].pieces(text.as_bytes());
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nETag: W/\"1\"\r\n";
        if seen.header("x-sized").is_some() {
            reply.raw(format!("{head}Content-Length: {}\r\n\r\n", text.len()));
            for piece in pieces {
                reply.raw(piece);
            }
        } else {
            reply.raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
            pieces.into_iter().filter(|piece| !piece.is_empty()).for_each(|piece| reply.chunk(piece));
            reply.finish();
        }
    })
}

/// Everywhere, in pieces of some sizes, and once at every byte of the first and the last id and of the letters.
fn cuts() -> Vec<Cut> {
    let text = answer(&"f".repeat(36));
    let mut cuts = vec![Cut::Everywhere, Cut::Every(2), Cut::Every(7), Cut::Every(35), Cut::Every(37)];
    let first = text.find("fff").expect("an id");
    cuts.extend((0..first + 38).map(Cut::At));
    cuts.extend((text.len() - 80..=text.len()).map(Cut::At));
    cuts
}

/// Asks for every cut of the answer to each chat, and compares what comes with what is expected of Flowise's id.
fn assert_answers(chatflow: &str, expected: impl Fn(&str, &str) -> String) {
    let all = cuts();
    let upstream = cutting(all.clone());
    let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-cut, x-sized]", chatflow, PLENTY));
    let mut theirs = Vec::new();
    for chat in CHATS {
        let body = json!({"question": "hi", "chatId": chat}).to_string();
        for index in 0..all.len() {
            let cut = index.to_string();
            for sized in [&[][..], &[("x-sized", "1")]] {
                let headers = [&[("x-api-key", KEY), ("x-cut", &*cut)], sized].concat();
                let response = client::post(gateway.http, PREDICT, &headers, &body);
                let sent = upstream.seen().pop().expect("a request").json()["chatId"].as_str().unwrap().to_owned();
                assert_eq!((response.status, response.text()), (200, expected(&sent, chat)), "cut {index}");
                let length = response.header("content-length").map(|length| length.parse::<usize>().expect("a length"));
                assert!(length.is_none_or(|length| length == response.body.len()));
                assert_eq!(response.header("etag"), None, "it is another answer than that");
                theirs.push(sent);
            }
        }
    }
    theirs.dedup();
    assert_eq!(theirs.len(), CHATS.len(), "one id for each chat");
}

#[test]
fn ids_are_put_back_wherever_an_answer_is_cut() {
    assert_answers(", isolate_sessions: true, events: all", |theirs, chat| {
        answer(theirs).replace(theirs, &quoted(chat))
    });
}

#[test]
fn fields_are_left_out_wherever_an_answer_is_cut() {
    assert_answers(", isolate_sessions: true, events: widget", |theirs, chat| {
        let outline = r#"[{"nodeId":"llm_0","data":{"id":"llm_0"}}]"#;
        let text = answer(theirs).replace(theirs, &quoted(chat));
        let (before, rest) = text.split_once("\"agentFlowExecutedData\":").expect("the field");
        let (_, after) = rest.split_once(",\"question\"").expect("the next");
        format!("{before}\"agentFlowExecutedData\":{outline},\"question\"{after}")
    });
    assert_answers(", isolate_sessions: true, events: [token]", |theirs, chat| {
        let text = answer(theirs).replace(theirs, &quoted(chat));
        let (before, rest) = text.split_once("\"agentFlowExecutedData\":").expect("the field");
        let (_, after) = rest.split_once(",\"question\"").expect("the next");
        format!("{before}\"question\"{after}")
    });
}

#[test]
fn answers_become_messages_wherever_they_are_cut() {
    assert_answers(", isolate_sessions: true, response: message", |_, _| {
        format!(r#"{{"id":"","role":"assistant","content":{},"sources":[]}}"#, json!(TEXT))
    });
}

#[test]
fn what_has_come_of_an_answer_does_not_wait_for_the_rest() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |seen, reply| {
        let text = answer(seen.json()["chatId"].as_str().expect("an id"));
        reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        let at = text.find("\"chatId\":\"").expect("an id") + 20;
        reply.chunk(&text[..at]);
        gate.pass();
        reply.chunk(&text[at..]);
        reply.finish();
    });
    let gateway = Gateway::start(&config(
        upstream.address,
        "",
        ", pass_headers: [x-cut, x-sized]",
        ", isolate_sessions: true",
        PLENTY,
    ));
    let mut connection = Connection::open(gateway.http);
    let body = json!({"question": "hi", "chatId": CHATS[0]}).to_string();
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY)], &body));
    assert_eq!(connection.read_head().expect("a head").status, 200);
    let first = String::from_utf8(connection.read_chunk().expect("a chunk").expect("some")).expect("whole letters");
    assert!(first.ends_with("\"chatId\":\""), "nothing of the id: {first}");
    open.send(()).expect("the upstream waits");
    let mut text = first.into_bytes();
    while let Some(chunk) = connection.read_chunk().expect("a chunk") {
        text.extend(chunk);
    }
    let answer: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!((&answer["chatId"], &answer["sessionId"]), (&CHATS[0].into(), &CHATS[0].into()));
}

#[test]
fn an_answer_that_breaks_off_in_an_id_is_no_whole_answer() {
    for (chatflow, is_cut) in [(", isolate_sessions: true", true), (", isolate_sessions: true, events: widget", false)]
    {
        let upstream = Upstream::start(|seen, reply| {
            let text = answer(seen.json()["chatId"].as_str().expect("an id"));
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
            text.as_bytes()[..text.len() - 20].chunks(10).for_each(|piece| reply.chunk(piece));
            reply.cut();
        });
        let gateway =
            Gateway::start(&config(upstream.address, "", ", pass_headers: [x-cut, x-sized]", chatflow, PLENTY));
        let mut connection = gateway.begin(r#"{"question":"hi","chatId":"c"}"#);
        let head = connection.read_head().expect("a head");
        if !is_cut {
            // What must be whole to be shown is refused in time.
            assert_eq!(head.status, 502);
            continue;
        }
        assert_eq!(head.status, 200);
        let whole = std::iter::from_fn(|| connection.read_chunk().transpose()).collect::<Result<Vec<_>, _>>();
        assert!(whole.is_err(), "{whole:?}");
    }
}
