//! A request means one host, and one page.

use super::{BODY, assert_refused, cases, head, statuses};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client};

#[test]
fn a_request_says_once_which_host_it_means() {
    let length = "Content-Length: 17\r\n";
    let good = format!("{}{BODY}", head(length));
    assert_refused(&cases(&[
        ("none", good.replacen("Host: gateway.test\r\n", "", 1)),
        ("two", format!("{}{BODY}", head(&format!("Host: other.test\r\n{length}")))),
        ("two of the same", format!("{}{BODY}", head(&format!("Host: gateway.test\r\n{length}")))),
    ]));
}

#[test]
fn a_host_that_is_none_is_refused() {
    let good = format!("{}{BODY}", head("Content-Length: 17\r\n"));
    let mut texts = Vec::new();
    for host in [
        "",
        ":",
        ":80",
        "a b",
        "a\tb",
        "a,b",
        "a, b",
        "gateway.test,evil.test",
        "a?b",
        "a#b",
        "a\\b",
        "a/b",
        "/",
        "u@a",
        "u:p@a",
        "a:b",
        "a:80:80",
        "a:-1",
        "a:65536",
        "a:8 0",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[a]",
        "[::1]a",
        "[::1]:x",
        "%61",
        "a%2fb",
        "a;b",
        "a'b",
        "a\"b",
        "<a>",
        "http://a",
        "a\u{e4}",
    ] {
        texts.push((host, good.replacen("Host: gateway.test", &format!("Host: {host}"), 1)));
        // The same where the target itself names the host.
        let absolute = good.replacen("POST /", &format!("POST http://{host}/"), 1);
        if !matches!(host, "/" | "a/b" | "a?b" | "a#b" | "http://a") {
            texts.push((host, absolute));
        }
    }
    assert_refused(&cases(&texts));
}

#[test]
fn a_host_is_told_as_it_was_named() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for host in ["a", "Chat.Example.COM:8443", "flowise_1:3000", "example.com.", "127.0.0.1", "[::1]:80", "a:"] {
        let text = format!("{}{BODY}", head("Connection: close\r\nContent-Length: 17\r\n"));
        let text = text.replacen("Host: gateway.test", &format!("Host: {host}"), 1);
        assert_eq!(statuses(&gateway, text), [200], "{host}");
        assert_eq!(
            upstream.seen().last().and_then(|seen| seen.header("x-forwarded-host").map(String::from)).as_deref(),
            Some(host)
        );
    }
}

#[test]
fn two_origins_are_none() {
    let upstream = Upstream::answering();
    let public = ", access: public, allowed_origins: [https://app.example.com]";
    let gateway = Gateway::start(&config(upstream.address, "", "", public, ""));
    for second in ["https://app.example.com", "https://evil.example"] {
        let headers = [("origin", "https://app.example.com"), ("origin", second), ("x-api-key", KEY)];
        let response = client::post(gateway.http, "/api/v1/prediction/support", &headers, r#"{"question":"hi"}"#);
        response.assert_refused(400, "invalid_request");
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    gateway.wait_metric("flowgate_rejected_total{rule=\"ambiguous_origin\"}", 2.0);
    assert!(upstream.seen().is_empty());
}
