//! The TLS listener.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::mounted::{EVERY_WAY, How, Mounted};
use crate::harness::tls::{Authority, TlsStream, connect};
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{KEY, PATIENCE, h2, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const TLS: &str = ", tls: { listen: '127.0.0.1:0' }";

fn start(upstream: &Upstream, authority: &Authority) -> Gateway {
    let text = config(upstream.address, TLS, "", "", "");
    Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder))
}

fn https(gateway: &Gateway) -> SocketAddr {
    gateway.https.expect("a TLS listener")
}

fn ask(connection: &mut Connection<TlsStream>) -> std::io::Result<client::Response> {
    let bytes = request("POST", PATH, &[("x-api-key", KEY)], r#"{"question":"hi"}"#);
    let stream = connection.reader.get_mut();
    stream.write_all(&bytes)?;
    stream.flush()?;
    connection.read_response()
}

#[test]
fn http_1_and_2_are_served_over_tls_1_2_and_1_3_as_the_client_prefers() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    for version in [&TLS12, &TLS13] {
        for (offered, chosen) in [
            (vec!["http/1.1"], Some("http/1.1")),
            // The server's preference counts.
            (vec!["http/1.1", "h2"], Some("h2")),
            (vec![], None),
        ] {
            let config = authority.client_as(&[version], &offered, None);
            if chosen == Some("h2") {
                let client = h2::Client::connect(config, https(&gateway));
                let response = client.send("POST", PATH, &[("x-api-key", KEY)], r#"{"question":"hi"}"#);
                assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
                continue;
            }
            let mut connection = connect(config, https(&gateway));
            let response = ask(&mut connection).unwrap();
            assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
            let session = &connection.reader.get_ref().conn;
            assert_eq!(session.protocol_version(), Some(version.version));
            assert_eq!(session.alpn_protocol(), chosen.map(str::as_bytes));
        }
    }
    for seen in upstream.wait_seen(6) {
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
        assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
    }
}

#[test]
fn cleartext_on_the_tls_port_is_refused() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    let mut stream = TcpStream::connect(https(&gateway)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&request("POST", PATH, &[("x-api-key", KEY)], r#"{"question":"hi"}"#)).unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!(read.is_ok() || read.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    gateway.wait_metric("flowgate_tls_handshake_failures_total", 1.0);
    assert!(upstream.seen().is_empty());
}

#[test]
fn tls_1_1_is_refused() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    // A ClientHello of TLS 1.1: version, random, no session, two suites, no compression, signature_algorithms.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0, 0, 10, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4]);
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &hello[..]].concat();
    let mut stream = TcpStream::connect(https(&gateway)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&record).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    // An alert: fatal, protocol_version.
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "{answer:?}");
    gateway.wait_metric("flowgate_tls_handshake_failures_total", 1.0);
}

#[test]
fn a_client_certificate_is_required_once_a_client_ca_is_set() {
    let (upstream, authority, clients) = (Upstream::answering(), Authority::new(), Authority::new());
    let text = config(upstream.address, ", tls: { listen: '127.0.0.1:0', client_ca_file: clients.pem }", "", "", "");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| {
        authority.write_into(folder);
        std::fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
    });
    for version in [&TLS12, &TLS13] {
        let without = authority.client_as(&[version], &[], None);
        assert!(ask(&mut connect(without, https(&gateway))).is_err());
        let stranger = authority.client_as(&[version], &[], Some(&Authority::new()));
        assert!(ask(&mut connect(stranger, https(&gateway))).is_err());
        assert!(upstream.seen().len() < 2, "a refused client was served");
        let known = authority.client_as(&[version], &[], Some(&clients));
        assert_eq!(ask(&mut connect(known, https(&gateway))).unwrap().status, 200);
    }
    assert_eq!(upstream.seen().len(), 2);
    gateway.wait_metric("flowgate_tls_handshake_failures_total", 4.0);
    // A certificate stands in for no key.
    let mut connection = connect(authority.client_as(&[&TLS13], &[], Some(&clients)), https(&gateway));
    connection.write(request("POST", PATH, &[], r#"{"question":"hi"}"#));
    connection.read_response().unwrap().assert_refused(401, "missing_api_key");
}

#[test]
fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    for how in EVERY_WAY {
        let upstream = Upstream::answering();
        let (old, new) = (Authority::new(), Authority::new());
        let text = config(
            upstream.address,
            ", tls: { listen: '127.0.0.1:0', cert_file: tls/tls.crt, key_file: tls/tls.key }",
            "",
            "",
            "",
        );
        let mut mounted = None;
        let gateway = Gateway::start_with(&text, &keys(""), |folder| {
            let mount = Mounted::new(&folder.join("tls"), how);
            let (certificate, key) = old.issue_until(2040);
            mount.put(&[("tls.crt", &certificate), ("tls.key", &key)]);
            mounted = Some(mount);
        });
        let file = gateway.file("tls/tls.crt");
        let expiry = format!("flowgate_certificate_expiry_seconds{{file=\"{}\"}}", file.display());
        gateway.wait_metric(&expiry, 2_208_988_800.0);
        let mut before = connect(old.client(&[]), https(&gateway));
        assert_eq!(ask(&mut before).unwrap().status, 200);

        let (certificate, key) = new.issue_until(2041);
        mounted.unwrap().put(&[("tls.crt", &certificate), ("tls.key", &key)]);
        wait_for("the new certificate", || ask(&mut connect(new.client(&[]), https(&gateway))).ok());
        gateway.wait_metric(&expiry, 2_240_611_200.0);
        let accepted = r#"flowgate_config_reloads_total{file="certificates",result="accepted"}"#;
        wait_for("the reload's count", || (gateway.metric(accepted) >= 1.0).then_some(()));
        assert!(ask(&mut connect(old.client(&[]), https(&gateway))).is_err(), "{how:?}");
        assert_eq!(ask(&mut before).unwrap().status, 200, "{how:?}: a live connection goes on");
    }
}

#[test]
fn broken_or_unfit_certificate_files_leave_the_old_certificate_in_force() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    let rejected = r#"flowgate_config_reloads_total{file="certificates",result="rejected"}"#;
    let mount = Mounted::new(gateway.dir(), How::Rename);
    let (good, good_key) = authority.issue();
    let half = &good[..good.len() / 2];
    for (count, (file, text)) in
        (1_u8..).zip([("tls.crt", half), ("tls.crt", ""), ("tls.crt", &good), ("tls.key", "no key")])
    {
        mount.put(&[(file, text)]);
        gateway.wait_metric(rejected, f64::from(count));
        gateway.log_line(|line| {
            line["level"] == "ERROR" && line["problem"].as_str().is_some_and(|problem| problem.contains("/tls."))
        });
        assert_eq!(ask(&mut connect(authority.client(&[]), https(&gateway))).unwrap().status, 200, "{file}");
    }
    mount.put(&[("tls.key", &good_key)]);
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="certificates",result="accepted"}"#, 1.0);
    let connection = &mut connect(authority.client(&[]), https(&gateway));
    assert_eq!(ask(connection).unwrap().status, 200);
    let served = connection.reader.get_ref().conn.peer_certificates().unwrap()[0].to_vec();
    let wanted = CertificateDer::from_pem_slice(good.as_bytes()).unwrap();
    assert_eq!(served, wanted.to_vec());
}

#[test]
fn a_handshake_that_never_ends_blocks_nobody() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    let mut stuck: Vec<_> = (0..20).map(|_| TcpStream::connect(https(&gateway)).unwrap()).collect();
    for stream in &mut stuck {
        // The start of a record that says it is longer.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    }
    gateway.wait_metric("flowgate_connections", 20.0);
    assert_eq!(ask(&mut connect(authority.client(&[]), https(&gateway))).unwrap().status, 200);
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).status, 200);
    drop(stuck);
    gateway.wait_metric("flowgate_tls_handshake_failures_total", 20.0);
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn without_a_cleartext_listener_there_is_tls_alone() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let text =
        config(upstream.address, TLS, "", "", "").replace("listen: '127.0.0.1:0', workers", "listen: null, workers");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    assert_eq!(gateway.http.port(), 0, "no cleartext listener is announced");
    assert_eq!(ask(&mut connect(authority.client(&[]), https(&gateway))).unwrap().status, 200);
    assert!(gateway.log().iter().all(|line| !line.contains(r#""listener":"http""#)));
}

#[test]
fn a_session_is_resumed_without_early_data() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = start(&upstream, &authority);
    let config = Arc::new(authority.client(&[]));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut connection = connect((*config).clone(), https(&gateway));
        assert_eq!(ask(&mut connection).unwrap().status, 200);
        let session = &mut connection.reader.get_mut().conn;
        assert!(session.early_data().is_none());
        kinds.push(session.handshake_kind());
    }
    assert_eq!(kinds, [Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed)]);
}
