//! Upstreams behind TLS: only those that prove who they are get a request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::FLOW;
use crate::harness::client::Response;
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::tls::{Authority, self_signed};
use crate::harness::upstream::{ANSWER, Upstream};

const QUESTION: &str = r#"{"question":"hi","chatId":"c1"}"#;

type Heads = Arc<Mutex<Vec<(usize, String)>>>;

fn server(
    authority: &Authority,
    names: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    serving(&authority.issue_for(names), versions)
}

/// The same with that certificate and key.
fn serving(
    (certificate, key): &(String, String),
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    Arc::new(config)
}

/// An upstream that speaks TLS; answers everything with [`ANSWER`]. The heads it saw, each with its connection.
fn secure(
    authority: &Authority,
    names: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (Upstream, Heads) {
    secure_with(server(authority, names, versions))
}

fn secure_with(config: Arc<ServerConfig>) -> (Upstream, Heads) {
    let heads = Heads::default();
    let upstream = Upstream::raw({
        let heads = Arc::clone(&heads);
        move |connection, stream| {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            serve(connection, StreamOwned::new(session, stream), &heads);
        }
    });
    (upstream, heads)
}

/// Until the gateway goes or does not like what it sees.
fn serve(connection: usize, stream: StreamOwned<ServerConnection, TcpStream>, heads: &Heads) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(1..) => {}
                _ => return,
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            head.push_str(&line);
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
        heads.lock().unwrap().push((connection, head));
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nKeep-Alive: timeout=5\r\n";
        write!(reader.get_mut(), "{answer}Content-Length: {}\r\n\r\n{ANSWER}", ANSWER.len()).expect("written");
        reader.get_mut().flush().expect("flushed");
    }
}

/// A gateway that trusts `authority` and calls `host` by that name.
fn gateway(upstream: &Upstream, host: &str, authority: &Authority) -> Gateway {
    gateway_with(upstream, host, authority, ", connect_timeout: 5s")
}

fn gateway_with(upstream: &Upstream, host: &str, authority: &Authority, more: &str) -> Gateway {
    trusting(upstream, host, &authority.pem(), more)
}

/// A gateway with that `ca_file`.
fn trusting(upstream: &Upstream, host: &str, pem: &str, more: &str) -> Gateway {
    let url = format!("https://{host}:{}", upstream.address.port());
    let config = config(upstream.address, "", &format!(", ca_file: ca.pem{more}"), "", "")
        .replace(&format!("http://{}", upstream.address), &url);
    Gateway::start_with(&config, &keys(""), |folder| std::fs::write(folder.join("ca.pem"), pem).expect("written"))
}

#[track_caller]
fn assert_refused_without_details(response: &Response) {
    response.assert_refused(502, "upstream_error");
    let text = response.text().to_ascii_lowercase();
    for detail in ["tls", "certificate", "https", "localhost", "127.0.0.1", "unknownissuer", "issuer", "rustls", FLOW] {
        assert!(!text.contains(detail), "{detail} in {text}");
    }
}

#[test]
fn an_upstream_known_by_its_authority_is_asked_over_tls() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for host in ["localhost", "127.0.0.1"] {
            let (upstream, heads) = secure(&authority, &["localhost", "127.0.0.1"], &[version]);
            let gateway = gateway(&upstream, host, &authority);
            for _ in 0..3 {
                let response = gateway.predict(QUESTION);
                assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
            }
            let heads = heads.lock().unwrap().clone();
            // One handshake for all.
            assert_eq!(heads.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [0, 0, 0]);
            let head = &heads[0].1;
            assert!(head.starts_with(&format!("post /api/v1/prediction/{FLOW} http/1.1\r\n")), "{head}");
            assert!(head.contains(&format!("host: {host}:{}\r\n", upstream.address.port())), "{head}");
            assert!(head.contains("authorization: bearer upstream-key\r\n"), "{head}");
        }
    }
}

#[test]
fn an_upstream_of_another_authority_gets_nothing() {
    let (upstream, heads) = secure(&Authority::new(), &["localhost"], rustls::ALL_VERSIONS);
    let gateway = gateway(&upstream, "localhost", &Authority::new());
    let response = gateway.predict(QUESTION);
    assert_refused_without_details(&response);
    assert!(heads.lock().unwrap().is_empty());
    // The log says why.
    let line = gateway.log_line(|line| line["level"] == "WARN");
    assert!(line.to_string().contains("certificate"), "{line}");
    gateway.wait_metric(r#"flowgate_upstream_errors_total{kind="connect",upstream="flowise"}"#, 1.0);
}

#[test]
fn an_upstream_of_another_name_gets_nothing() {
    let authority = Authority::new();
    let (upstream, heads) = secure(&authority, &["elsewhere.example"], rustls::ALL_VERSIONS);
    for host in ["localhost", "127.0.0.1"] {
        let gateway = gateway(&upstream, host, &authority);
        assert_refused_without_details(&gateway.predict(QUESTION));
    }
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn an_upstream_that_speaks_no_tls_gets_nothing() {
    let authority = Authority::new();
    let upstream = Upstream::answering();
    let gateway = gateway(&upstream, "localhost", &authority);
    assert_refused_without_details(&gateway.predict(QUESTION));
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_handshake_that_never_ends_is_a_502_after_the_connect_timeout() {
    let authority = Authority::new();
    let upstream = Upstream::raw(|_, mut stream| {
        // Reads the hello and says nothing.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let gateway = gateway_with(&upstream, "localhost", &authority, ", connect_timeout: 300ms");
    assert_refused_without_details(&gateway.predict(QUESTION));
    upstream.wait_ended(0);
}

#[test]
fn a_cut_tls_connection_is_no_end_of_a_stream() {
    let authority = Authority::new();
    let config = server(&authority, &["localhost"], rustls::ALL_VERSIONS);
    let event = crate::harness::upstream::record("token", "one");
    let (open, gate) = crate::harness::upstream::Gate::new();
    let upstream = Upstream::raw({
        let event = event.clone();
        move |_, stream| {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = StreamOwned::new(session, stream);
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            write!(stream, "{head}{event}").expect("written");
            stream.flush().expect("flushed");
            gate.pass();
            // Cut without close_notify: whoever cuts a connection cannot end a stream.
        }
    });
    let gateway = gateway(&upstream, "localhost", &authority);
    let mut client = gateway.begin(r#"{"question":"hi","streaming":true}"#);
    client.read_head().expect("a head");
    assert_eq!(client.read_chunk().expect("a chunk"), Some(event.into_bytes()));
    open.send(()).expect("the upstream waits");
    let rest = client.read_chunk().expect("a chunk").expect("an error");
    assert!(String::from_utf8_lossy(&rest).contains("The answer broke off."));
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"truncated\"}", 1.0);
}

#[test]
fn a_self_signed_certificate_in_ca_file_identifies_its_server() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (names, host) in [(&["localhost"][..], "localhost"), (&["127.0.0.1"], "127.0.0.1"), (&[], "localhost")] {
            let pair = self_signed("localhost", names, 2999);
            let (upstream, heads) = secure_with(serving(&pair, &[version]));
            // Beside others.
            let bundle = Authority::new().pem() + &pair.0;
            let gateway = trusting(&upstream, host, &bundle, "");
            let response = gateway.predict(QUESTION);
            assert_eq!((response.status, response.text().as_str()), (200, ANSWER), "{names:?}");
            assert_eq!(heads.lock().unwrap().len(), 1);
        }
    }
}

#[test]
fn where_a_certificate_does_not_count_the_log_says_what_to_do() {
    let good = self_signed("localhost", &["localhost"], 2999);
    let twin = self_signed("localhost", &["localhost"], 2999);
    for (what, pair, ca_file, host, advice) in [
        ("of the same name", &good, &twin.0, "localhost", "in ca_file"),
        ("of another name", &self_signed("other", &["other.example"], 2999), &String::new(), "localhost", "in urls"),
        ("of another subject", &self_signed("other", &[], 2999), &String::new(), "localhost", "subjectAltName"),
        ("of no address", &self_signed("localhost", &["localhost"], 2999), &String::new(), "127.0.0.1", "in urls"),
        ("of the past", &self_signed("localhost", &["localhost"], 2020), &String::new(), "localhost", "renew it"),
    ] {
        let (upstream, heads) = secure_with(serving(pair, rustls::ALL_VERSIONS));
        let listed = if ca_file.is_empty() { &pair.0 } else { ca_file };
        let gateway = trusting(&upstream, host, listed, "");
        assert_refused_without_details(&gateway.predict(QUESTION));
        assert!(heads.lock().unwrap().is_empty(), "{what}");
        let line = gateway.log_line(|line| line["message"] == "upstream not reachable");
        assert!(line["advice"].as_str().is_some_and(|told| told.contains(advice)), "{what}: {line}");
    }
}

#[test]
fn whoever_shows_a_listed_certificate_without_its_key_gets_nothing() {
    let (certificate, _) = self_signed("localhost", &["localhost"], 2999);
    let (_, key) = self_signed("localhost", &["localhost"], 2999);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let signing = provider.key_provider.load_private_key(key).expect("a key");
    let stolen = rustls::sign::CertifiedKey::new(chain, signing);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen.clone())));
        let (upstream, heads) = secure_with(Arc::new(config));
        let gateway = trusting(&upstream, "localhost", &certificate, "");
        assert_refused_without_details(&gateway.predict(QUESTION));
        assert!(heads.lock().unwrap().is_empty());
    }
}
