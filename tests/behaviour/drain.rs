//! The way down: SIGTERM and SIGINT.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::h2::Raw;
use crate::harness::tls::Authority;
use crate::harness::upstream::{ANSWER, Upstream, record};
use crate::harness::{FLOW, KEY, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";
const CUT: &str = "message:\ndata:{\"event\":\"error\",\"data\":\"The gateway is shutting down.\"}\n\n";

fn ask(gateway: &Gateway, id: &str, body: &str) -> Connection {
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PATH, &[("x-api-key", KEY), ("x-request-id", id)], body));
    connection
}

/// Answers and ends its streams once it is told to.
fn waiting() -> (Upstream, Arc<AtomicBool>) {
    let finish = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let finish = Arc::clone(&finish);
        move |seen, reply| {
            if seen.method == "PUT" {
                return reply.json("200 OK", "{}");
            }
            let streaming = seen.json()["streaming"] == true;
            if streaming {
                reply.stream_head();
                reply.event("token", "first");
            }
            wait_for("the word", || finish.load(Ordering::SeqCst).then_some(()));
            if streaming {
                reply.event("end", "[DONE]");
                reply.finish();
            } else {
                reply.json("200 OK", ANSWER);
            }
        }
    });
    (upstream, finish)
}

fn wait_until_not_ready(gateway: &Gateway) {
    wait_for("readyz 503", || (client::get(gateway.admin, "/readyz", &[]).status == 503).then_some(()));
}

#[test]
fn an_idle_gateway_ends_at_once_with_code_0() {
    for signal in ["TERM", "INT"] {
        let upstream = Upstream::answering();
        let mut gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
        assert_eq!(client::get(gateway.admin, "/readyz", &[]).text(), "ok\n");
        let mut idle = ask(&gateway, "kept-alive", r#"{"question":"hi"}"#);
        assert_eq!(idle.read_response().unwrap().status, 200);
        let mut silent = Connection::open(gateway.http);
        gateway.wait_metric("flowgate_connections", 2.0);
        gateway.signal(signal);
        assert!(idle.is_closed());
        assert!(silent.is_closed());
        assert_eq!(gateway.wait().code(), Some(0), "{signal}");
        gateway.log_line(|line| line["message"] == "stopped" && line["connections_cut"] == 0);
        let lines = gateway.log();
        let at = |wanted: &str| lines.iter().position(|line| line.contains(&format!(r#""message":"{wanted}""#)));
        assert!(at("draining").unwrap() < at("stopped").unwrap());
    }
}

#[test]
fn running_requests_and_streams_finish_while_nothing_new_is_accepted() {
    for signal in ["TERM", "INT"] {
        let (upstream, finish) = waiting();
        let mut gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
        let mut json = ask(&gateway, "running-json", r#"{"question":"hi"}"#);
        let mut stream = ask(&gateway, "running-stream", r#"{"question":"hi","streaming":true}"#);
        assert_eq!(stream.read_head().unwrap().status, 200);
        assert!(stream.read_chunk().unwrap().is_some());
        upstream.wait_seen(2);

        gateway.signal(signal);
        wait_until_not_ready(&gateway);
        assert_eq!(client::get(gateway.admin, "/livez", &[]).status, 200);
        wait_for("a closed listener", || TcpStream::connect(gateway.http).is_err().then_some(()));
        gateway.wait_metric("flowgate_connections", 2.0);

        finish.store(true, Ordering::SeqCst);
        let response = json.read_response().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
        assert_eq!(response.header("connection"), Some("close"));
        assert!(json.is_closed());
        assert_eq!(stream.read_chunk().unwrap().unwrap(), END.as_bytes());
        assert_eq!(stream.read_chunk().unwrap(), None);
        assert!(stream.is_closed());
        assert_eq!(gateway.wait().code(), Some(0));
        assert_eq!(gateway.access_line("running-json")["end"], "complete");
        assert_eq!(gateway.access_line("running-stream")["end"], "done");
        assert!(upstream.seen().iter().all(|seen| seen.method == "POST"), "nothing is aborted");
    }
}

#[test]
fn a_request_that_is_still_arriving_is_answered() {
    let upstream = Upstream::answering();
    let mut gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
    let mut arriving = Connection::open(gateway.http);
    let whole = request("POST", PATH, &[("x-api-key", KEY), ("expect", "100-continue")], r#"{"question":"hi"}"#);
    let (head, body) = whole.split_at(whole.len() - 17);
    arriving.write(head);
    assert_eq!(arriving.read_head().unwrap().status, 100);
    gateway.signal("TERM");
    wait_until_not_ready(&gateway);
    arriving.write(body);
    let response = arriving.read_response().unwrap();
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_connection_that_came_just_before_may_ask_once() {
    let upstream = Upstream::answering();
    let mut gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
    let mut fresh = Connection::open(gateway.http);
    gateway.wait_metric("flowgate_connections", 1.0);
    gateway.signal("TERM");
    gateway.log_line(|line| line["message"] == "draining");
    wait_for("a closed listener", || TcpStream::connect(gateway.http).is_err().then_some(()));
    fresh.write(request("POST", PATH, &[("x-api-key", KEY)], r#"{"question":"hi"}"#));
    let response = fresh.read_response().unwrap();
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(fresh.is_closed());
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Whoever opens connections and says nothing could hold up each restart for the whole of its grace.
#[test]
fn nobody_is_waited_for_who_has_asked_nothing() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let more = ", tls: { listen: '127.0.0.1:0' }, shutdown_grace: 1h";
    let text = config(upstream.address, more, "", "", "");
    let mut gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    let https = gateway.https.expect("TLS");
    let mut half = Connection::open(gateway.http);
    half.write("POST /api/v1/pre");
    let _no_handshake = Connection::open(https);
    // It answers neither the farewell nor a ping.
    let _mute = Raw::connect(authority.client(&[]), https, &[]);
    gateway.wait_metric("flowgate_connections", 3.0);
    let begun = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_stream_beyond_the_grace_ends_with_an_error_and_its_chat_is_aborted() {
    let admin = Arc::new(OnceLock::new());
    let (metrics, metrics_seen) = std::sync::mpsc::channel();
    let upstream = Upstream::start({
        let admin = Arc::clone(&admin);
        move |seen, reply| {
            if seen.method == "PUT" {
                // The gateway waits for this answer, so its metrics can still be asked for.
                metrics.send(client::get(*admin.get().unwrap(), "/metrics", &[]).text()).unwrap();
                return reply.json("200 OK", "{}");
            }
            reply.stream_head();
            reply.event("token", "first");
            reply.wait_for_close();
        }
    });
    let mut gateway = Gateway::start(&config(upstream.address, ", shutdown_grace: 200ms", "", "", ""));
    admin.set(gateway.admin).unwrap();
    let mut stream = ask(&gateway, "beyond-the-grace", r#"{"question":"hi","streaming":true,"chatId":"c1"}"#);
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().unwrap().starts_with(b"message:\ndata:{\"event\":\"token\""));
    gateway.signal("TERM");
    let mut rest = Vec::new();
    while let Some(chunk) = stream.read_chunk().unwrap() {
        rest.extend(chunk);
    }
    assert_eq!(String::from_utf8_lossy(&rest), format!("{CUT}{END}"));
    assert!(stream.is_closed());
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.access_line("beyond-the-grace")["end"], "drained");
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c1"));
    let metrics = metrics_seen.recv().unwrap();
    assert!(metrics.contains("flowgate_streams_ended_total{reason=\"drained\"} 1\n"), "{metrics}");
}

#[test]
fn a_request_beyond_the_grace_is_cut_and_its_chat_is_aborted() {
    let upstream = Upstream::start(|seen, reply| match seen.method.as_str() {
        "PUT" => reply.json("200 OK", "{}"),
        _ => drop(reply.wait_for_close()),
    });
    let mut gateway = Gateway::start(&config(upstream.address, ", shutdown_grace: 200ms", "", "", ""));
    let mut waiting = ask(&gateway, "beyond-the-grace", r#"{"question":"hi","chatId":"c2"}"#);
    upstream.wait_seen(1);
    gateway.signal("TERM");
    assert!(waiting.is_closed());
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.log_line(|line| line["message"] == "stopped" && line["connections_cut"] == 1);
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c2"));
}

#[test]
fn a_second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("INT", "TERM")] {
        let (upstream, finish) = waiting();
        let mut gateway = Gateway::start(&config(upstream.address, ", shutdown_grace: 1h", "", "", ""));
        let mut stream = ask(&gateway, "cut-off", r#"{"question":"hi","streaming":true}"#);
        assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
        gateway.signal(first);
        wait_until_not_ready(&gateway);
        gateway.signal(second);
        assert_eq!(gateway.wait().code(), Some(1), "{first}, {second}");
        let mut rest = Vec::new();
        let _ = stream.reader.read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || rest.contains("shutting down"), "a cut is no regular end: {rest}");
        finish.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_grace_of_zero_cuts_running_requests() {
    let (upstream, finish) = waiting();
    let mut gateway = Gateway::start(&config(upstream.address, ", shutdown_grace: 0s", "", "", ""));
    let mut waiting = ask(&gateway, "no-grace-at-all", r#"{"question":"hi"}"#);
    upstream.wait_seen(1);
    gateway.signal("TERM");
    assert!(waiting.is_closed());
    assert_eq!(gateway.wait().code(), Some(0));
    finish.store(true, Ordering::SeqCst);
}

/// Begins a stream that never pauses.
fn pouring() -> Upstream {
    Upstream::start(|seen, reply| {
        if seen.method == "PUT" {
            return reply.json("200 OK", "{}");
        }
        reply.stream_head();
        assert!(reply.pour(&record("token", "and so on ").repeat(20)), "the gateway gives the stream up");
    })
}

#[test]
fn a_stream_that_never_pauses_ends_with_its_last_words_as_well() {
    let upstream = pouring();
    for grace in ["200ms", "0s"] {
        let grace = format!(", shutdown_grace: {grace}");
        let mut gateway = Gateway::start(&config(upstream.address, &grace, "", "", ""));
        let bodies = ["c1", "c2"].map(|chat| format!(r#"{{"question":"hi","streaming":true,"chatId":"{chat}"}}"#));
        let mut streams =
            [("never-pauses-1", &bodies[0]), ("never-pauses-2", &bodies[1])].map(|(id, body)| ask(&gateway, id, body));
        for stream in &mut streams {
            assert_eq!(stream.read_head().unwrap().status, 200);
            assert!(stream.read_chunk().unwrap().is_some());
        }
        // Each is read as fast as it comes, so that the gateway always has more to pass on.
        let readers = streams.map(|mut stream| {
            std::thread::spawn(move || {
                let mut last = String::new();
                let mut records = 0;
                while let Some(chunk) = stream.read_chunk().expect("a regular end") {
                    last.push_str(&String::from_utf8(chunk).expect("text"));
                    records += last.matches("\n\n").count();
                    let keep = last.len().saturating_sub(4096);
                    last.drain(..keep);
                }
                (records, last)
            })
        });
        gateway.signal("TERM");
        for reader in readers {
            let (records, last) = reader.join().expect("the reader");
            assert!(records > 0 && last.ends_with(&format!("\n\n{CUT}{END}")), "{last}");
        }
        assert_eq!(gateway.wait().code(), Some(0));
        for id in ["never-pauses-1", "never-pauses-2"] {
            assert_eq!(gateway.access_line(id)["end"], "drained");
        }
    }
}

#[test]
fn a_stream_that_nobody_reads_holds_nothing_up_beyond_the_grace() {
    let upstream = pouring();
    let mut gateway = Gateway::start(&config(upstream.address, ", shutdown_grace: 200ms", "", "", ""));
    let mut unread = ask(&gateway, "nobody-reads", r#"{"question":"hi","streaming":true,"chatId":"c1"}"#);
    assert_eq!(unread.read_head().unwrap().status, 200);
    assert!(unread.read_chunk().unwrap().is_some());
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.log_line(|line| line["message"] == "stopped" && line["connections_cut"] == 1);
    let mut rest = Vec::new();
    let _ = unread.reader.read_to_end(&mut rest);
    // Its last words had room, or it is cut: no end that looks like one.
    let rest = String::from_utf8_lossy(&rest);
    assert!(!rest.ends_with("\r\n0\r\n\r\n") || rest.contains(CUT), "a cut is no regular end");
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c1"));
}
