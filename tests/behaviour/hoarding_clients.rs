//! Clients that hold more connections than there are places.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::tls::{Authority, connect};
use crate::harness::upstream::{ANSWER, Gate, Upstream};
use crate::harness::{KEY, PATIENCE, h2, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;

fn prediction() -> Vec<u8> {
    request("POST", PATH, &[("x-api-key", KEY)], ASK)
}

#[test]
fn connections_beyond_the_bound_wait_while_all_others_are_in_use() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |_, reply| {
        gate.pass();
        reply.json("200 OK", ANSWER);
    });
    let gateway = Gateway::serving(upstream.address, ", max_connections: 2");
    let mut clients: Vec<_> = (0..2).map(|_| Connection::open(gateway.http)).collect();
    for client in &mut clients {
        client.write(prediction());
    }
    upstream.wait_seen(2);
    assert_eq!(client::get(gateway.admin, "/readyz", &[]).text(), "ok\n");
    for _ in 0..3 {
        let mut waiting = Connection::open(gateway.http);
        waiting.write(prediction());
        clients.push(waiting);
    }
    gateway.wait_metric("flowgate_connections_waiting", 1.0);
    let ready = client::get(gateway.admin, "/readyz", &[]);
    assert_eq!((ready.status, ready.text().as_str()), (503, "full\n"));
    assert_eq!(client::get(gateway.admin, "/livez", &[]).status, 200);
    gateway.wait_metric("flowgate_connections", 2.0);
    gateway.wait_metric("flowgate_connections_limit", 2.0);
    assert_eq!(upstream.seen().len(), 2, "those who wait have not been heard");
    // Each that has its answer makes room for one that waits.
    (0..5).for_each(|_| open.send(()).expect("the upstream waits"));
    for client in &mut clients {
        assert_eq!(client.read_response().unwrap().status, 200);
    }
    gateway.wait_metric("flowgate_connections_waiting", 0.0);
    gateway.wait_metric("flowgate_connections_left_total", 3.0);
    assert_eq!(client::get(gateway.admin, "/readyz", &[]).text(), "ok\n");
}

#[test]
fn the_connection_that_was_idle_longest_gives_way_and_none_in_use_does() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |_, reply| {
        gate.pass();
        reply.json("200 OK", ANSWER);
    });
    let gateway = Gateway::serving(upstream.address, ", max_connections: 4");
    let ping = request("GET", "/api/v1/ping", &[], "");
    let mut busy = Connection::open(gateway.http);
    busy.write(prediction());
    upstream.wait_seen(1);
    let mut idle: Vec<_> = (0..3).map(|_| Connection::open(gateway.http)).collect();
    for client in &mut idle {
        client.write(&ping);
        assert_eq!(client.read_response().unwrap().text(), "pong");
    }
    // The first one is the last to be used.
    idle.rotate_left(1);
    idle[2].write(&ping);
    assert_eq!(idle[2].read_response().unwrap().text(), "pong");
    let mut used = vec![busy];
    for (number, mut idle) in idle.into_iter().enumerate() {
        let mut newcomer = Connection::open(gateway.http);
        newcomer.write(&ping);
        assert_eq!(newcomer.read_response().unwrap().text(), "pong", "{number}");
        assert!(idle.is_closed());
        // It is in use from now on.
        newcomer.write(prediction());
        upstream.wait_seen(2 + number);
        used.push(newcomer);
    }
    (0..4).for_each(|_| open.send(()).expect("the upstream waits"));
    for client in &mut used {
        assert_eq!(client.read_response().unwrap().status, 200);
    }
    gateway.wait_metric("flowgate_connections_left_total", 3.0);
}

#[test]
fn an_idle_http_2_connection_gives_way_as_well() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = Gateway::serving_tls(upstream.address, ", max_connections: 1", &authority);
    let mut client = h2::Raw::connect(authority.client(&[]), gateway.https.unwrap(), &[]);
    client.request(1, "GET", "/api/v1/ping", &[], "");
    while client.read_kind(h2::DATA).flags & h2::END_STREAM == 0 {}
    client.write(h2::SETTINGS, h2::ACK, 0, b"");
    let newcomer = std::thread::spawn({
        let address = gateway.http;
        move || client::get(address, "/api/v1/ping", &[]).status
    });
    let goaway = client.read_kind(h2::GOAWAY);
    assert_eq!(goaway.payload[4..8], [0; 4], "nothing is wrong");
    client.read_to_end();
    assert_eq!(newcomer.join().unwrap(), 200);
}

/// Opens a connection from one of this machine's addresses.
fn from(address: &str, to: SocketAddr) -> Connection {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let address: std::net::IpAddr = address.parse().expect("an address");
    socket.bind(&SocketAddr::new(address, 0).into()).expect("bound");
    socket.connect(&to.into()).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    Connection::over(socket.into())
}

fn pongs(client: &mut Connection) -> bool {
    let _ = client.reader.get_mut().write_all(&request("GET", "/api/v1/ping", &[], ""));
    client.read_response().is_ok_and(|response| response.text() == "pong")
}

#[test]
fn one_address_has_its_share_of_connections() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", connections_per_address: 3");
    let mut open: Vec<_> = (0..3).map(|_| from("127.0.0.1", gateway.http)).collect();
    assert!(open.iter_mut().all(pongs));
    assert!(!pongs(&mut from("127.0.0.1", gateway.http)));
    gateway.wait_metric(r#"flowgate_connections_refused_total{reason="address"}"#, 1.0);
    let line = gateway.log_line(|line| line["level"] == "WARN");
    assert_eq!(line["client"], "127.0.0.1", "{line}");
    assert!(pongs(&mut from("127.0.0.2", gateway.http)), "another address");
    assert!(open.iter_mut().all(pongs), "those that are open stay");
    open.pop();
    wait_for("the place of one that is gone", || pongs(&mut from("127.0.0.1", gateway.http)).then_some(()));
}

#[test]
fn a_trusted_proxy_has_no_share_and_null_gives_none() {
    let upstream = Upstream::answering();
    for server in [", connections_per_address: 1, trusted_proxies: [127.0.0.1]", ", connections_per_address: null"] {
        let gateway = Gateway::serving(upstream.address, server);
        let mut open: Vec<_> = (0..5).map(|_| from("127.0.0.1", gateway.http)).collect();
        assert!(open.iter_mut().all(pongs), "{server}");
    }
}

#[test]
fn the_bound_on_connections_leaves_no_listener_and_no_worker_out() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let text = config(upstream.address, ", tls: { listen: '127.0.0.1:0' }, max_connections: 1", "", "", "");
    let text = text.replace("workers: 1", "workers: 3");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    for _ in 0..5 {
        assert_eq!(gateway.predict(ASK).status, 200);
        let mut client = connect(authority.client(&[]), gateway.https.unwrap());
        client.write(prediction());
        assert_eq!(client.read_response().unwrap().status, 200);
    }
}

#[test]
fn every_open_connection_is_counted_and_none_stays() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = Gateway::serving_tls(upstream.address, "", &authority);
    let plain: Vec<_> = (0..5).map(|_| Connection::open(gateway.http)).collect();
    let mut encrypted: Vec<_> = (0..5).map(|_| connect(authority.client(&[]), gateway.https.unwrap())).collect();
    for connection in &mut encrypted {
        connection.write(prediction());
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    gateway.wait_metric("flowgate_connections", 10.0);
    drop(plain);
    gateway.wait_metric("flowgate_connections", 5.0);
    drop(encrypted);
    gateway.wait_metric("flowgate_connections", 0.0);
}
