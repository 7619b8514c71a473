//! HTTP/2 frame by frame: what RFC 9113 calls an error is one, also on a stream that was answered before its request
//! had come.

use crate::harness::KEY;
use crate::harness::gateway::{Gateway, keys, simple};
use crate::harness::h2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE,
    fields, frame, request_head,
};
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
/// Error codes (RFC 9113, section 7).
const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
/// Statuses as entries of HPACK's static table.
const OK: u8 = 0x88;
const BAD_REQUEST: u8 = 0x8c;

struct Server {
    upstream: Upstream,
    gateway: Gateway,
    authority: Authority,
}

impl Server {
    fn start() -> Self {
        let (upstream, authority) = (Upstream::answering(), Authority::new());
        let text = simple(upstream.address).replace("workers: 1", "workers: 1, tls: { listen: '127.0.0.1:0' }");
        let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
        Self { upstream, gateway, authority }
    }

    fn connect(&self) -> Raw {
        let mut client = Raw::connect(self.authority.client(&[]), self.gateway.https.expect("TLS"), &[]);
        client.write(SETTINGS, ACK, 0, b"");
        client
    }

    /// A connection whose first stream was answered with 401 while its body was still to come.
    fn answered_early(&self, headers: &[(&str, &str)]) -> Raw {
        let mut client = self.connect();
        let head = request_head("POST", PATH, &[&[JSON], headers].concat());
        client.write(HEADERS, END_HEADERS, 1, &head);
        client.read_answer(1);
        client
    }
}

#[track_caller]
fn assert_goes_on(client: &mut Raw) {
    client.request(31, "GET", "/api/v1/ping", &[], "");
    assert_eq!(client.read_answer(31), OK);
}

#[test]
fn the_rest_of_a_body_that_was_answered_early_is_part_of_its_request() {
    let server = Server::start();
    let mut client = server.answered_early(&[]);
    client.write(DATA, 0, 1, b"{\"question\":");
    client.write(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x-checksum", "1")]));
    assert_goes_on(&mut client);

    let mut client = server.answered_early(&[("content-length", "1")]);
    client.write(DATA, END_STREAM, 1, b"more");
    assert_eq!(client.read_error(1), PROTOCOL_ERROR, "not the announced length");
    assert_goes_on(&mut client);

    let mut client = server.answered_early(&[("content-length", "10")]);
    client.write(DATA, 0, 1, b"less");
    client.write(DATA, END_STREAM, 1, b"less");
    assert_eq!(client.read_error(1), PROTOCOL_ERROR, "not the announced length");

    let mut client = server.answered_early(&[]);
    client.write(HEADERS, END_HEADERS, 1, &fields(&[("x-checksum", "1")]));
    assert_eq!(client.read_error(1), PROTOCOL_ERROR, "trailers that end nothing");

    let mut client = server.answered_early(&[]);
    client.write(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[(":path", "/")]));
    assert_eq!(client.read_error(1), PROTOCOL_ERROR, "a pseudo-header field in trailers");
    assert!(server.upstream.seen().is_empty());
}

#[test]
fn a_stream_that_the_client_reset_is_closed_whatever_was_answered() {
    let server = Server::start();
    let mut client = server.answered_early(&[]);
    client.write(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    client.write(DATA, END_STREAM, 1, b"late");
    assert_eq!(client.read_error(1), STREAM_CLOSED);

    for late in [
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x-late", "1")])),
        frame(CONTINUATION, END_HEADERS, 1, &fields(&[("x-late", "1")])),
    ] {
        let mut client = server.answered_early(&[]);
        client.write(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
        client.write_frames(&late);
        let frames = client.read_to_end();
        assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    }
}

#[test]
fn a_body_that_goes_on_for_too_long_after_its_answer_is_stopped() {
    let server = Server::start();
    let mut client = server.answered_early(&[]);
    // What the window has room for, and more once it has been read.
    (0..6).for_each(|_| client.write(DATA, 0, 1, &[b'x'; 10_000]));
    while client.read_kind(WINDOW_UPDATE).stream != 1 {}
    (0..3).for_each(|_| client.write(DATA, 0, 1, &[b'x'; 10_000]));
    assert_eq!(client.read_error(1), NO_ERROR);
    assert_goes_on(&mut client);
    // So is one that never comes.
    let mut client = server.answered_early(&[]);
    assert_eq!(client.read_error(1), NO_ERROR);
    assert_goes_on(&mut client);
}

#[test]
fn a_stream_that_has_ended_takes_no_more() {
    let server = Server::start();
    for (kind, flags, payload, codes) in [
        (DATA, END_STREAM, b"late".to_vec(), &[STREAM_CLOSED][..]),
        (HEADERS, END_HEADERS | END_STREAM, fields(&[("x-late", "1")]), &[STREAM_CLOSED, PROTOCOL_ERROR]),
        (CONTINUATION, END_HEADERS, fields(&[("x-late", "1")]), &[STREAM_CLOSED, PROTOCOL_ERROR]),
    ] {
        let mut client = server.connect();
        client.request(1, "GET", "/api/v1/ping", &[], "");
        assert_eq!(client.read_answer(1), OK);
        client.write(kind, flags, 1, &payload);
        let code = client.read_error(1);
        assert!(codes.contains(&code), "kind {kind}: {code}");
    }
}

#[test]
fn frames_that_stand_nowhere_end_the_connection() {
    let server = Server::start();
    let overflow = 0x7fff_ffff_u32.to_be_bytes();
    for (name, frames, code) in [
        ("DATA on no stream", frame(DATA, END_STREAM, 0, b"x"), PROTOCOL_ERROR),
        ("DATA on an idle stream", frame(DATA, END_STREAM, 5, b"x"), PROTOCOL_ERROR),
        ("HEADERS on no stream", frame(HEADERS, END_HEADERS, 0, &[0x82]), PROTOCOL_ERROR),
        ("HEADERS on a stream of the server", frame(HEADERS, END_HEADERS, 2, &[0x82]), PROTOCOL_ERROR),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &[0x82]), PROTOCOL_ERROR),
        ("RST_STREAM of an idle stream", frame(RST_STREAM, 0, 1, &overflow), PROTOCOL_ERROR),
        ("PING on a stream", frame(PING, 0, 1, b"12345678"), PROTOCOL_ERROR),
        // RFC 9113 says FRAME_SIZE_ERROR; the library calls it a matter of the protocol, and the end is the same.
        ("a short PING", frame(PING, 0, 0, b"1234"), PROTOCOL_ERROR),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), PROTOCOL_ERROR),
        ("a window too large", frame(WINDOW_UPDATE, 0, 0, &overflow), FLOW_CONTROL_ERROR),
        ("a window by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        ("a frame too large", frame(DATA, 0, 1, &vec![0; 16_385]), FRAME_SIZE_ERROR),
    ] {
        let mut client = server.connect();
        client.write_frames(&frames);
        let all = client.read_to_end();
        let goaway = all.iter().find(|frame| frame.kind == GOAWAY);
        let seen = goaway.and_then(|frame| frame.payload.get(4..8)).map(<[u8]>::to_vec);
        assert_eq!(seen, Some(code.to_be_bytes().to_vec()), "{name}: {all:?}");
    }
    server.gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn trailers_are_taken_and_pseudo_header_fields_in_them_refused() {
    let server = Server::start();
    let mut client = server.connect();
    let head = request_head("POST", PATH, &[JSON, ("x-api-key", KEY)]);
    for (stream, trailers) in [
        (1, fields(&[(":path", "/api/v1/chatflows")])),
        (3, fields(&[("x-checksum", "1"), (":path", "/")])),
        (5, fields(&[(":status", "200")])),
        (7, vec![0x82]),
        (9, [&[0x3f, 0xe1, 0x1f][..], &fields(&[(":authority", "a")])].concat()),
    ] {
        client.write(HEADERS, END_HEADERS, stream, &head);
        client.write(DATA, 0, stream, ASK.as_bytes());
        client.write(HEADERS, END_HEADERS | END_STREAM, stream, &trailers);
        assert_eq!(client.read_error(stream), PROTOCOL_ERROR, "{trailers:?}");
    }
    // In two frames, and one after the other on the wire.
    client.write(HEADERS, END_HEADERS, 11, &head);
    client.write(DATA, 0, 11, ASK.as_bytes());
    client.write(HEADERS, END_STREAM, 11, b"");
    client.write(CONTINUATION, END_HEADERS, 11, &fields(&[(":method", "PUT")]));
    assert_eq!(client.read_error(11), PROTOCOL_ERROR);
    assert!(server.upstream.seen().is_empty());

    for trailers in [fields(&[("x-checksum", "1"), ("grpc-status", "0")]), Vec::new()] {
        let mut client = server.connect();
        client.write(HEADERS, END_HEADERS, 1, &head);
        client.write(DATA, 0, 1, ASK.as_bytes());
        client.write(HEADERS, END_HEADERS | END_STREAM, 1, &trailers);
        assert_eq!(client.read_answer(1), OK);
    }
    let seen = server.upstream.wait_seen(2);
    assert!(seen.iter().all(|seen| seen.header("x-checksum").is_none() && seen.json()["question"] == "hi"));
}

#[test]
fn a_pseudo_header_field_from_the_decoders_table_is_refused_in_trailers() {
    let server = Server::start();
    let mut client = server.connect();
    // `:authority` as a literal that is indexed: entry 62 from then on.
    let head = [
        fields(&[(":method", "POST"), (":scheme", "https"), (":path", PATH)]),
        [&[0x41, 12][..], b"gateway.test"].concat(),
        fields(&[JSON, ("x-api-key", KEY)]),
    ]
    .concat();
    client.write(HEADERS, END_HEADERS, 1, &head);
    client.write(DATA, END_STREAM, 1, ASK.as_bytes());
    assert_eq!(client.read_answer(1), OK);
    let again = [fields(&[(":method", "POST"), (":scheme", "https"), (":path", PATH)]), vec![0xbe]].concat();
    let again = [again, fields(&[JSON, ("x-api-key", KEY)])].concat();
    client.write(HEADERS, END_HEADERS, 3, &again);
    client.write(DATA, 0, 3, ASK.as_bytes());
    client.write(HEADERS, END_HEADERS | END_STREAM, 3, &[0xbe]);
    assert_eq!(client.read_error(3), PROTOCOL_ERROR);
    // The table is as the client knows it.
    client.write(HEADERS, END_HEADERS, 5, &again);
    client.write(DATA, END_STREAM, 5, ASK.as_bytes());
    assert_eq!(client.read_answer(5), OK);
    let hosts: Vec<_> =
        server.upstream.seen().iter().map(|seen| seen.header("x-forwarded-host").map(String::from)).collect();
    assert_eq!(hosts, [Some("gateway.test".to_owned()), Some("gateway.test".to_owned())]);
}

#[test]
fn an_authority_or_a_host_that_is_none_is_refused() {
    let server = Server::start();
    let bad = [
        "", "a b", "a,b", "a, b", "a?b", "a#b", "a\\b", "a/b", "u@a", "u:p@a", "a:b", "a:65536", "[::1", "%61", "a;b",
        ":80",
    ];
    let mut client = server.connect();
    let mut stream = 1;
    for (authority, host) in bad.iter().map(|bad| (Some(*bad), None)).chain(bad.iter().map(|bad| (None, Some(*bad)))) {
        let pseudo = fields(&[(":method", "POST"), (":scheme", "https"), (":path", PATH)]);
        let authority = authority.map(|authority| fields(&[(":authority", authority)])).unwrap_or_default();
        let host = host.map(|host| fields(&[("host", host)])).unwrap_or_default();
        let rest = fields(&[JSON, ("x-api-key", KEY)]);
        client.write(HEADERS, END_HEADERS, stream, &[pseudo, authority, host, rest].concat());
        client.write(DATA, END_STREAM, stream, ASK.as_bytes());
        // What is no authority by any reading is malformed (RFC 9113, section 8.1.1); what is one by some is a 400.
        let answer = loop {
            let frame = client.read().expect("an answer");
            if frame.stream == stream && frame.kind != WINDOW_UPDATE {
                break frame;
            }
        };
        match answer.kind {
            HEADERS => assert_eq!(answer.payload[0], BAD_REQUEST),
            RST_STREAM => assert_eq!(answer.payload, PROTOCOL_ERROR.to_be_bytes()),
            _ => panic!("{answer:?}"),
        }
        stream += 2;
    }
    // Neither of both (RFC 9113, section 8.3.1).
    let head = fields(&[(":method", "GET"), (":scheme", "https"), (":path", "/api/v1/ping")]);
    client.write(HEADERS, END_HEADERS | END_STREAM, stream, &head);
    assert_eq!(client.read_answer(stream), BAD_REQUEST);
    assert!(server.upstream.seen().is_empty());
}
