//! How the store is reached, and that it is told of.

use std::io::Write as _;
use std::net::TcpListener;

use super::*;

const PLANS: &str = "default: { requests: 100000/min, burst: 10000, concurrent: 1000 }";

fn start(upstream: &Upstream, store: &str) -> Gateway {
    Gateway::start(&stored(upstream, store, PLANS))
}

#[test]
fn replicas_know_of_each_other_through_the_store() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let urls = format!("urls: ['{}'], timeout: 1s", store.url());
    let first = start(&upstream, &urls);
    wait_shared_by(&[&first], 1);
    assert!((first.metric(UP) - 1.0).abs() < f64::EPSILON);
    let mut second = start(&upstream, &urls);
    wait_shared_by(&[&first, &second], 2);
    first.wait_metric("flowgate_state_replicas", 2.0);
    // One that ends says so.
    second.signal("TERM");
    assert_eq!(second.wait().code(), Some(0));
    wait_shared_by(&[&first], 1);
    assert!(store.keys().iter().all(|key| key.starts_with("flowgate:v1:")), "{:?}", store.keys());
    assert_eq!(told(&first, "the store is lost"), 0);
}

#[test]
fn without_a_store_nothing_is_said_of_one() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
    assert_eq!(ready(&gateway), "ok\n");
    assert!(!gateway.metrics().contains("flowgate_state"), "{}", gateway.metrics());
}

#[test]
fn a_store_that_is_gone_is_told_once_and_found_again() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &format!("urls: ['{}'], timeout: 1s", store.url()));
    for round in 1..=2 {
        wait_shared_by(&[&gateway], 1);
        store.kill();
        gateway.wait_metric(LOST, 1.0);
        gateway.wait_metric(UP, 0.0);
        let text = ready(&gateway);
        assert!(text.starts_with("ok\nstore: lost since 20"), "{text}");
        assert_eq!(ask(&gateway, crate::harness::KEY).status, 200);
        store.launch();
        gateway.wait_metric(UP, 1.0);
        wait_for("a line of each", || {
            ((told(&gateway, "the store is lost"), told(&gateway, "the store is back")) == (round, round)).then_some(())
        });
    }
}

#[test]
fn a_gateway_starts_without_its_store() {
    let Some(mut store) = StoreServer::start() else { return };
    store.kill();
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &format!("urls: ['{}'], timeout: 1s", store.url()));
    assert!(ready(&gateway).starts_with("ok\nstore: lost since"));
    assert_eq!(ask(&gateway, crate::harness::KEY).status, 200);
    store.launch();
    wait_shared_by(&[&gateway], 1);
}

#[test]
fn a_store_that_lets_no_other_machine_in_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"-DENIED Redis is running in protected mode\r\n");
        }
    });
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &format!("urls: ['{url}'], timeout: 1s"));
    let line =
        gateway.log_line(|line| line["message"].as_str().is_some_and(|text| text.starts_with("the store is lost")));
    assert_eq!(line["reason"], "it closes connections at once, as its protected mode does while it has no password");
}

/// Options for a user `gate` with that password, who may do what a gateway does and little else.
fn acl(password: &str, more: &str) -> Vec<String> {
    let rules = "~flowgate:* -@all +@read +@write +@scripting +@connection +time";
    let words = format!("--user default on nopass ~* +@all --user gate on >{password} {rules}{more}");
    words.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_user_and_a_password_from_a_file_that_changes() {
    let Some(mut store) = StoreServer::start_with(|_| acl("first-password", "")) else { return };
    let upstream = Upstream::answering();
    let settings = format!("urls: ['{}'], timeout: 1s, username: gate, password_file: password", store.url());
    let text = stored(&upstream, &settings, PLANS);
    let gateway = Gateway::start_with(&text, &keys(""), |folder| {
        fs::write(folder.join("password"), "first-password\n").unwrap();
    });
    wait_shared_by(&[&gateway], 1);
    // Who may not listen shares all the rest.
    gateway.log_line(|line| line["reason"] == "it answers with NOPERM");
    assert_eq!(told(&gateway, "the store is lost"), 0);
    store.kill();
    *store.options_mut() = acl("second-password", " &flowgate:* +@pubsub");
    store.launch();
    gateway.wait_metric(LOST, 1.0);
    gateway.write("password", "second-password\n");
    gateway.wait_metric(UP, 1.0);
    gateway.log_line(|line| line["message"] == "what other replicas tell is heard again");
    let log = gateway.log().join("\n");
    assert!(!log.contains("first-password") && !log.contains("second-password"), "{log}");
}

#[test]
fn over_tls_with_an_authority_of_its_own() {
    let port = free_port();
    let authority = Authority::new();
    let Some(_store) = StoreServer::start_with(|folder| {
        authority.write_into(folder);
        let path = |name: &str| folder.join(name).display().to_string();
        [
            ("--port", "0".to_owned()),
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", path("tls.crt")),
            ("--tls-key-file", path("tls.key")),
            ("--tls-ca-cert-file", path("tls.crt")),
            ("--tls-auth-clients", "no".to_owned()),
            ("--requirepass", "tls-password".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }) else {
        return;
    };
    let upstream = Upstream::answering();
    let trusted = format!(
        "urls: ['rediss://:tls-password@localhost:{port}/1'], ca_file: ca.pem, timeout: 1s, connect_timeout: 5s"
    );
    let start = |authority: &Authority| {
        Gateway::start_with(&stored(&upstream, &trusted, PLANS), &keys(""), |folder| {
            fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        })
    };
    wait_shared_by(&[&start(&authority)], 1);
    let other = start(&Authority::new());
    assert!(ready(&other).starts_with("ok\nstore: lost since"));
}

fn check(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flowgate.yaml"), text).unwrap();
    fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    Command::new(BINARY).args(["check", "--config"]).arg(folder.path().join("flowgate.yaml")).output().unwrap()
}

#[test]
fn check_reads_the_section_and_asks_no_store() {
    let upstream = Upstream::answering();
    let output = check(&stored(&upstream, "urls: ['redis://nowhere.invalid']", PLANS));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = check(&stored(&upstream, "urls: ['redis://:hunter2@a', 'redis://:hunter2@b']", PLANS));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("state.valkey.urls: several URLs") && !said.contains("hunter2"), "{said}");
}

#[test]
fn another_store_needs_a_restart() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "urls: ['unix:///nowhere/a']");
    let text = fs::read_to_string(gateway.file("flowgate.yaml")).unwrap();
    gateway.write("flowgate.yaml", text.replace("/nowhere/a", "/nowhere/b"));
    gateway.log_line(|line| line["field"] == "state.valkey");
}
