//! A running `flowgate serve` with files of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::client::{self, Connection, Response};
use super::tls::Authority;
use super::{FLOW, KEY, sha256, wait_for};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_flowgate");

/// A configuration in front of one upstream, on free ports; `more` is appended to it (top-level sections other than
/// `server`, `admin`, `upstreams`, `chatflows`), `chatflow` to the chatflow `support` (`, name: value ...`). Ids go on as
/// they come unless `chatflow` says otherwise, so that what is compared is what was sent; nobody checks the upstream's health
/// unless `flowise` says otherwise.
pub(crate) fn config(upstream: SocketAddr, server: &str, flowise: &str, chatflow: &str, more: &str) -> String {
    // Checks would be requests that nobody has made.
    let health = if flowise.contains("health:") { "" } else { ", health: false" };
    let ids = if chatflow.contains("isolate_sessions") { "" } else { ", isolate_sessions: false" };
    format!(
        "server: {{ listen: '127.0.0.1:0', workers: 1{server} }}\n\
         admin: {{ listen: '127.0.0.1:0' }}\n\
         upstreams:\n  flowise: {{ flowise: {{ urls: ['http://{upstream}'], api_key: upstream-key{flowise}{health} }} }}\n\
         chatflows:\n  support: {{ upstream: flowise, id: {FLOW}{ids}{chatflow} }}\n\
         {more}\n"
    )
}

/// [`config`] with nothing special.
pub(crate) fn simple(upstream: SocketAddr) -> String {
    config(upstream, "", "", "", "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }")
}

/// A keys file with one key, [`KEY`], called `app`; `more` goes into its entry.
pub(crate) fn keys(more: &str) -> String {
    format!("keys:\n  - {{ id: app, sha256: {}{more} }}\n", sha256(KEY))
}

pub(crate) struct Gateway {
    child: Child,
    dir: TempDir,
    lines: Arc<Mutex<Vec<String>>>,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) ext_auth: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    /// Starts with that configuration and [`KEY`]; panics unless it gets ready.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &keys(""), |_| {})
    }

    /// Starts with more fields of `server`.
    pub(crate) fn serving(upstream: SocketAddr, server: &str) -> Self {
        Self::start(&config(upstream, server, "", "", ""))
    }

    /// The same with TLS beside it.
    pub(crate) fn serving_tls(upstream: SocketAddr, server: &str, authority: &Authority) -> Self {
        let text = config(upstream, &format!(", tls: {{ listen: '127.0.0.1:0' }}{server}"), "", "", "");
        Self::start_with(&text, &keys(""), |folder| authority.write_into(folder))
    }

    /// `prepare` may put further files beside the configuration (its folder is the argument).
    pub(crate) fn start_with(config: &str, keys: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start_command(config, keys, prepare, |command| command)
    }

    /// `arrange` may start it in another way, or add to its environment.
    pub(crate) fn start_command(
        config: &str,
        keys: &str,
        prepare: impl FnOnce(&Path),
        arrange: impl FnOnce(Command) -> Command,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("flowgate.yaml"), config).expect("config written");
        std::fs::write(dir.path().join("keys.yaml"), keys).expect("keys written");
        prepare(dir.path());
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(dir.path().join("flowgate.yaml"));
        command.stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = arrange(command).spawn().expect("flowgate starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || stdout.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line))
        });
        let mut gateway = Self {
            child,
            dir,
            lines,
            http: SocketAddr::from(([0, 0, 0, 0], 0)),
            https: None,
            ext_auth: None,
            admin: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let end = std::time::Instant::now() + super::PATIENCE;
        // The admin listener is announced last.
        while gateway.announced("admin").is_none() {
            if let Some(status) = gateway.child.try_wait().expect("status") {
                panic!("flowgate ended with {status}: {:?}", gateway.log());
            }
            assert!(std::time::Instant::now() < end, "flowgate does not get ready: {:?}", gateway.log());
            super::pause();
        }
        gateway.http = gateway.announced("http").unwrap_or(gateway.http);
        gateway.https = gateway.announced("https");
        gateway.ext_auth = gateway.announced("ext_auth");
        gateway.admin = gateway.announced("admin").expect("just seen");
        gateway
    }

    fn announced(&self, listener: &str) -> Option<SocketAddr> {
        self.log().iter().find_map(|line| {
            // The same in the format `text`.
            if let Some(address) = line.strip_prefix("listening ").and_then(|line| line.strip_prefix(listener)) {
                return address.trim().parse().ok();
            }
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["message"] == "listening" && line["listener"] == listener)
                .then(|| line["address"].as_str()?.parse().ok())?
        })
    }

    /// All lines on stdout so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a JSON line on stdout that satisfies `wanted`.
    #[track_caller]
    pub(crate) fn log_line(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        wait_for("a log line", || {
            self.log().iter().filter_map(|line| serde_json::from_str(line).ok()).find(|line| wanted(line))
        })
    }

    /// Waits for the access-log line of the request with that id.
    #[track_caller]
    pub(crate) fn access_line(&self, request_id: &str) -> serde_json::Value {
        self.log_line(|line| line["message"] == "request" && line["request_id"] == request_id)
    }

    /// The admin listener's `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        let response = client::get(self.admin, "/metrics", &[]);
        assert_eq!(response.status, 200);
        response.text()
    }

    /// The value of one series, e.g. `flowgate_streams_open` or `name{label="x"}`; 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits until a series has that value.
    #[track_caller]
    #[expect(clippy::float_cmp, reason = "counts are whole")]
    pub(crate) fn wait_metric(&self, series: &str, value: f64) {
        wait_for(&format!("{series} {value}"), || (self.metric(series) == value).then_some(()));
    }

    /// The folder with its configuration.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file there as a whole, as editors do: one that is truncated and then written is seen twice by whoever looks
    /// in between, and then two reloads are counted.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let written = self.file(".written");
        std::fs::write(&written, content).expect("a file");
        std::fs::rename(written, self.file(name)).expect("a file in place");
    }

    /// `POST /api/v1/prediction/support` with [`KEY`].
    pub(crate) fn predict(&self, body: &str) -> Response {
        client::post(self.http, "/api/v1/prediction/support", &[("x-api-key", KEY)], body)
    }

    /// The same, without waiting for the answer.
    pub(crate) fn begin(&self, body: &str) -> Connection {
        let mut connection = Connection::open(self.http);
        connection.write(client::request("POST", "/api/v1/prediction/support", &[("x-api-key", KEY)], body));
        connection
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the end of flowgate", || self.child.try_wait().expect("status"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- flowgate's log\n{}", self.log().join("\n"));
        }
    }
}
