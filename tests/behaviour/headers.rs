//! Which header fields pass the gateway, both ways.

mod answers;

use crate::harness::client::{Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::tls::{Authority, connect};
use crate::harness::upstream::{ANSWER, Seen, Upstream};
use crate::harness::{FLOW, KEY, client};

const PREDICT: &str = "/api/v1/prediction/support";
const QUESTION: &str = r#"{"question":"hi"}"#;

fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Response {
    client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), QUESTION)
}

/// What the upstream saw of one request with these fields.
fn forwarded(gateway: &Gateway, upstream: &Upstream, headers: &[(&str, &str)]) -> Seen {
    let before = upstream.seen().len();
    let response = ask(gateway, headers);
    assert_eq!(response.status, 200, "{}", response.text());
    upstream.wait_seen(before + 1).remove(before)
}

/// [`simple`] with these names in `pass_headers`.
fn passing(upstream: &Upstream, names: &str) -> Gateway {
    let more = format!(", api_key: upstream-key, pass_headers: [{names}]");
    Gateway::start(&simple(upstream.address).replace(", api_key: upstream-key", &more))
}

#[test]
fn a_few_fields_pass_upstream_as_they_are() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let passing = [
        ("user-agent", "app/1"),
        ("accept", "*/*"),
        ("accept-language", "de, en;q=0.5"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=1, b=2"),
    ];
    let seen = forwarded(&gateway, &upstream, &[&passing[..], &[("x-custom", "a, b")]].concat());
    for (name, value) in passing {
        assert_eq!(seen.header(name), Some(value));
    }
    // All that the gateway adds.
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let expected = [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-api-key",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[test]
fn no_other_field_of_a_client_passes() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let fields = [
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "cookie",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "via",
        "origin",
        "x-request-from",
        "X-Request-From",
        "flowise-tool",
        "x-flowise-evaluation",
        "x-flowise-anything",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-user",
        "access-control-request-method",
        "http2-settings",
        "if-none-match",
        "range",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-Forwarded-For",
        "X-Remote-User",
        "Remote-User",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Proxy",
        "X_Forwarded_For",
        "X_Forwarded_Host",
        "X_API_KEY",
        "X_Request_From",
        "User_Agent",
        "x-anything",
        "traceparent2",
        "content_type",
    ];
    for name in fields {
        let seen = forwarded(&gateway, &upstream, &[(name, "evil-value"), ("accept-language", "de")]);
        assert!(!format!("{:?}", seen.headers).contains("evil-value"), "{name}: {:?}", seen.headers);
        assert_eq!(seen.header("accept-language"), Some("de"));
    }
}

#[test]
fn nor_does_one_of_the_widgets_calls() {
    let upstream = Upstream::start(|_, reply| reply.json("200 OK", "{\"isStreaming\":true}"));
    let gateway = passing(&upstream, "x-tenant");
    let headers = [("x-api-key", KEY), ("x-tenant", "t"), ("x-client-ip", "evil-value"), ("x_api_key", "evil-value")];
    for path in ["/api/v1/chatflows-streaming/support", "/api/v1/public-chatbotConfig/support"] {
        client::get(gateway.http, path, &headers);
        let seen = upstream.wait_request("GET", path.rsplit_once('/').unwrap().0);
        assert_eq!(seen.header("x-tenant"), Some("t"));
        assert!(!format!("{:?}", seen.headers).contains("evil-value"), "{:?}", seen.headers);
    }
}

#[test]
fn an_upstream_may_be_sent_more() {
    let upstream = Upstream::answering();
    let gateway = passing(&upstream, "X-Tenant, baggage");
    let fields = [("x-tenant", "a"), ("X-TENANT", "b"), ("Baggage", "c=d"), ("x-tenants", "no"), ("x_tenant", "no")];
    let seen = forwarded(&gateway, &upstream, &fields);
    let tenants: Vec<_> = seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-tenant")).collect();
    assert_eq!(tenants.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(seen.header("baggage"), Some("c=d"));
    assert!(seen.headers.iter().all(|(_, value)| value != "no"), "{:?}", seen.headers);
}

#[test]
fn fields_that_connection_names_end_at_the_gateway_and_no_others() {
    let upstream = Upstream::answering();
    let gateway = passing(&upstream, "x-one, x-two, x-three");
    let seen = forwarded(
        &gateway,
        &upstream,
        &[
            ("connection", "X-One, keep-alive"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("X-Two", "2"),
            ("x-three", "3"),
        ],
    );
    assert_eq!((seen.header("x-one"), seen.header("x-two"), seen.header("x-three")), (None, None, Some("3")));
    assert!(seen.header("connection").is_none_or(|value| !value.contains("x-")));
    // What the gateway sets cannot be named away.
    let names = "authorization, x-api-key, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-request-id, host, \
                 content-length, content-type, accept-encoding";
    let seen = forwarded(&gateway, &upstream, &[("connection", names)]);
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    assert_eq!(seen.header("x-api-key"), Some("upstream-key"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("x-request-id").is_some() && seen.header("host").is_some());
}

#[test]
fn an_upgrade_goes_nowhere() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let seen = forwarded(&gateway, &upstream, &upgrade);
    assert_eq!((seen.header("connection"), seen.header("upgrade")), (None, None));
    let h2c = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")];
    let seen = forwarded(&gateway, &upstream, &h2c);
    assert_eq!((seen.header("upgrade"), seen.header("http2-settings")), (None, None));
}

#[test]
fn the_gateway_says_where_a_request_comes_from() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let lies = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-for", "192.0.2.8"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "for=192.0.2.7;proto=https;host=evil.test"),
        ("host", "chat.example.com:8443"),
    ];
    let seen = forwarded(&gateway, &upstream, &lies);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("chat.example.com:8443"));
    assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
    assert_eq!(seen.header("forwarded"), None);
}

#[test]
fn a_trusted_proxy_says_who_the_client_is_and_how_it_came() {
    let upstream = Upstream::answering();
    let gateway =
        Gateway::start(&config(upstream.address, ", trusted_proxies: ['127.0.0.0/8', 10.0.0.0/8]", "", "", ""));
    let seen = forwarded(
        &gateway,
        &upstream,
        &[
            ("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.0.0.3"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
        ],
    );
    // One address: whoever stands left of it only claims to be somebody.
    assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
    let seen = forwarded(&gateway, &upstream, &[("forwarded", "for=\"[2001:db8::7]:1\"")]);
    assert_eq!(seen.header("x-forwarded-for"), Some("2001:db8::7"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    let seen = forwarded(&gateway, &upstream, &[("x-forwarded-proto", "gopher")]);
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn over_tls_the_upstream_is_told_so() {
    let upstream = Upstream::answering();
    let authority = Authority::new();
    let tls = ", tls: { listen: '127.0.0.1:0' }";
    let gateway = Gateway::start_with(&config(upstream.address, tls, "", "", ""), &keys(""), |folder| {
        authority.write_into(folder);
    });
    let mut connection = connect(authority.client(&["http/1.1"]), gateway.https.expect("TLS"));
    let headers = [("x-api-key", KEY), ("x-forwarded-proto", "http"), ("x-forwarded-for", "192.0.2.7")];
    connection.write(request("POST", PREDICT, &headers, QUESTION));
    assert_eq!(connection.read_response().expect("an answer").status, 200);
    let seen = &upstream.wait_seen(1)[0];
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn a_well_formed_request_id_is_kept_and_any_other_replaced() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let longest = "x".repeat(64);
    for id in ["abcdefgh", "A-b_c.0123", &longest] {
        let response = ask(&gateway, &[("x-request-id", id)]);
        assert_eq!(response.header("x-request-id"), Some(id));
        assert_eq!(upstream.seen().last().expect("a request").header("x-request-id"), Some(id));
        assert_eq!(gateway.access_line(id)["status"], 200);
    }
    let too_long = "x".repeat(65);
    let malformed = ["short", "", "with space in it", "quote\"quote", "semi;colon;", "umlaut-\u{e4}\u{e4}", &too_long];
    let mut made = Vec::new();
    for id in malformed {
        let response = ask(&gateway, &[("x-request-id", id)]);
        let answered = response.header("x-request-id").expect("an id").to_owned();
        assert_ne!(answered, id);
        assert_eq!(answered.len(), 32);
        assert_eq!(upstream.seen().last().expect("a request").header("x-request-id"), Some(&*answered));
        made.push(answered);
    }
    let twice = ask(&gateway, &[("x-request-id", "abcdefgh"), ("x-request-id", "abcdefgh")]);
    made.push(twice.header("x-request-id").expect("an id").to_owned());
    made.push(ask(&gateway, &[]).header("x-request-id").expect("an id").to_owned());
    let count = made.len();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), count, "ids are not given twice");
    assert!(!made.contains(&"abcdefgh".to_owned()));
}

#[test]
fn every_answer_carries_the_id_of_its_request() {
    let upstream = Upstream::start(|seen, reply| match seen.header("x-case") {
        Some("stream") => {
            reply.stream_head();
            reply.event("end", "[DONE]");
            reply.finish();
        }
        Some("error") => reply.json("500 Internal Server Error", r#"{"message":"no"}"#),
        Some("cut") => reply.cut(),
        _ => {
            let length = ANSWER.len();
            reply.raw(format!(
                "HTTP/1.1 200 OK\r\nX-Request-Id: upstreams-own-id\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{ANSWER}"
            ));
        }
    });
    let more = "plans: { default: { requests: 5/day, burst: 5 } }";
    let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-case]", "", more));
    let id = ("x-request-id", "my-request-id");
    let key = ("x-api-key", KEY);
    for (status, method, path, headers) in [
        (200, "GET", "/api/v1/ping", vec![]),
        (204, "OPTIONS", PREDICT, vec![]),
        (401, "POST", PREDICT, vec![]),
        (404, "POST", "/nothing", vec![]),
        (405, "PUT", PREDICT, vec![]),
        (200, "POST", PREDICT, vec![key]),
        (200, "POST", PREDICT, vec![key, ("x-case", "stream")]),
        (500, "POST", PREDICT, vec![key, ("x-case", "error")]),
        (502, "POST", PREDICT, vec![key, ("x-case", "cut")]),
        (415, "POST", PREDICT, vec![key, ("content-type", "text/plain")]),
        (429, "POST", PREDICT, vec![key]),
    ] {
        let body = if method == "POST" { QUESTION } else { "" };
        let response = client::send(gateway.http, method, path, &[&[id], headers.as_slice()].concat(), body);
        assert_eq!(response.status, status, "{method} {path} {headers:?} {}", response.text());
        let ids: Vec<_> =
            response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id")).collect();
        assert_eq!(ids.len(), 1, "{method} {path} {headers:?}");
        assert_eq!(ids[0].1, "my-request-id");
    }
}

#[test]
fn a_chatflow_may_have_a_key_of_its_own() {
    let upstream = Upstream::answering();
    let other = format!("  other: {{ upstream: flowise, id: {} }}", FLOW.replace("9d2b", "aaaa"));
    let gateway = Gateway::start(&config(upstream.address, "", "", ", api_key: flow-key", &other));
    assert_eq!(ask(&gateway, &[]).status, 200);
    let response = client::post(gateway.http, "/api/v1/prediction/other", &[("x-api-key", KEY)], QUESTION);
    assert_eq!(response.status, 200);
    let seen = upstream.wait_seen(2);
    for (seen, key) in seen.iter().zip(["flow-key", "upstream-key"]) {
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {key}")));
        assert_eq!(seen.header("x-api-key"), Some(key));
    }
}

#[test]
fn an_upstream_without_a_key_gets_no_credentials_at_all() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address).replace(", api_key: upstream-key", ""));
    let seen = forwarded(&gateway, &upstream, &[]);
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (None, None));
}

#[test]
fn expect_is_answered_here_and_not_passed_on() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    let (head, body) =
        (request("POST", PREDICT, &[("x-api-key", KEY), ("expect", "100-continue")], QUESTION), QUESTION);
    connection.write(&head[..head.len() - body.len()]);
    assert_eq!(connection.read_head().expect("an answer").status, 100);
    assert!(upstream.seen().is_empty());
    connection.write(body);
    assert_eq!(connection.read_response().expect("an answer").status, 200);
    assert_eq!(upstream.wait_seen(1)[0].header("expect"), None);
}
