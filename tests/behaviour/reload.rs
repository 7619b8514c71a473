//! Changes that are taken up while the gateway runs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::mounted::{EVERY_WAY, How, Mounted};
use crate::harness::ports::free_port;
use crate::harness::tls::{Authority, connect};
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{FLOW, KEY, sha256, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;
const OTHER: &str = "other-key-0123456789abcdef";
const WIDE: &str = "plans: { default: { requests: 1000000/min, burst: 100000, concurrent: 1000 } }";
const ACCEPTED_KEYS: &str = r#"flowgate_config_reloads_total{file="keys",result="accepted"}"#;
const REJECTED_KEYS: &str = r#"flowgate_config_reloads_total{file="keys",result="rejected"}"#;
const ACCEPTED_CONFIG: &str = r#"flowgate_config_reloads_total{file="config",result="accepted"}"#;
const REJECTED_CONFIG: &str = r#"flowgate_config_reloads_total{file="config",result="rejected"}"#;

/// A keys file with these keys by id.
fn keys_of(entries: &[(&str, &str)]) -> String {
    entries.iter().fold("keys:\n".to_owned(), |mut text, (id, key)| {
        writeln!(text, "  - {{ id: {id}, sha256: {} }}", sha256(key)).unwrap();
        text
    })
}

fn ask(connection: &mut Connection, key: &str) -> Response {
    connection.write(request("POST", PATH, &[("x-api-key", key)], ASK));
    connection.read_response().expect("an answer")
}

/// Requests without a pause on keep-alive connections, none of which may fail.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..3).map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                while !stop.load(Ordering::SeqCst) {
                    let response = ask(&mut connection, KEY);
                    assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let load = Self { threads: threads.collect(), stop, answered };
        load.goes_on();
        load
    }

    /// Waits until some more requests have been answered.
    fn goes_on(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        wait_for("answers under load", || {
            let gone = self.threads.iter().any(JoinHandle::is_finished);
            (gone || self.answered.load(Ordering::SeqCst) > before + 20).then_some(())
        });
    }

    fn end(self) {
        self.goes_on();
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("no request failed");
        }
    }
}

/// A gateway whose keys, with [`KEY`] as `app` and [`OTHER`] as `partner`, lie in a mount of their own.
fn with_keys(upstream: &Upstream, how: How) -> (Gateway, Mounted) {
    let text = config(upstream.address, "", "", "", &format!("{WIDE}\nkeys_file: mount/keys.yaml"));
    let mut mount = None;
    let gateway = Gateway::start_with(&text, "", |folder| {
        let mounted = Mounted::new(&folder.join("mount"), how);
        mounted.put(&[("keys.yaml", &keys_of(&[("app", KEY), ("partner", OTHER)]))]);
        mount = Some(mounted);
    });
    (gateway, mount.expect("just made"))
}

#[test]
fn a_revoked_key_is_refused_after_reload() {
    for how in EVERY_WAY {
        let upstream = Upstream::answering();
        let (gateway, mount) = with_keys(&upstream, how);
        gateway.wait_metric(r#"flowgate_keys{state="active"}"#, 2.0);
        let load = Load::on(gateway.http);
        let mut connection = Connection::open(gateway.http);
        assert_eq!(ask(&mut connection, OTHER).status, 200);

        mount.put(&[("keys.yaml", &keys_of(&[("app", KEY)]))]);
        gateway.wait_metric(ACCEPTED_KEYS, 1.0);
        // Without another wait, on the connection it was just good on.
        ask(&mut connection, OTHER).assert_refused(401, "invalid_api_key");
        gateway.wait_metric(r#"flowgate_keys{state="active"}"#, 1.0);

        // And back again.
        mount.put(&[("keys.yaml", &keys_of(&[("partner", OTHER), ("app", KEY)]))]);
        gateway.wait_metric(ACCEPTED_KEYS, 2.0);
        assert_eq!(ask(&mut connection, OTHER).status, 200, "{how:?}");
        load.end();
        let refused = upstream.seen().iter().filter(|seen| format!("{seen:?}").contains(OTHER)).count();
        assert_eq!(refused, 0);
    }
}

#[test]
fn a_keys_file_with_anything_wrong_keeps_the_old_set() {
    let good = keys_of(&[("app", KEY), ("partner", OTHER)]);
    let duplicate = keys_of(&[("app", KEY), ("app", OTHER)]);
    for (how, text, place) in [
        (How::Rename, "", "keys.yaml"),
        (How::Rename, "# nothing yet\n", "keys.yaml"),
        (How::Rename, "keys: []\n", "keys.yaml"),
        (How::Swap, &good[..good.len() - 30], "keys.yaml:3:"),
        (How::Rename, &duplicate, "keys.yaml:3:"),
        (How::Write, "keys:\n  - { id: app, sha256: 12 }\n", "keys.yaml:2:"),
        (How::Rename, "keys:\n  - { id: app, secret: 12 }\n", "keys.yaml:2:"),
    ] {
        let upstream = Upstream::answering();
        let (gateway, mount) = with_keys(&upstream, how);
        let load = Load::on(gateway.http);
        let mut connection = Connection::open(gateway.http);
        mount.put(&[("keys.yaml", text)]);
        let line = gateway.log_line(|line| {
            line["level"] == "ERROR" && line["problem"].as_str().is_some_and(|problem| problem.contains(place))
        });
        assert!(line["message"].as_str().unwrap().contains("rejected"), "{line}");
        wait_for("the count", || (gateway.metric(REJECTED_KEYS) >= 1.0).then_some(()));
        assert_eq!(ask(&mut connection, OTHER).status, 200, "{text}");
        gateway.wait_metric(r#"flowgate_keys{state="active"}"#, 2.0);

        // A good file afterwards is taken.
        mount.put(&[("keys.yaml", &keys_of(&[("app", KEY), ("new", "new-key-0123456789abcdef")]))]);
        wait_for("the good file", || (gateway.metric(ACCEPTED_KEYS) >= 1.0).then_some(()));
        assert_eq!(ask(&mut connection, "new-key-0123456789abcdef").status, 200);
        ask(&mut connection, OTHER).assert_refused(401, "invalid_api_key");
        load.end();
    }
}

#[test]
fn a_deleted_keys_file_keeps_the_old_set() {
    let upstream = Upstream::answering();
    let (gateway, mount) = with_keys(&upstream, How::Write);
    std::fs::remove_file(gateway.file("mount/keys.yaml")).unwrap();
    gateway.wait_metric(REJECTED_KEYS, 1.0);
    assert_eq!(client::post(gateway.http, PATH, &[("x-api-key", OTHER)], ASK).status, 200);
    mount.put(&[("keys.yaml", &keys_of(&[("app", KEY)]))]);
    wait_for("the new file", || (gateway.metric(ACCEPTED_KEYS) >= 1.0).then_some(()));
    client::post(gateway.http, PATH, &[("x-api-key", OTHER)], ASK).assert_refused(401, "invalid_api_key");
}

#[test]
fn a_rotated_key_works_with_both_secrets_until_the_old_one_ends() {
    let upstream = Upstream::answering();
    let (gateway, mount) = with_keys(&upstream, How::Rename);
    let rotated = |until: &str| {
        format!(
            "{}  - {{ id: partner, sha256: {}, previous: {{ sha256: {}, until: {until} }} }}\n",
            keys_of(&[("app", KEY)]),
            sha256("new-key-0123456789abcdef"),
            sha256(OTHER)
        )
    };
    let status = |key| client::post(gateway.http, PATH, &[("x-api-key", key)], ASK).status;
    mount.put(&[("keys.yaml", &rotated("2999-01-01T00:00:00Z"))]);
    gateway.wait_metric(ACCEPTED_KEYS, 1.0);
    assert_eq!([status(OTHER), status("new-key-0123456789abcdef")], [200, 200]);
    mount.put(&[("keys.yaml", &rotated("2020-01-01T00:00:00Z"))]);
    gateway.wait_metric(ACCEPTED_KEYS, 2.0);
    assert_eq!([status(OTHER), status("new-key-0123456789abcdef")], [401, 200]);
}

#[test]
fn a_changed_configuration_takes_effect() {
    for how in EVERY_WAY {
        let upstream = Upstream::answering();
        let text = |chatflow: &str, more: &str| config(upstream.address, "", "", chatflow, more);
        let before = text("", WIDE);
        let mut mount = None;
        let gateway = Gateway::start_with(&before, "", |folder| {
            let mounted = Mounted::new(folder, how);
            mounted.put(&[("flowgate.yaml", &before), ("keys.yaml", &keys_of(&[("app", KEY), ("partner", OTHER)]))]);
            mount = Some(mounted);
        });
        let load = Load::on(gateway.http);
        let mut connection = Connection::open(gateway.http);
        let long = r#"{"question":"what is the answer"}"#;
        let to = |connection: &mut Connection, path: &str, body: &str| {
            connection.write(request("POST", path, &[("x-api-key", OTHER)], body));
            connection.read_response().expect("an answer")
        };
        assert_eq!(to(&mut connection, PATH, long).status, 200);
        to(&mut connection, "/api/v1/prediction/sales", ASK).assert_refused(404, "not_found");

        let more = "plans:\n  default: { requests: 1000000/min, burst: 100000, concurrent: 1000 }\n  \
                    few: { requests: 1/day, burst: 1 }";
        let after = text(&format!(", max_question_chars: 5 }}\n  sales: {{ upstream: flowise, id: {FLOW}"), more);
        let limited =
            keys_of(&[("app", KEY)]) + &format!("  - {{ id: partner, sha256: {}, plan: few }}\n", sha256(OTHER));
        // The keys name a plan that only the new configuration has: together they are good.
        mount.unwrap().put(&[("flowgate.yaml", &after), ("keys.yaml", &limited)]);
        wait_for("the new plan", || (to(&mut connection, "/api/v1/prediction/sales", ASK).status == 429).then_some(()));
        to(&mut connection, PATH, ASK).assert_refused(429, "rate_limited");
        connection.write(request("POST", PATH, &[("x-api-key", KEY)], long));
        connection.read_response().unwrap().assert_refused(400, "invalid_request");
        gateway.log_line(|line| line["message"] == "reloaded" && line["chatflows"] == 2);
        assert!(gateway.metric(ACCEPTED_CONFIG) >= 1.0);
        load.end();
    }
}

#[test]
fn a_wrong_configuration_keeps_the_old_one() {
    let upstream = Upstream::answering();
    let text = config(upstream.address, "", "", "", WIDE);
    let gateway = Gateway::start(&text);
    let load = Load::on(gateway.http);
    let mount = Mounted::new(gateway.dir(), How::Rename);
    let unknown = text.replace("upstream: flowise", "upstream: flowize");
    for (count, (wrong, place)) in (1_u8..).zip([
        (unknown.as_str(), "flowgate.yaml:6:"),
        (&text[..text.find("api_key").unwrap()], "flowgate.yaml:4:"),
        ("", "flowgate.yaml"),
    ]) {
        mount.put(&[("flowgate.yaml", wrong)]);
        gateway.wait_metric(REJECTED_CONFIG, f64::from(count));
        gateway.log_line(|line| line["problem"].as_str().is_some_and(|problem| problem.contains(place)));
        assert_eq!(gateway.predict(ASK).status, 200);
    }
    mount.put(&[("flowgate.yaml", &text)]);
    gateway.wait_metric(ACCEPTED_CONFIG, 1.0);
    load.end();
}

#[test]
fn a_configuration_that_waits_for_a_file_is_taken_once_the_file_is_there() {
    let upstream = Upstream::answering();
    let text = config(upstream.address, "", "", "", WIDE);
    let gateway = Gateway::start(&text);
    let mount = Mounted::new(gateway.dir(), How::Rename);
    let with_file = text.replace("api_key: upstream-key", "api_key_file: upstream.key");
    mount.put(&[("flowgate.yaml", &with_file)]);
    gateway.wait_metric(REJECTED_CONFIG, 1.0);
    mount.put(&[("upstream.key", "key-from-a-file")]);
    gateway.wait_metric(ACCEPTED_CONFIG, 1.0);
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(upstream.wait_seen(1)[0].header("x-api-key"), Some("key-from-a-file"));
    assert!(gateway.metric(REJECTED_CONFIG) < 2.0, "it is counted once, however often it is looked at");
}

#[test]
fn a_new_upstream_key_is_used() {
    for how in EVERY_WAY {
        let upstream = Upstream::answering();
        let text =
            config(upstream.address, "", "", "", WIDE).replace("api_key: upstream-key", "api_key_file: mount/key");
        let mut mount = None;
        let gateway = Gateway::start_with(&text, &keys(""), |folder| {
            let mounted = Mounted::new(&folder.join("mount"), how);
            mounted.put(&[("key", "first-upstream-key\n")]);
            mount = Some(mounted);
        });
        let load = Load::on(gateway.http);
        assert_eq!(upstream.wait_seen(1)[0].header("authorization"), Some("Bearer first-upstream-key"));
        mount.unwrap().put(&[("key", "second-upstream-key\n")]);
        wait_for("the new key at the upstream", || {
            let last = upstream.seen().pop()?;
            (last.header("authorization") == Some("Bearer second-upstream-key")
                && last.header("x-api-key") == Some("second-upstream-key"))
            .then_some(())
        });
        gateway.log_line(|line| line["message"] == "reloaded" && line["files"] == "secrets");
        load.end();
        let known = ["Bearer first-upstream-key", "Bearer second-upstream-key"].map(Some);
        assert!(upstream.seen().iter().all(|seen| known.contains(&seen.header("authorization"))));
    }
}

#[test]
fn sighup_reloads_even_if_nothing_has_changed() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, "", "", "", WIDE));
    let load = Load::on(gateway.http);
    for count in 1..=3_u8 {
        gateway.signal("HUP");
        gateway.wait_metric(ACCEPTED_CONFIG, f64::from(count));
    }
    gateway.write("keys.yaml", keys_of(&[("app", KEY), ("partner", OTHER)]));
    gateway.signal("HUP");
    wait_for("the new key", || {
        (client::post(gateway.http, PATH, &[("x-api-key", OTHER)], ASK).status == 200).then_some(())
    });
    load.end();
}

#[test]
fn a_running_stream_keeps_what_it_began_with() {
    let (upstream, finish) = Upstream::holding_streams();
    let (gateway, mount) = with_keys(&upstream, How::Rename);
    let mut stream = Connection::open(gateway.http);
    let headers = [("x-api-key", OTHER), ("x-request-id", "begun-before")];
    stream.write(request("POST", PATH, &headers, r#"{"question":"hi","streaming":true}"#));
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().is_some());

    mount.put(&[("keys.yaml", &keys_of(&[("app", KEY)]))]);
    gateway.wait_metric(ACCEPTED_KEYS, 1.0);
    gateway.wait_metric("flowgate_streams_open", 1.0);
    finish.store(true, Ordering::SeqCst);
    assert_eq!(stream.read_chunk().unwrap().unwrap(), b"message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n");
    assert_eq!(stream.read_chunk().unwrap(), None);
    let line = gateway.access_line("begun-before");
    assert_eq!((line["key"].as_str(), line["end"].as_str()), (Some("partner"), Some("done")));
    // Its next request on the same connection sees the new set.
    ask(&mut stream, OTHER).assert_refused(401, "invalid_api_key");
}

#[test]
fn a_spent_limit_stays_spent_over_a_reload() {
    let upstream = Upstream::answering();
    let gateway =
        Gateway::start(&config(upstream.address, "", "", "", "plans: { default: { requests: 1/day, burst: 1 } }"));
    assert_eq!(gateway.predict(ASK).status, 200);
    gateway.predict(ASK).assert_refused(429, "rate_limited");
    let mount = Mounted::new(gateway.dir(), How::Rename);
    mount.put(&[("keys.yaml", &keys_of(&[("partner", OTHER), ("app", KEY)]))]);
    gateway.wait_metric(ACCEPTED_KEYS, 1.0);
    gateway.predict(ASK).assert_refused(429, "rate_limited");
    assert_eq!(client::post(gateway.http, PATH, &[("x-api-key", OTHER)], ASK).status, 200);
}

#[test]
fn what_needs_a_restart_is_reported_and_the_rest_is_taken() {
    let upstream = Upstream::answering();
    let text = config(upstream.address, "", "", "", WIDE);
    let gateway = Gateway::start(&text);
    let load = Load::on(gateway.http);
    let changed = text
        .replace(
            "listen: '127.0.0.1:0', workers: 1",
            &format!("listen: '127.0.0.1:{}', ext_auth: {{}}, workers: 2", free_port()),
        )
        .replace("  support:", &format!("  sales: {{ upstream: flowise, id: {FLOW} }}\n  support:"));
    Mounted::new(gateway.dir(), How::Rename).put(&[("flowgate.yaml", &changed)]);
    gateway.wait_metric(ACCEPTED_CONFIG, 1.0);
    for field in ["server.listen", "server.ext_auth.listen", "server.workers"] {
        let line = gateway.log_line(|line| line["field"] == field);
        assert_eq!(line["level"], "WARN");
        assert!(line["message"].as_str().unwrap().contains("restart"));
    }
    assert_eq!(client::post(gateway.http, "/api/v1/prediction/sales", &[("x-api-key", KEY)], ASK).status, 200);
    load.end();
}

#[test]
fn a_tls_listener_that_is_taken_out_of_the_file_serves_until_the_restart() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let plain = config(upstream.address, "", "", "", WIDE);
    let text = plain.replace("workers: 1", "workers: 1, tls: { listen: '127.0.0.1:0' }");
    let gateway = Gateway::start_with(&text, &keys(""), |folder: &Path| authority.write_into(folder));
    Mounted::new(gateway.dir(), How::Rename).put(&[("flowgate.yaml", &plain)]);
    gateway.wait_metric(ACCEPTED_CONFIG, 1.0);
    gateway.log_line(|line| line["level"] == "WARN" && line["field"] == "server.tls.listen");
    let mut client = connect(authority.client(&[]), gateway.https.unwrap());
    client.write(request("POST", PATH, &[("x-api-key", KEY)], ASK));
    assert_eq!(client.read_response().expect("an answer").status, 200);
}
