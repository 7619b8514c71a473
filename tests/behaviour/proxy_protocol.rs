//! The PROXY protocol before a connection, and headers that hold the client's address.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, TcpStream};

use serde_json::json;

use crate::harness::KEY;
use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLENTY, PREDICT, QUESTION};
use crate::harness::tls::{self, Authority};
use crate::harness::upstream::Upstream;

const CLIENT: &str = "203.0.113.7";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n";

fn start(upstream: &Upstream, server: &str) -> Gateway {
    Gateway::start(&config(upstream.address, server, "", "", PLENTY))
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

/// That of the address, with what else a proxy tells behind it.
fn binary_for(client: &str) -> Vec<u8> {
    match client.parse().unwrap() {
        IpAddr::V4(address) => {
            binary(0x21, 0x11, &[&address.octets()[..], &[192, 0, 2, 1, 0xc8, 0x22, 1, 0xbb], b"\x04\0\x02ab"].concat())
        }
        IpAddr::V6(address) => binary(0x21, 0x21, &[&address.octets()[..], &[0; 16], &[0xc8, 0x22, 1, 0xbb]].concat()),
    }
}

fn ask(id: &str) -> Vec<u8> {
    request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", id), ("x-forwarded-for", "198.51.100.9")], QUESTION)
}

/// The client in the access log, of a request behind that header.
#[track_caller]
fn client_behind(gateway: &Gateway, header: &[u8], id: &str) -> String {
    let mut connection = Connection::open(gateway.http);
    connection.write([header, &ask(id)].concat());
    assert_eq!(connection.read_response().unwrap().status, 200);
    gateway.access_line(id)["client"].as_str().unwrap().to_owned()
}

#[test]
fn the_client_is_whom_the_header_names() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], proxy_protocol: any");
    assert_eq!(client_behind(&gateway, LINE, "request-1"), CLIENT);
    assert_eq!(client_behind(&gateway, &binary_for(CLIENT), "request-2"), CLIENT);
    assert_eq!(client_behind(&gateway, &binary_for("2001:db8::7"), "request-3"), "2001:db8::7");
    assert_eq!(client_behind(&gateway, b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "request-4"), "2001:db8::7");
    // What is told to Flowise is that address as well, and what such a client says of itself is not believed.
    assert!(upstream.seen().iter().take(2).all(|seen| seen.header("x-forwarded-for") == Some(CLIENT)));
    // A proxy that speaks for itself, or names no address, is the client, and trusted.
    for (number, header) in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(0x20, 0, &[]),
        binary(0x21, 0, b"\x04\0\0"),
        binary(0x21, 0x31, &[b'/'; 216]),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(client_behind(&gateway, header, &format!("request-5{number}")), "198.51.100.9");
    }
}

#[test]
fn a_header_may_come_in_pieces_and_nothing_behind_it_is_lost() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], proxy_protocol: any");
    for (number, header) in [LINE.to_vec(), binary_for(CLIENT)].into_iter().enumerate() {
        let mut connection = Connection::open(gateway.http);
        for byte in header {
            connection.write([byte]);
        }
        let (first, second) = (format!("pieces-{number}-1"), format!("pieces-{number}-2"));
        connection.write([ask(&first), ask(&second)].concat());
        for id in [first, second] {
            assert_eq!(connection.read_response().unwrap().status, 200);
            assert_eq!(gateway.access_line(&id)["client"], CLIENT);
        }
    }
}

#[test]
fn it_comes_before_tls() {
    let authority = Authority::new();
    let upstream = Upstream::answering();
    let tls = ", tls: { listen: '127.0.0.1:0' }, trusted_proxies: [127.0.0.1], proxy_protocol: v2";
    let text = config(upstream.address, tls, "", "", PLENTY);
    let gateway = Gateway::start_with(&text, &keys(""), |dir| authority.write_into(dir));
    let mut stream = TcpStream::connect(gateway.https.unwrap()).unwrap();
    stream.write_all(&binary_for(CLIENT)).unwrap();
    let mut connection = tls::over(authority.client(&[]), stream);
    connection.write(ask("request-1"));
    assert_eq!(connection.read_response().unwrap().status, 200);
    assert_eq!(gateway.access_line("request-1")["client"], CLIENT);
}

#[test]
fn who_says_nothing_or_may_not_is_not_served() {
    let upstream = Upstream::answering();
    let wrong = "flowgate_connections_refused_total{reason=\"proxy_protocol\"}";
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], proxy_protocol: v2");
    let bad = [
        ask("request-1"),
        LINE.to_vec(),
        binary(0x21, 0x11, b"short"),
        binary(0x2f, 0x11, &[0; 12]),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(),
    ];
    for (count, begins) in (1_u32..).zip(&bad) {
        let mut connection = Connection::open(gateway.http);
        connection.write(begins);
        assert!(connection.is_closed(), "{begins:?}");
        gateway.wait_metric(wrong, f64::from(count));
    }
    gateway.log_line(|line| line["message"].as_str().is_some_and(|text| text.contains("server.proxy_protocol")));
    // One that begins and does not end is not waited for without end.
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], proxy_protocol: v1, header_timeout: 100ms");
    let mut connection = Connection::open(gateway.http);
    connection.write(&LINE[..20]);
    assert!(connection.is_closed());
    gateway.wait_metric(wrong, 1.0);
    let gateway = start(&upstream, ", trusted_proxies: [192.0.2.1], proxy_protocol: any");
    let mut connection = Connection::open(gateway.http);
    assert!(connection.is_closed());
    gateway.wait_metric("flowgate_connections_refused_total{reason=\"proxy_protocol_peer\"}", 1.0);
    gateway.log_line(|line| line["level"] == "WARN" && line["client"] == "127.0.0.1");
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn the_share_of_connections_is_the_clients() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], proxy_protocol: v1, connections_per_address: 1");
    let open = |client: &str, id: &str| {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!("PROXY TCP4 {client} 192.0.2.1 1 2\r\n"));
        connection.write(ask(id));
        connection
    };
    let mut first = open(CLIENT, "request-1");
    assert_eq!(first.read_response().unwrap().status, 200);
    assert!(open(CLIENT, "request-2").read_response().is_err());
    gateway.wait_metric("flowgate_connections_refused_total{reason=\"address\"}", 1.0);
    assert_eq!(open("203.0.113.8", "request-3").read_response().unwrap().status, 200);
    drop(first);
    gateway.wait_metric("flowgate_connections", 0.0);
    assert_eq!(open(CLIENT, "request-4").read_response().unwrap().status, 200);
}

#[test]
fn a_reload_turns_it_on_for_new_connections() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1]");
    let mut before = Connection::open(gateway.http);
    before.write(ask("request-1"));
    assert_eq!(before.read_response().unwrap().status, 200);
    let text = fs::read_to_string(gateway.file("flowgate.yaml")).unwrap();
    gateway.write("flowgate.yaml", text.replace("workers: 1", "workers: 1, proxy_protocol: v1"));
    gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", 1.0);
    assert_eq!(client_behind(&gateway, LINE, "request-2"), CLIENT);
    before.write(ask("request-3"));
    assert_eq!(before.read_response().unwrap().status, 200);
}

#[test]
fn one_header_holds_the_clients_address_where_it_is_said_so() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", trusted_proxies: [127.0.0.1], client_address_header: CF-Connecting-IP");
    let client = |fields: &[(&str, &str)]| {
        let fields = [&[("x-api-key", KEY), ("x-forwarded-for", "198.51.100.9")][..], fields].concat();
        let answer = client::post(gateway.http, PREDICT, &fields, QUESTION);
        gateway.access_line(answer.header("x-request-id").unwrap())["client"].as_str().unwrap().to_owned()
    };
    assert_eq!(client(&[("CF-Connecting-IP", CLIENT)]), CLIENT);
    assert_eq!(client(&[("cf-connecting-ip", "2001:db8::7")]), "2001:db8::7");
    let two = [("cf-connecting-ip", CLIENT), ("cf-connecting-ip", "203.0.113.8")];
    for unsaid in
        [&[][..], &[("cf-connecting-ip", "nonsense")], &[("cf-connecting-ip", "203.0.113.7, 203.0.113.8")], &two]
    {
        assert_eq!(client(unsaid), "127.0.0.1", "{unsaid:?}");
    }
    let told = |log: &[String]| log.iter().filter(|line| line.contains("server.client_address_header")).count();
    let line = gateway.log_line(|line| line["header"] == "cf-connecting-ip");
    assert_eq!((&line["level"], &line["proxy"]), (&json!("WARN"), &json!("127.0.0.1")));
    assert_eq!(told(&gateway.log()), 1, "once, however often");
    // Of nobody trusted it is not looked at.
    let gateway = start(&upstream, ", client_address_header: CF-Connecting-IP");
    let fields = [("x-api-key", KEY), ("cf-connecting-ip", CLIENT), ("x-request-id", "request-1")];
    client::post(gateway.http, PREDICT, &fields, QUESTION);
    assert_eq!(gateway.access_line("request-1")["client"], "127.0.0.1");
}
