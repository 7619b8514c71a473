//! What is read of requests and answers, whatever it is and however it is cut.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::answer::View;
use super::events::{ErrorAt, RecordScanner};
use super::json::{parse_object, text_of};
use super::multipart::{Rewriter, TextLimit};
use super::request::{Caller, check, tests::chatflow};
use super::session::{ChatIds, Pair};
use crate::config::{Events, ResponseShape};
use crate::fuzzing::{Generator, corpus, fuzz};
use crate::wire::refusal::Refusal;

const STREAM_WORDS: [&str; 13] = [
    "message:\n",
    "data:",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    "data:{\"event\":\"error\",\"data\":\"no\"}\n\n",
    "data:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n",
    "{\"event\":\"token\",\"data\":\"",
    ":heartbeat\n\n",
    "ab12cd34-0000-8000-8000-ab12cd34ab12",
    "\"metadata\"",
    "\"data\":",
    "\\u0000",
];

/// What a scanner has seen, and where the first error begins in the whole.
fn scanned(pieces: &[&[u8]]) -> (u64, bool, bool, bool, Option<usize>) {
    let mut scanner = RecordScanner::default();
    let mut before = 0;
    let mut error = None;
    for piece in pieces {
        let found = scanner.scan(piece);
        if error.is_none() {
            error = found.map(|at| match at {
                ErrorAt::Piece(at) | ErrorAt::Line(at) => before + at,
                ErrorAt::Earlier(line) => before - line.len(),
            });
        }
        before += piece.len();
    }
    (scanner.events, scanner.saw_end, scanner.saw_error, scanner.is_between_records(), error)
}

#[test]
fn fuzz_events() {
    fuzz("events", &STREAM_WORDS, |input| {
        let (events, end, error, between, at) = scanned(&[input]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let single = scanned(&bytes);
        assert_eq!((events, end, error, between), (single.0, single.1, single.2, single.3));
        assert_eq!(at.is_some(), single.4.is_some());
        // Where it may be cut in two: everywhere, in what is short enough for that.
        for cut in (0..=input.len()).take(if input.len() > 600 { 0 } else { 600 }) {
            let (first, second) = input.split_at(cut);
            let (events_cut, end_cut, error_cut, between_cut, _) = scanned(&[first, second]);
            assert_eq!((events, end, error, between), (events_cut, end_cut, error_cut, between_cut), "cut at {cut}");
        }
    });
}

/// More than one empty line between two records means nothing.
fn without_empty_lines(text: &str) -> String {
    text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn fuzz_views() {
    let ids = || ChatIds {
        chat: Pair { client: "mine".into(), upstream: "ab12cd34-0000-8000-8000-ab12cd34ab12".into() },
        is_new: false,
        session: None,
    };
    let listed: Arc<_> = ["token", "sourceDocuments", "metadata"].iter().map(|name| (*name).into()).collect();
    let views = [
        (Events::All, ResponseShape::Flowise),
        (Events::Widget, ResponseShape::Flowise),
        (Events::Only(listed), ResponseShape::Flowise),
        (Events::Widget, ResponseShape::Message),
    ];
    fuzz("events", &STREAM_WORDS, |input| {
        for (events, response) in &views {
            let mut policy = chatflow(&[]);
            policy.events = events.clone();
            let view = || View::new(&policy, &ids(), *response);
            let through = |size: usize| {
                let mut view = view().into_stream();
                let mut out = Vec::new();
                for piece in input.chunks(size) {
                    out.extend_from_slice(&view.take(Bytes::copy_from_slice(piece)));
                }
                out.extend_from_slice(&view.end());
                without_empty_lines(&String::from_utf8_lossy(&out))
            };
            let whole = through(usize::MAX);
            assert_eq!(whole, through(1));
            assert_eq!(whole, through(7));
            assert!(!whole.contains("ab12cd34-0000-8000-8000-ab12cd34ab12"), "{whole}");
            let _ = view().json(Bytes::copy_from_slice(input));
        }
    });
}

#[test]
fn fuzz_multipart() {
    let words = [
        "--theirs\r\n",
        "--theirs--\r\n",
        "\r\n--theirs",
        "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n",
        "Content-Type: text/plain\r\n",
        "name=\"chatId\"",
        "filename*=UTF-8''b",
        "--ours\r\n",
    ];
    fuzz("multipart", &words, |input| {
        let rewritten = |bytes: &[u8], boundary: &str, ours: &str, size: usize| {
            let kind = format!("multipart/form-data; boundary={boundary}");
            let mut rewriter = Rewriter::new(&kind, ours.to_owned(), "mine".to_owned(), TextLimit::new(1000))?;
            let mut out = Vec::new();
            for piece in bytes.chunks(size) {
                out.extend_from_slice(&rewriter.feed(piece)?);
            }
            out.extend_from_slice(&rewriter.finish()?);
            Ok::<_, Refusal>(out)
        };
        let whole = rewritten(input, "theirs", "ours", usize::MAX);
        let single = rewritten(input, "theirs", "ours", 1);
        assert_eq!(whole.is_ok(), single.is_ok(), "{whole:?} {single:?}");
        if let (Ok(whole), Ok(single)) = (whole, single) {
            assert_eq!(whole, single);
            // What goes on is understood as it was, unless a file holds the boundary, which is random outside of tests.
            if !input.windows(6).any(|bytes| bytes == b"--ours") {
                assert_eq!(rewritten(&whole, "ours", "ours", usize::MAX).unwrap(), whole);
            }
        }
    });
}

const JSON_WORDS: [&str; 14] = [
    "{\"question\":\"a\"}",
    "\"overrideConfig\":{\"sessionId\":\"s\"},",
    "\"question\":\"\\ud83d\"",
    "\"\\ud83d\\ud83d\\ude00\"",
    "\"\\\\ud83d\"",
    "\"history\":[{\"role\":\"userMessage\",\"content\":\"x\"}],",
    "\"chatId\":\"c\",",
    "\\u0000",
    "1e5",
    "-0",
    "null",
    "[[",
    "{\"a\":",
    "\"constructor\":1,",
];

#[test]
fn fuzz_body() {
    let mut policy = chatflow(&["vars", "temperature", "sessionId"]);
    policy.max_question_chars = 10_000;
    policy.max_word_chars = 10_000;
    fuzz("json", &JSON_WORDS, |input| {
        let Ok(prediction) = check::<Bytes>(input, &policy, &Caller::default()) else { return };
        // What goes on is a body that passes, as it is.
        let again = check::<Bytes>(&prediction.body, &policy, &Caller::default()).unwrap();
        assert_eq!(again.body, prediction.body);
    });
}

/// Bodies are read as Node reads them, or refused by a rule of ours.
#[test]
fn fuzz_body_beside_node() {
    let Ok(node) = Command::new("node").arg("--version").output() else {
        println!("skipped: there is no Node");
        return;
    };
    assert!(node.status.success());
    let corpus = corpus("json");
    let is_long = std::env::var("FUZZ_SECONDS").is_ok();
    for round in 0..if is_long { 50 } else { 1 } {
        let mut generator = Generator { state: 7 + round, words: &JSON_WORDS };
        let inputs: Vec<Vec<u8>> = corpus.iter().cloned().chain((0..4000).map(|_| generator.input(&corpus))).collect();
        let readings = nodes(&inputs);
        assert_eq!(readings.len(), inputs.len());
        let (mut written, mut expected) = (Vec::new(), Vec::new());
        for (input, reading) in inputs.iter().zip(readings) {
            if let Some(ours) = compare(input, reading.as_deref()) {
                written.push(ours);
                expected.push((reading, String::from_utf8_lossy(input)));
            }
        }
        for (ours, (theirs, input)) in nodes(&written).into_iter().zip(expected) {
            assert_eq!(ours, theirs, "{input}");
        }
    }
}

/// `theirs`: what Node made of it, written anew; `None`: it refused it. What goes on of it, if it is taken.
fn compare(input: &[u8], theirs: Option<&str>) -> Option<Vec<u8>> {
    let text = || String::from_utf8_lossy(input).into_owned();
    // Node writes U+FFFD for such bytes; here a body that is no text is refused, and told why.
    let body = text_of(input).ok()?;
    match parse_object(&body) {
        Ok(object) => {
            assert!(theirs.is_some(), "Node refuses {}", text());
            Some(object.to_bytes(input.len()).unwrap())
        }
        Err(Refusal::Invalid(rule, message)) => {
            let is_syntax = message.contains("is not valid JSON (");
            let is_object = theirs.is_some_and(|theirs| theirs.starts_with('{'));
            assert!(!is_syntax || !is_object, "{rule:?}: {message}: {}", text());
            None
        }
        Err(other) => panic!("{other:?}: {}", text()),
    }
}

/// What Node's `JSON.parse` makes of texts, as `JSON.stringify` writes it.
fn nodes(inputs: &[Vec<u8>]) -> Vec<Option<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inputs.json");
    let texts: Vec<String> = inputs.iter().map(|input| base64(input)).collect();
    fs::write(&path, serde_json::to_vec(&texts).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/parse.mjs");
    let output = Command::new("node").arg(script).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let readings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    readings.into_iter().map(|reading| reading.as_str().map(str::to_owned)).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
