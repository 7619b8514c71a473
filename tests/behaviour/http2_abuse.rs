//! HTTP/2 connections that want to do harm cost themselves and nobody else.

use crate::harness::gateway::{Gateway, keys, simple};
use crate::harness::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, frame, request_head,
};
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client};

const PATH: &str = "/api/v1/prediction/support";
const ENHANCE_YOUR_CALM: [u8; 4] = 11_u32.to_be_bytes();
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Writes these frames to a gateway and reads until it hangs up; the code of its `GOAWAY`, if that comes through what
/// is still on its way. Others are served meanwhile
/// and afterwards, and nothing is left behind.
fn hung_up(frames: &[u8]) -> (Option<Vec<u8>>, Upstream) {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let text = simple(upstream.address).replace("workers: 1", "workers: 1, tls: { listen: '127.0.0.1:0' }");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    let mut raw = Raw::connect(authority.client(&[]), gateway.https.expect("TLS"), &[]);
    raw.write_frames(frames);
    assert_eq!(client::get(gateway.http, "/api/v1/ping", &[]).text(), "pong");
    let read = raw.read_to_end();
    let goaway = read.iter().find(|frame| frame.kind == GOAWAY);
    let code = goaway.and_then(|frame| frame.payload.get(4..8)).map(<[u8]>::to_vec);
    drop(raw);
    gateway.wait_metric("flowgate_connections", 0.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    (code, upstream)
}

#[test]
fn streams_that_are_opened_and_reset_again_and_again_end_the_connection() {
    let head = request_head("POST", PATH, &[("content-type", "application/json"), ("x-api-key", KEY)]);
    let frames: Vec<u8> = (0..1000_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(HEADERS, END_HEADERS, stream, &head), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
        })
        .collect();
    let (code, upstream) = hung_up(&frames);
    assert!(code.as_deref().is_none_or(|code| code == ENHANCE_YOUR_CALM), "{code:?}");
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_head_that_goes_on_for_ever_ends_the_connection() {
    for size in [0, 1, 16_000] {
        let head = request_head("GET", "/api/v1/ping", &[]);
        let mut frames = frame(HEADERS, END_STREAM, 1, &head);
        // A field that is in the static table: small on the wire, not in memory.
        (0..20_000_000 / (size + 9))
            .take(5000)
            .for_each(|_| frames.extend(frame(CONTINUATION, 0, 1, &vec![0x90; size])));
        hung_up(&frames);
    }
}

#[test]
fn frames_that_carry_nothing_end_the_connection() {
    let head = request_head("POST", PATH, &[("content-type", "application/json"), ("x-api-key", KEY)]);
    let empty = frame(DATA, 0, 1, b"");
    let frames = [frame(HEADERS, END_HEADERS, 1, &head), empty.repeat(200_000)].concat();
    let (code, upstream) = hung_up(&frames);
    assert!(code.as_deref().is_none_or(|code| code == ENHANCE_YOUR_CALM), "{code:?}");
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_flood_of_pings_or_settings_is_answered_at_the_pace_at_which_it_is_read() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let text = simple(upstream.address).replace("workers: 1", "workers: 1, tls: { listen: '127.0.0.1:0' }");
    let text = text.replace("workers: 1", "workers: 1, send_timeout: 500ms");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    for flood in [frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0, b"")] {
        let flood = flood.repeat(10_000);
        let mut raw = Raw::connect(authority.client(&[]), gateway.https.expect("TLS"), &[]);
        std::thread::scope(|scope| {
            // Nothing is read: sooner or later the gateway takes no more, and then hangs up.
            scope.spawn(|| (0..200).for_each(|_| raw.write_frames(&flood)));
            for _ in 0..20 {
                assert_eq!(client::get(gateway.http, "/api/v1/ping", &[]).text(), "pong");
            }
        });
        drop(raw);
        gateway.wait_metric("flowgate_connections", 0.0);
    }
}
