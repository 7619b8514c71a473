//! A prediction's body as a whole: its size, its type, how it arrives, and chatflows that pass it on unread.

use crate::harness::client::{Connection, request};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::predictions::{PLAN, PREDICT, QUESTION, chunked, send_raw, with_chatflow};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, client};

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_a_byte_of_it_is_asked_for() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, ", max_body: 1KiB", "", "", PLAN));
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!(
            "POST {PREDICT} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\nContent-Type: application/json\r\n\
             {expect}Content-Length: 1025\r\n\r\n"
        ));
        // Not a byte of the body was sent, and no 100 comes first.
        let head = connection.read_head().expect("an answer");
        assert_eq!(head.status, 413);
        assert_eq!(head.header("connection"), Some("close"));
    }
    client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], &" ".repeat(1025)).assert_refused(413, "body_too_large");
    let fits = format!("{QUESTION}{}", " ".repeat(1024 - QUESTION.len()));
    assert_eq!(gateway.predict(&fits).status, 200);
    assert_eq!(upstream.seen().len(), 1);
    gateway.wait_metric("flowgate_rejected_total{rule=\"body_size\"}", 3.0);
}

#[test]
fn every_refusal_by_the_head_comes_before_the_body_is_asked_for() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for (status, method, path, fields) in [
        (401, "POST", PREDICT, "Content-Type: application/json\r\n".to_owned()),
        (404, "POST", "/api/v1/prediction/nobody", format!("X-Api-Key: {KEY}\r\n")),
        (405, "PUT", PREDICT, format!("X-Api-Key: {KEY}\r\n")),
        (415, "POST", PREDICT, format!("X-Api-Key: {KEY}\r\nContent-Type: text/plain\r\n")),
    ] {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!(
            "{method} {path} HTTP/1.1\r\nHost: gateway.test\r\nExpect: 100-continue\r\n{fields}\
             Content-Length: 1000\r\n\r\n"
        ));
        assert_eq!(connection.read_head().expect("an answer").status, status);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_chunked_body_is_counted() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, ", max_body: 1KiB", "", "", PLAN));
    let body = |length: usize| format!("{QUESTION}{}", " ".repeat(length - QUESTION.len()));
    for size in [1025, 100, 7] {
        let response = send_raw(&gateway, chunked(PREDICT, "application/json", body(1025).as_bytes(), size));
        response.assert_refused(413, "body_too_large");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(send_raw(&gateway, chunked(PREDICT, "application/json", body(1024).as_bytes(), 7)).status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn only_json_without_encoding_is_read() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let post = |headers: &[(&str, &str)]| {
        client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), QUESTION)
    };
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/json, text/plain",
        "application/vnd.api+json",
        "text/json",
        "",
    ] {
        post(&[("content-type", value)]).assert_refused(415, "unsupported_media_type");
    }
    let two = [("content-type", "application/json"), ("content-type", "text/plain")];
    post(&two).assert_refused(415, "unsupported_media_type");
    for value in ["gzip", "br", "deflate", "zstd", "x-unknown", "identity, gzip", "gzip, identity", ""] {
        post(&[("content-encoding", value)]).assert_refused(415, "unsupported_media_type");
    }
    for two in [["identity", "gzip"], ["gzip", "identity"]] {
        let headers = two.map(|value| ("content-encoding", value));
        post(&headers).assert_refused(415, "unsupported_media_type");
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_rejected_total{rule=\"media_type\"}", 20.0);
    for value in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        assert_eq!(post(&[("content-type", value)]).status, 200, "{value}");
    }
    assert_eq!(post(&[("content-encoding", "identity")]).status, 200);
    for seen in upstream.wait_seen(4) {
        assert_eq!(seen.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_passthrough_chatflow_gets_the_body_byte_for_byte() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", body: passthrough");
    let odd = " {\"question\":1,\"question\":[],  \"__proto__\":{},\"foo\":\"\\u0041\", broken";
    let response = gateway.predict(odd);
    assert_eq!(response.status, 200, "{}", response.text());
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\
                     Content-Type: text/plain\r\n\r\n\u{0}\u{1}binary\r\n--x--\r\n";
    let headers = [("x-api-key", KEY), ("content-type", "multipart/form-data; boundary=x")];
    assert_eq!(client::post(gateway.http, PREDICT, &headers, multipart).status, 200);
    let seen = upstream.wait_seen(2);
    for (seen, (body, kind)) in
        seen.iter().zip([(odd, "application/json"), (multipart, "multipart/form-data; boundary=x")])
    {
        assert_eq!(seen.body, body.as_bytes());
        assert_eq!(seen.header("content-type"), Some(kind));
        assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
        assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    }
    // A chunked body has no length here either.
    assert_eq!(send_raw(&gateway, chunked(PREDICT, headers[1].1, multipart.as_bytes(), 10)).status, 200);
    let seen = upstream.wait_seen(3).remove(2);
    assert_eq!(seen.body, multipart.as_bytes());
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_passthrough_body_is_bounded_too() {
    let upstream = Upstream::answering();
    let limits = ", max_body: 1KiB, max_upload: 4KiB";
    let gateway = Gateway::start(&config(upstream.address, limits, "", ", body: passthrough", PLAN));
    for (kind, most) in [("application/json", 1024), ("multipart/form-data; boundary=x", 4096)] {
        let headers = [("x-api-key", KEY), ("content-type", kind)];
        let (fits, large) = ("x".repeat(most), "x".repeat(most + 1));
        client::post(gateway.http, PREDICT, &headers, &large).assert_refused(413, "body_too_large");
        send_raw(&gateway, chunked(PREDICT, kind, large.as_bytes(), 1000)).assert_refused(413, "body_too_large");
        assert_eq!(client::post(gateway.http, PREDICT, &headers, &fits).status, 200);
        assert_eq!(send_raw(&gateway, chunked(PREDICT, kind, fits.as_bytes(), 1000)).status, 200);
    }
    // What was too large never became a whole request there.
    assert_eq!(upstream.seen().len(), 4);
    assert!(upstream.seen().iter().all(|seen| seen.body.len() == 1024 || seen.body.len() == 4096));
}

#[test]
fn a_passthrough_body_is_neither_encoded_nor_of_another_type() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", body: passthrough");
    let post = |headers: &[(&str, &str)]| {
        client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), QUESTION)
    };
    for headers in [
        vec![("content-encoding", "gzip")],
        vec![("content-encoding", "identity"), ("content-encoding", "gzip")],
        vec![("content-type", "text/plain")],
        vec![("content-type", "application/json"), ("content-type", "multipart/form-data; boundary=x")],
    ] {
        post(&headers).assert_refused(415, "unsupported_media_type");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let upstream = Upstream::answering();
    let more = "  raw: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000001, body: passthrough }\n";
    let config = config(upstream.address, ", body_timeout: 300ms", "", "", &format!("{more}{PLAN}"));
    let gateway = Gateway::start(&config);
    for path in [PREDICT, "/api/v1/prediction/raw"] {
        for (framing, start) in
            [("Content-Length: 17", "{\"question"), ("Transfer-Encoding: chunked", "5\r\n{\"que\r\n")]
        {
            let mut connection = Connection::open(gateway.http);
            connection.write(format!(
                "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\n\
                 Content-Type: application/json\r\n{framing}\r\n\r\n{start}"
            ));
            let response = connection.read_response().expect("an answer");
            response.assert_refused(408, "request_timeout");
            assert!(connection.is_closed());
        }
    }
    assert!(upstream.seen().is_empty(), "no whole request came there");
    gateway.wait_metric("flowgate_rejected_total{rule=\"request_timeout\"}", 4.0);
}

#[test]
fn a_body_that_breaks_off_is_no_request() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let mut connection = Connection::open(gateway.http);
    let whole = request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "broken-off")], QUESTION);
    connection.write(&whole[..whole.len() - 3]);
    drop(connection);
    gateway.access_line("broken-off");
    assert!(upstream.seen().is_empty());
}
