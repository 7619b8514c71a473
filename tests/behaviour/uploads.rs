//! Bodies that pass unread: whole, unchanged, and never held in memory.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::harness::client::Connection;
use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{KEY, PATIENCE, wait_for};

const MIB: usize = 1024 * 1024;

fn passthrough(upstream: SocketAddr, server: &str) -> String {
    config(upstream, server, "", ", body: passthrough", "")
}

/// The head of an upload; `framing` is its `Content-Length` or `Transfer-Encoding` line.
fn head(framing: &str) -> String {
    format!(
        "POST /api/v1/prediction/support HTTP/1.1\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n{framing}\r\n\r\n"
    )
}

/// Bytes of which no two pieces are alike.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// `VmHWM` or `VmRSS` in bytes.
fn memory(gateway: &Gateway, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
}

/// What an upstream saw of an upload.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Head,
    /// That many bytes of body in all.
    Received(usize),
    /// The connection has ended before the body.
    BrokenOff,
}

/// An upstream that reads a body as it comes, tells of each piece, and never answers.
fn listening() -> (Upstream, Receiver<Event>) {
    let (told, events) = channel();
    let told: Mutex<Sender<Event>> = Mutex::new(told);
    let upstream = Upstream::raw(move |_, stream| {
        let told = told.lock().unwrap().clone();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        let _ = told.send(Event::Head);
        let mut received = 0;
        let mut piece = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = reader.read(&mut piece) {
            received += read;
            let _ = told.send(Event::Received(received));
        }
        let _ = told.send(Event::BrokenOff);
    });
    (upstream, events)
}

#[track_caller]
fn wait_event(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) {
    while !wanted(&events.recv_timeout(PATIENCE).expect("an event at the upstream")) {}
}

#[test]
fn twenty_megabytes_pass_unchanged_and_unheld() {
    let body = noise(20 * MIB);
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&passthrough(upstream.address, ""));
    // The first request allocates what every request needs.
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).status, 200);
    let before = memory(&gateway, "VmHWM");
    let mut expected = 1;
    for chunked in [false, true] {
        let mut connection = Connection::open(gateway.http);
        if chunked {
            connection.write(head("Transfer-Encoding: chunked"));
            for piece in body.chunks(100_000) {
                connection.write([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            connection.write("0\r\n\r\n");
        } else {
            connection.write(head(&format!("Content-Length: {}", body.len())));
            connection.write(&body);
        }
        let response = connection.read_response().expect("an answer");
        assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
        expected += 1;
        let seen = upstream.wait_seen(expected).pop().expect("a request");
        assert!(seen.body == body, "{} of {} bytes arrived, or others", seen.body.len(), body.len());
        assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=b"));
        let (length, coding) = (seen.header("content-length"), seen.header("transfer-encoding"));
        if chunked {
            assert_eq!((length, coding), (None, Some("chunked")));
        } else {
            assert_eq!((length, coding), (Some(body.len().to_string().as_str()), None));
        }
    }
    let grown = memory(&gateway, "VmHWM").saturating_sub(before);
    assert!(grown < 8 * MIB, "grew by {grown} bytes");
}

#[test]
fn a_slow_upstream_holds_the_client_up_and_nothing_is_piled_up() {
    let (open, gate) = crate::harness::upstream::Gate::new();
    let upstream = Upstream::raw(move |_, mut stream| {
        gate.pass();
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        let read = std::io::copy(&mut reader.take(20 * MIB as u64), &mut std::io::sink()).expect("a body");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: 8\r\n\r\n{read}").expect("written");
    });
    let gateway = Gateway::start(&passthrough(upstream.address, ""));
    let before = memory(&gateway, "VmHWM");
    let mut connection = Connection::open(gateway.http);
    connection.write(head(&format!("Content-Length: {}", 20 * MIB)));
    // As much as the sockets' buffers take.
    let socket = connection.reader.get_ref().try_clone().expect("a second handle");
    socket.set_nonblocking(true).expect("non-blocking");
    let piece = vec![b'x'; 64 * 1024];
    let (mut sent, mut stuck) = (0, 0);
    wait_for("the client to be held up", || {
        match (&socket).write(&piece[..piece.len().min(20 * MIB - sent)]) {
            Ok(written) => {
                sent += written;
                stuck = 0;
            }
            Err(_) => stuck += 1,
        }
        // A poll is 2 ms.
        (stuck > 100).then_some(())
    });
    assert!(sent < 20 * MIB);
    let grown = memory(&gateway, "VmHWM").saturating_sub(before);
    assert!(grown < 8 * MIB, "grew by {grown} bytes");
    open.send(()).expect("the upstream waits");
    socket.set_nonblocking(false).expect("blocking");
    connection.write(vec![b'x'; 20 * MIB - sent]);
    assert_eq!(connection.read_response().expect("an answer").text(), "20971520");
}

#[test]
fn an_upload_above_the_limit_is_refused_by_its_length_before_the_upstream_hears_of_it() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&passthrough(upstream.address, ", max_upload: 100KiB"));
    let mut connection = Connection::open(gateway.http);
    connection.write(head(&format!("Content-Length: {}", 100 * 1024 + 1)));
    connection.read_response().expect("an answer").assert_refused(413, "body_too_large");
    assert!(upstream.seen().is_empty());
    // The limit itself is allowed.
    let mut connection = Connection::open(gateway.http);
    connection.write(head("Content-Length: 102400"));
    connection.write(noise(102_400));
    assert_eq!(connection.read_response().expect("an answer").status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_upload_that_grows_above_the_limit_is_refused_and_never_completed() {
    let (upstream, events) = listening();
    let gateway = Gateway::start(&passthrough(upstream.address, ", max_upload: 100KiB"));
    let mut connection = Connection::open(gateway.http);
    connection.write(head("Transfer-Encoding: chunked"));
    for piece in noise(150 * 1024).chunks(10 * 1024) {
        connection.write([b"2800\r\n".as_slice(), piece, b"\r\n"].concat());
    }
    connection.read_response().expect("an answer").assert_refused(413, "body_too_large");
    wait_event(&events, |event| *event == Event::BrokenOff);
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.metric("flowgate_rejected_total{rule=\"body_size\"}").to_string(), "1");
    // Not the upstream's fault.
    assert!(!gateway.metrics().contains("flowgate_upstream_errors_total{"));
}

#[test]
fn json_that_passes_unread_keeps_to_the_limit_of_json() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&passthrough(upstream.address, ", max_body: 1KiB, max_upload: 1MiB"));
    gateway.predict(&"x".repeat(1025)).assert_refused(413, "body_too_large");
    assert!(upstream.seen().is_empty());
    let body = "x".repeat(1024);
    assert_eq!(gateway.predict(&body).status, 200);
    assert_eq!(upstream.seen()[0].body, body.as_bytes());
}

#[test]
fn a_client_that_stops_mid_upload_takes_the_upstream_call_along() {
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let (upstream, events) = listening();
        let gateway = Gateway::start(&passthrough(upstream.address, ""));
        let mut connection = Connection::open(gateway.http);
        connection.write(head(framing));
        connection.write([b"c350\r\n".as_slice(), &noise(50_000), b"\r\n"].concat());
        wait_event(&events, |event| matches!(event, Event::Received(50_000..)));
        drop(connection);
        wait_event(&events, |event| *event == Event::BrokenOff);
        upstream.wait_ended(0);
        gateway.log_line(|line| line["message"] == "request");
        assert!(!gateway.metrics().contains("flowgate_upstream_errors_total{"), "{framing}");
    }
}

#[test]
fn an_upload_that_falls_silent_is_a_408() {
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let (upstream, events) = listening();
        let gateway = Gateway::start(&passthrough(upstream.address, ", body_timeout: 300ms"));
        let mut connection = Connection::open(gateway.http);
        connection.write(head(framing));
        connection.write([b"c350\r\n".as_slice(), &noise(50_000), b"\r\n"].concat());
        connection.read_response().expect("an answer").assert_refused(408, "request_timeout");
        wait_event(&events, |event| *event == Event::BrokenOff);
        assert!(!gateway.metrics().contains("flowgate_upstream_errors_total{"), "{framing}");
        // Where the body would end is not known any more.
        assert!(connection.is_closed());
    }
}

#[test]
fn a_slow_upload_is_no_fault_of_the_upstream() {
    // It takes longer than the response timeout, but never stops for long.
    let upstream = Upstream::answering();
    let more = ", response_timeout: 400ms";
    let gateway = Gateway::start(&config(upstream.address, "", more, ", body: passthrough", ""));
    let mut connection = Connection::open(gateway.http);
    connection.write(head("Transfer-Encoding: chunked"));
    let start = std::time::Instant::now();
    let mut pieces = 0;
    wait_for("a second to pass", || {
        connection.write("1\r\nx\r\n");
        pieces += 1;
        (start.elapsed().as_millis() > 1000).then_some(())
    });
    connection.write("0\r\n\r\n");
    assert_eq!(connection.read_response().expect("an answer").status, 200);
    assert_eq!(upstream.seen()[0].body.len(), pieces);
}

#[test]
fn an_upstream_that_answers_early_is_heard() {
    for keeps_open in [true, false] {
        let upstream = Upstream::raw(move |_, mut stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let body = r#"{"statusCode":500,"success":false,"message":"Unexpected file field","stack":{}}"#;
            let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
            if keeps_open {
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
            }
        });
        let gateway = Gateway::start(&passthrough(upstream.address, ""));
        let mut connection = Connection::open(gateway.http);
        connection.write(head(&format!("Content-Length: {}", 10 * MIB)));
        connection.write(noise(MIB / 4));
        let response = connection.read_response().expect("an answer");
        // Closing on unread bytes resets the connection, and a reset may overtake the answer, or its body.
        if keeps_open {
            response.assert_refused(500, "upstream_error");
            assert_eq!(response.json()["message"], "Unexpected file field");
        } else {
            let status = if response.status == 500 { 500 } else { 502 };
            response.assert_refused(status, "upstream_error");
        }
        upstream.wait_ended(0);
    }
}

#[test]
fn a_request_that_expects_a_go_ahead_gets_it_and_the_upstream_gets_no_such_wish() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&passthrough(upstream.address, ", max_upload: 1KiB"));
    let mut connection = Connection::open(gateway.http);
    connection.write(head("Expect: 100-continue\r\nContent-Length: 5"));
    assert_eq!(connection.read_head().expect("a go-ahead").status, 100);
    connection.write("hello");
    assert_eq!(connection.read_response().expect("an answer").status, 200);
    assert_eq!(upstream.seen()[0].header("expect"), None);
    assert_eq!(upstream.seen()[0].body, b"hello");
    // Who is refused is refused before anything is uploaded.
    let mut connection = Connection::open(gateway.http);
    connection.write(head("Expect: 100-continue\r\nContent-Length: 5000"));
    let response = connection.read_head().expect("an answer");
    assert_eq!(response.status, 413);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn many_uploads_at_once_arrive_each_unchanged() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&passthrough(upstream.address, ""));
    let bodies: Vec<Vec<u8>> = (1..=8_usize).map(|number| noise(number * 100_000 + number)).collect();
    std::thread::scope(|scope| {
        for body in &bodies {
            scope.spawn(|| {
                let stream = TcpStream::connect(gateway.http).expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                let mut connection = Connection::over(stream);
                connection.write(head(&format!("Content-Length: {}", body.len())));
                body.chunks(7_777).for_each(|piece| connection.write(piece));
                assert_eq!(connection.read_response().expect("an answer").text(), ANSWER);
            });
        }
    });
    let mut arrived: Vec<Vec<u8>> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    arrived.sort_by_key(Vec::len);
    assert!(arrived == bodies);
}
