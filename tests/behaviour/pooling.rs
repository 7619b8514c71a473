//! Upstream connections are used again, but never when that could cost a request.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::{ANSWER, Upstream, record};
use crate::harness::{PATIENCE, wait_for};

const QUESTION: &str = r#"{"question":"hi","chatId":"c1"}"#;

fn connections(upstream: &Upstream) -> Vec<usize> {
    upstream.seen().iter().map(|seen| seen.connection).collect()
}

/// [`simple`] with these upstream addresses.
fn several(addresses: &[SocketAddr]) -> String {
    let urls: Vec<_> = addresses.iter().map(|address| format!("'http://{address}'")).collect();
    simple(addresses[0]).replace(&urls[0], &urls.join(", "))
}

fn healthy(address: SocketAddr) -> String {
    format!(r#"flowgate_upstream_healthy{{upstream="flowise",url="http://{address}"}}"#)
}

#[track_caller]
fn ask(gateway: &Gateway, body: &str) {
    let response = gateway.predict(body);
    assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
}

#[test]
fn a_connection_is_used_again_whoever_asks() {
    let upstream = Upstream::start(|seen, reply| match seen.json()["question"].as_str() {
        Some("chunked") => {
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
            reply.chunk(ANSWER);
            reply.finish();
        }
        Some("stream") => {
            reply.stream_head();
            reply.event("end", "[DONE]");
            reply.finish();
        }
        _ => reply.json("200 OK", ANSWER),
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for question in ["json", "chunked", "stream", "json", "stream", "stream", "chunked", "json"] {
        assert_eq!(gateway.predict(&format!(r#"{{"question":"{question}"}}"#)).status, 200);
    }
    assert_eq!(connections(&upstream), [0; 8]);
}

#[test]
fn an_idle_connection_is_closed_before_the_upstream_would() {
    for keep_alive in ["timeout=1", "max=100, timeout=1"] {
        let upstream = Upstream::start(move |_, reply| {
            reply.raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nKeep-Alive: {keep_alive}\r\n\r\n\
                 {ANSWER}",
                ANSWER.len()
            ));
        });
        let gateway = Gateway::start(&simple(upstream.address));
        ask(&gateway, QUESTION);
        // Nothing but the gateway closes it.
        upstream.wait_ended(0);
        ask(&gateway, QUESTION);
        assert_eq!(connections(&upstream), [0, 1]);
    }
}

#[test]
fn a_connection_that_promises_no_rest_is_not_used_again() {
    for header in ["Connection: close", "Keep-Alive: timeout=0", "Connection: keep-alive, Close"] {
        let upstream = Upstream::start(move |_, reply| {
            reply.raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{header}\r\n\r\n{ANSWER}",
                ANSWER.len()
            ));
        });
        let gateway = Gateway::start(&simple(upstream.address));
        for _ in 0..4 {
            ask(&gateway, QUESTION);
        }
        assert_eq!(connections(&upstream), [0, 1, 2, 3], "{header}");
        // The upstream leaves them open: closing them is left to the gateway.
        (0..4).for_each(|connection| upstream.wait_ended(connection));
    }
}

#[test]
fn an_answer_of_http_1_0_ends_its_connection() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw(format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{ANSWER}"));
        reply.cut();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..3 {
        ask(&gateway, QUESTION);
    }
    assert_eq!(connections(&upstream), [0, 1, 2]);
}

#[test]
fn a_body_that_was_cut_short_ends_its_connection() {
    let upstream = Upstream::start(|seen, reply| match seen.connection {
        0 => {
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"text\":");
            reply.cut();
        }
        _ => reply.json("200 OK", ANSWER),
    });
    let gateway = Gateway::start(&simple(upstream.address));
    assert!(gateway.begin(QUESTION).read_response().is_err());
    ask(&gateway, QUESTION);
    ask(&gateway, QUESTION);
    assert_eq!(connections(&upstream), [0, 1, 1]);
}

#[test]
fn an_answer_longer_than_it_says_ends_its_connection() {
    // The rest must never be read as the answer to the next request.
    let upstream = Upstream::start(|_, reply| {
        let answer = |body: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        reply.raw(answer(ANSWER) + &answer("stolen"));
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for chat in 0..20 {
        ask(&gateway, &format!(r#"{{"question":"hi","chatId":"{chat}"}}"#));
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 20);
    assert_eq!(connections(&upstream), (0..20).collect::<Vec<_>>());
}

#[test]
fn an_upstream_that_closes_idle_connections_costs_no_request() {
    // At once, before the client can ask again.
    let (closed, was_closed) = channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::start(move |_, reply| {
        reply.json("200 OK", ANSWER);
        reply.cut();
        closed.lock().unwrap().send(()).expect("the test waits");
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..300 {
        ask(&gateway, QUESTION);
        was_closed.recv_timeout(PATIENCE).expect("the upstream's word");
    }
    assert_eq!(connections(&upstream), (0..300).collect::<Vec<_>>());
}

#[test]
fn an_upstream_that_closes_after_a_short_rest_costs_no_request() {
    // The upstream closes when nothing has come for 50 ms; the test asks once it has.
    let (closed, was_closed) = channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::raw(move |_, stream| {
        stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("a time-out");
        let mut request = [0; 4096];
        while let Ok(1..) = std::io::Read::read(&mut &stream, &mut request) {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nKeep-Alive: timeout=5\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{ANSWER}", ANSWER.len());
            std::io::Write::write_all(&mut &stream, answer.as_bytes()).expect("written");
        }
        drop(stream);
        closed.lock().unwrap().send(()).expect("the test waits");
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..20 {
        ask(&gateway, QUESTION);
        was_closed.recv_timeout(PATIENCE).expect("the upstream's word");
    }
    let errors = gateway.metrics().lines().filter(|line| line.starts_with("flowgate_upstream_errors_total{")).count();
    assert_eq!(errors, 0);
}

#[test]
fn an_upstream_that_closes_right_behind_its_answers_costs_no_request() {
    // Later than the client can ask again, so that a connection looks good at first.
    for pause in [1, 3] {
        let upstream = Upstream::start(move |_, reply| {
            reply.json("200 OK", ANSWER);
            reply.cut_after(std::time::Duration::from_millis(pause));
        });
        let gateway = Gateway::start(&simple(upstream.address));
        for number in 0..100 {
            let question = format!(r#"{{"question":"{number}","chatId":"c1"}}"#);
            ask(&gateway, &question);
        }
        let seen: Vec<_> = upstream.seen().iter().map(|seen| seen.json()["question"].clone()).collect();
        assert_eq!(seen, (0..100).map(|number| number.to_string()).collect::<Vec<_>>(), "each once");
        assert_eq!(connections(&upstream), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn an_upstream_that_closed_once_is_trusted_with_connections_that_have_rested() {
    let upstream = Upstream::start(|seen, reply| {
        reply.json("200 OK", ANSWER);
        if seen.connection == 0 {
            reply.cut();
        }
    });
    let gateway = Gateway::start(&simple(upstream.address));
    ask(&gateway, QUESTION);
    upstream.wait_ended(0);
    ask(&gateway, QUESTION);
    wait_for("a connection that is used again", || {
        ask(&gateway, QUESTION);
        let used = connections(&upstream);
        used.last().is_some_and(|last| used[..used.len() - 1].contains(last)).then_some(())
    });
}

#[test]
fn one_chat_sticks_to_one_upstream_and_chats_are_spread() {
    let upstreams = [Upstream::answering(), Upstream::answering(), Upstream::answering()];
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let gateway = Gateway::start(&several(&addresses));
    for round in 0..3 {
        for chat in 0..40 {
            ask(&gateway, &format!(r#"{{"question":"round {round}","chatId":"chat-{chat}"}}"#));
        }
    }
    let mut chats: Vec<String> = Vec::new();
    for upstream in &upstreams {
        let mut here: Vec<String> = upstream.seen().iter().map(|seen| seen.json()["chatId"].to_string()).collect();
        assert!(!here.is_empty());
        here.sort();
        here.dedup();
        chats.extend(here);
    }
    assert_eq!(chats.len(), 40, "each chat at one place: {chats:?}");
    for address in addresses {
        assert!(gateway.metrics().contains(&format!("{} 1", healthy(address))));
    }
}

#[test]
fn a_dead_upstream_is_left_out_until_it_is_back() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    let dead = socket.local_addr().expect("bound").as_socket().expect("an address");
    let alive = Upstream::answering();
    let gateway = Gateway::start(&several(&[dead, alive.address]));
    let start = std::time::Instant::now();
    for chat in 0..40 {
        ask(&gateway, &format!(r#"{{"question":"hi","chatId":"chat-{chat}"}}"#));
    }
    assert_eq!(alive.seen().len(), 40);
    gateway.wait_metric(&healthy(dead), 0.0);
    gateway.wait_metric(&healthy(alive.address), 1.0);
    // Of some twenty chats that belong there, one a second was tried.
    let tried = gateway.metric(r#"flowgate_upstream_errors_total{kind="connect",upstream="flowise"}"#);
    assert!(tried <= 2.0 + start.elapsed().as_secs_f64(), "{tried}");

    socket.listen(16).expect("listening");
    let served = std::sync::Arc::new(AtomicUsize::new(0));
    let thread = std::sync::Arc::clone(&served);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = socket.accept() {
            let stream = std::net::TcpStream::from(stream);
            let mut request = [0; 4096];
            while let Ok(1..) = std::io::Read::read(&mut &stream, &mut request) {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ANSWER}", ANSWER.len());
                std::io::Write::write_all(&mut &stream, answer.as_bytes()).expect("written");
                thread.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut chat = 0;
    wait_for("an answer from the upstream that is back", || {
        chat += 1;
        ask(&gateway, &format!(r#"{{"question":"hi","chatId":"chat-{chat}"}}"#));
        (served.load(Ordering::Relaxed) > 0).then_some(())
    });
    gateway.wait_metric(&healthy(dead), 1.0);
}

#[test]
fn a_request_is_not_repeated_when_a_used_connection_breaks() {
    let upstream = Upstream::start(|seen, reply| match seen.json()["question"].as_str() {
        Some("break") => reply.cut(),
        _ => reply.json("200 OK", ANSWER),
    });
    let gateway = Gateway::start(&simple(upstream.address));
    ask(&gateway, QUESTION);
    gateway.predict(r#"{"question":"break"}"#).assert_refused(502, "upstream_error");
    ask(&gateway, QUESTION);
    assert_eq!(connections(&upstream), [0, 0, 1]);
}

#[test]
fn concurrent_requests_get_connections_of_their_own() {
    let (open, gate) = crate::harness::upstream::Gate::new();
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        reply.event("start", "");
        gate.pass();
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut clients: Vec<_> = (0..8).map(|_| gateway.begin(r#"{"question":"hi","streaming":true}"#)).collect();
    for client in &mut clients {
        client.read_head().expect("a head");
        assert_eq!(client.read_chunk().expect("a chunk"), Some(record("start", "").into_bytes()));
    }
    let mut used = connections(&upstream);
    used.sort_unstable();
    assert_eq!(used, (0..8).collect::<Vec<_>>());
    (0..8).for_each(|_| open.send(()).expect("the upstream waits"));
    for client in &mut clients {
        assert!(client.read_chunk().expect("a chunk").is_some());
        assert_eq!(client.read_chunk().expect("the end"), None);
    }
}
