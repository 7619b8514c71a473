//! One process takes another's place: SIGUSR2.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{BINARY, Gateway, config, keys, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, model, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;
const STREAM: &str = r#"{"question":"hi","streaming":true}"#;
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

fn begin_stream(gateway: &Gateway) -> Connection {
    let mut stream = gateway.begin(STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().is_some());
    stream
}

/// The process that has taken over; it is ended with the test.
pub(crate) struct Successor(pub(crate) u64);

impl Successor {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let before = gateway.log().len();
        gateway.signal("USR2");
        // Known as soon as there is one, so that it is ended whatever becomes of the test.
        let this = Self(wait_for("the successor", || {
            let log = gateway.log();
            let line = log[before..].iter().find(|line| line.contains(r#""message":"handing over""#))?;
            serde_json::from_str::<serde_json::Value>(line).ok()?["pid"].as_u64()
        }));
        let handed =
            |line: &serde_json::Value| line["message"].as_str().is_some_and(|text| text.starts_with("handed over"));
        assert_eq!(gateway.log_line(handed)["pid"], this.0);
        this
    }

    fn signal(&self, name: &str) -> bool {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.0.to_string()]).output();
        kill.is_ok_and(|output| output.status.success())
    }

    fn wait_end(&self) {
        let has_ended = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
            (status.is_empty() || status.contains(") Z ")).then_some(())
        };
        wait_for("the end of the successor", has_ended);
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = self.signal("KILL");
    }
}

/// Requests without a pause until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of them on new connections, half on connections that are used for as long as their answers allow.
    fn start(gateway: &Gateway, threads: usize) -> Self {
        let (stop, answered) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let address = gateway.http;
        let one = |number: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut connection: Option<Connection> = None;
                while !stop.load(Ordering::SeqCst) {
                    let mut this = connection.take().unwrap_or_else(|| Connection::open(address));
                    this.write(request("POST", PATH, &[("x-api-key", KEY)], ASK));
                    match this.read_response() {
                        Ok(response) if response.status == 200 => {
                            let is_last = response.header("connection") == Some("close") || number.is_multiple_of(2);
                            connection = (!is_last).then_some(this);
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(response) => failures.push(format!("{} {}", response.status, response.text())),
                        Err(error) => failures.push(error.to_string()),
                    }
                }
                failures
            })
        };
        let threads = (0..threads).map(one).collect();
        Self { stop, answered, threads }
    }

    /// Until so many more are answered.
    fn wait_for_more(&self, more: usize) {
        let wanted = self.answered.load(Ordering::SeqCst) + more;
        wait_for("answers", || (self.answered.load(Ordering::SeqCst) >= wanted).then_some(()));
    }

    /// The first of them.
    fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).take(3).collect()
    }
}

#[test]
fn under_load_no_request_fails_and_every_stream_ends_whole() {
    let (upstream, finish) = Upstream::holding_streams();
    let text = simple(upstream.address).replace("workers: 1", "workers: 2").replace("100000/min", "1000000000/min");
    let mut gateway = Gateway::start(&text);
    let mut streams: Vec<_> = (0..20).map(|_| begin_stream(&gateway)).collect();
    let load = Load::start(&gateway, 4);
    load.wait_for_more(50);
    let successor = Successor::of(&gateway);
    load.wait_for_more(200);
    // The old one still has its streams, and accepts nothing: what is new is the successor's.
    let mut newer = begin_stream(&gateway);
    assert_eq!(client::get(gateway.admin, "/readyz", &[]).text(), "ok\n");
    // Metrics are those of the successor.
    gateway.wait_metric("flowgate_streams_open", 1.0);
    finish.store(true, Ordering::SeqCst);
    for stream in &mut streams {
        assert_eq!(stream.read_rest(), END);
    }
    assert_eq!(newer.read_rest(), END);
    drop(streams);
    load.wait_for_more(50);
    assert_eq!(gateway.wait().code(), Some(0), "the old process ends");
    gateway.log_line(|line| line["message"] == "stopped" && line["connections_cut"] == 0);
    load.wait_for_more(50);
    assert_eq!(load.failures(), Vec::<String>::new());
    gateway.log_line(|line| line["message"] == "the old process has ended");
    // And on it goes, from one to the next.
    assert!(successor.signal("TERM"));
    successor.wait_end();
    wait_for("a closed listener", || TcpStream::connect(gateway.http).is_err().then_some(()));
}

#[test]
fn a_program_that_cannot_start_leaves_the_old_one_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    let (upstream, finish) = Upstream::holding_streams();
    let more = format!("state_dir: {}\nplans: {{ default: {{ quota: 10/month }} }}", state.path().display());
    let good = config(upstream.address, "", "", "", &more);
    let mut gateway = Gateway::start(&good);
    let mut stream = begin_stream(&gateway);
    for broken in ["server: [", &good.replace("quota: 10/month", "quota: ten")] {
        gateway.write("flowgate.yaml", broken);
        let before = gateway.log().len();
        gateway.signal("USR2");
        wait_for("the failure", || {
            let log = gateway.log();
            let failed = log[before..].iter().find(|line| line.contains("the upgrade failed"))?;
            assert!(failed.contains("exit status: 2"), "{failed}");
            Some(())
        });
        assert_eq!(gateway.predict(ASK).status, 200);
    }
    gateway.wait_metric(r#"flowgate_upgrades_total{result="failed"}"#, 2.0);
    // The folder is its own, and what was counted is there.
    gateway.write("flowgate.yaml", &good);
    wait_kept(state.path(), 3);
    assert_eq!(client::get(gateway.admin, "/readyz", &[]).text(), "ok\n");
    finish.store(true, Ordering::SeqCst);
    assert_eq!(stream.read_rest(), END);
    // Nothing hinders the next one.
    let _successor = Successor::of(&gateway);
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.predict(ASK).status, 200);
    wait_kept(state.path(), 4);
}

/// Waits until the file of counts has that count of the key.
fn wait_kept(state: &Path, count: u64) {
    wait_for("the count on disk", || {
        let text = std::fs::read_to_string(state.join("quota.json")).ok()?;
        let counts: serde_json::Value = serde_json::from_str(&text).expect("whole JSON, always");
        (counts["keys"]["app"]["count"] == count).then_some(())
    });
}

#[test]
fn what_is_counted_is_counted_once_whoever_counts_it() {
    let state = tempfile::tempdir().unwrap();
    let (upstream, finish) = Upstream::holding_streams();
    let more = format!("state_dir: {}\nplans: {{ default: {{ quota: 7/month }} }}", state.path().display());
    let mut gateway = Gateway::start(&config(upstream.address, "", "", "", &more));
    for _ in 0..3 {
        assert_eq!(gateway.predict(ASK).status, 200);
    }
    let mut stream = begin_stream(&gateway);
    let mut kept_alive = gateway.begin(ASK);
    assert_eq!(kept_alive.read_response().unwrap().status, 200);
    let _successor = Successor::of(&gateway);
    // The old one answers once more where it was asked before, and charges it after its counts have gone.
    kept_alive.write(request("POST", PATH, &[("x-api-key", KEY)], ASK));
    let last = kept_alive.read_response().unwrap();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(kept_alive.is_closed());
    wait_kept(state.path(), 6);
    assert_eq!(gateway.predict(ASK).status, 200);
    gateway.predict(ASK).assert_refused(429, "quota_exceeded");
    finish.store(true, Ordering::SeqCst);
    assert_eq!(stream.read_rest(), END);
    assert_eq!(gateway.wait().code(), Some(0));
    // Seven were let through and one was refused, by the one or by the other.
    wait_for("what was used", || {
        let output = Command::new(BINARY)
            .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
            .args(["keys", "usage", "--json"])
            .output()
            .unwrap();
        let usage: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let app = usage["keys"].as_array()?.iter().find(|key| key["id"] == "app")?;
        (json!([app["requests"], app["refused"]]) == json!([8, 1])).then_some(())
    });
    wait_kept(state.path(), 7);
}

#[test]
fn what_a_chat_said_during_an_upgrade_is_remembered() {
    let finish = Arc::new(AtomicBool::new(false));
    let model = Upstream::start({
        let finish = Arc::clone(&finish);
        move |seen, reply| {
            if model::told(seen).last().is_some_and(|(_, text)| text == "two") {
                wait_for("the word", || finish.load(Ordering::SeqCst).then_some(()));
            }
            model::answer(seen, reply, "fine");
        }
    });
    let state = tempfile::tempdir().unwrap();
    let more = format!("state_dir: {}\nplans: {{ default: {{ concurrent: 8 }} }}", state.path().display());
    let mut gateway = Gateway::start_with(&model::config("", "", &more), &keys(""), |dir| {
        model::write(dir, "support", &model::export("conversation-chain", model.address));
    });
    let ask = |question: &str| format!(r#"{{"question":"{question}","chatId":"c1"}}"#);
    assert_eq!(gateway.predict(&ask("one")).status, 200);
    let mut running = gateway.begin(&ask("two"));
    model.wait_seen(2);
    let _successor = Successor::of(&gateway);
    finish.store(true, Ordering::SeqCst);
    assert_eq!(running.read_response().unwrap().status, 200);
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.predict(&ask("three")).status, 200);
    let told = model::told(&model.seen().pop().unwrap());
    let said: Vec<_> = told.iter().filter(|(role, _)| role != "system").map(|(_, text)| text.as_str()).collect();
    assert_eq!(said, ["one", "fine", "two", "fine", "three"]);
}

#[test]
fn a_signal_during_an_upgrade_ends_what_it_is_sent_to() {
    let (upstream, finish) = Upstream::holding_streams();
    let mut gateway = Gateway::start(&simple(upstream.address));
    let mut stream = begin_stream(&gateway);
    let successor = Successor::of(&gateway);
    // The old one ends already: the first signal changes nothing of that.
    gateway.signal("TERM");
    finish.store(true, Ordering::SeqCst);
    assert_eq!(stream.read_rest(), END);
    drop(stream);
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.predict(ASK).status, 200, "the successor goes on");
    drop(successor);
}

#[test]
fn an_upgrade_waits_until_the_process_before_has_told_all() {
    let (upstream, finish) = Upstream::holding_streams();
    let mut gateway = Gateway::start(&simple(upstream.address));
    let mut stream = begin_stream(&gateway);
    let middle = Successor::of(&gateway);
    gateway.wait_metric(r#"flowgate_upgrades_total{result="done"}"#, 1.0);
    assert!(middle.signal("USR2"));
    gateway.log_line(|line| line["message"] == "the upgrade begins once the process before this one has ended");
    finish.store(true, Ordering::SeqCst);
    assert_eq!(stream.read_rest(), END);
    drop(stream);
    assert_eq!(gateway.wait().code(), Some(0));
    let _last = Successor(wait_for("the last process", || {
        let log = gateway.log();
        let mut begun = log.iter().filter(|line| line.contains(r#""message":"handing over""#));
        serde_json::from_str::<serde_json::Value>(begun.nth(1)?).ok()?["pid"].as_u64()
    }));
    middle.wait_end();
    assert_eq!(gateway.predict(ASK).status, 200);
}
