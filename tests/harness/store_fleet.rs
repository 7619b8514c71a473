//! Stores of several servers: a primary and its replica with Sentinels, and a Cluster of three.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::ports::free_port;
use super::store::{StoreServer, program};
use super::wait_for;

/// What Sentinels call the primary.
const NAME: &str = "flowgate";

/// Watches over servers, and is nothing else.
struct SentinelProcess {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl SentinelProcess {
    fn start(program: &str, primary: u16, quorum: usize) -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 5000\n",
            dir.path().display()
        );
        std::fs::write(&file, text).expect("a configuration");
        let mut command = Command::new(program);
        command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
        Self { port, child: command.spawn().expect("a Sentinel starts"), _dir: dir }
    }
}

impl Drop for SentinelProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A primary with a replica, and Sentinels that know both.
pub(crate) struct SentinelStore {
    pub(crate) primary: StoreServer,
    pub(crate) replica: StoreServer,
    sentinels: Vec<SentinelProcess>,
    replica_port: u16,
    /// One that takes connections, and says nothing.
    silent: TcpListener,
}

impl SentinelStore {
    /// `None`, and said so: this machine has no server to start.
    pub(crate) fn start(sentinels: usize) -> Option<Self> {
        let program = program()?;
        let (port, replica_port) = (free_port(), free_port());
        let at_once = ["--repl-diskless-sync-delay", "0"].map(str::to_owned);
        let primary = StoreServer::start_with(|_| [on_port(port), at_once.into()].concat())?;
        let follow = ["--replicaof", "127.0.0.1", &port.to_string()].map(str::to_owned);
        let replica = StoreServer::start_with(|_| [on_port(replica_port), follow.into()].concat())?;
        wait_for("a replica that has everything", || {
            replica.list("INFO replication").contains(&"master_link_status:up".to_owned()).then_some(())
        });
        let quorum = sentinels / 2 + 1;
        let sentinels: Vec<_> = (0..sentinels).map(|_| SentinelProcess::start(program, port, quorum)).collect();
        for sentinel in &sentinels {
            wait_for("a Sentinel that knows all", || {
                let line = answer(sentinel.port, "SENTINEL MASTERS")?;
                let field = |name: &str| line.iter().skip_while(|word| *word != name).nth(2).cloned();
                let known = [("num-slaves", 1), ("num-other-sentinels", sentinels.len() - 1)];
                known.iter().all(|(name, count)| field(name) == Some(count.to_string())).then_some(())
            });
        }
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        Some(Self { primary, replica, sentinels, replica_port, silent })
    }

    /// `state.valkey`, in which the first Sentinel never answers.
    pub(crate) fn section(&self) -> String {
        let silent = self.silent.local_addr().expect("an address").port();
        let ports = std::iter::once(silent).chain(self.sentinels.iter().map(|sentinel| sentinel.port));
        let urls: Vec<_> = ports.map(|port| format!("'redis://127.0.0.1:{port}'")).collect();
        format!("mode: sentinel, master_name: {NAME}, urls: [{}], timeout: 1s", urls.join(", "))
    }

    /// The replica is to be the primary from now on.
    pub(crate) fn fail_over(&self) {
        let first = self.sentinels.first().expect("a Sentinel").port;
        wait_for("the failover", || {
            answer(first, &format!("SENTINEL FAILOVER {NAME}"))?.first().filter(|line| *line == "+OK").map(drop)
        });
        self.wait_promoted();
    }

    /// Until a Sentinel names the replica.
    pub(crate) fn wait_promoted(&self) {
        let first = self.sentinels.first().expect("a Sentinel").port;
        let port = self.replica_port.to_string();
        wait_for("another primary", || {
            let named = answer(first, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}"))?;
            named.contains(&port).then_some(())
        });
    }
}

/// Three nodes, each with a third of the slots.
pub(crate) struct ClusterStore {
    pub(crate) nodes: Vec<StoreServer>,
    ports: [u16; 3],
}

impl ClusterStore {
    /// `None`, and said so: this machine has no server to start.
    pub(crate) fn start() -> Option<Self> {
        let ports = [(); 3].map(|()| free_port());
        let options = |port: u16| {
            let more = "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-require-full-coverage no";
            [on_port(port), more.split(' ').map(str::to_owned).collect()].concat()
        };
        let nodes: Option<Vec<_>> = ports.iter().map(|port| StoreServer::start_with(|_| options(*port))).collect();
        let nodes = nodes?;
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            assert_eq!(node.command(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK");
        }
        for port in &ports[1..] {
            assert_eq!(nodes[0].command(&format!("CLUSTER MEET 127.0.0.1 {port}")), "+OK");
        }
        for node in &nodes {
            wait_for("a Cluster", || {
                let facts = node.list("CLUSTER INFO");
                ["cluster_state:ok", "cluster_known_nodes:3", "cluster_slots_assigned:16384"]
                    .iter()
                    .all(|fact| facts.iter().any(|line| line == fact))
                    .then_some(())
            });
        }
        Some(Self { nodes, ports })
    }

    /// A node that has none of these keys.
    pub(crate) fn other_than(&self, keys: &[&str]) -> &StoreServer {
        let lacks =
            |node: &StoreServer| keys.iter().all(|key| node.command(&format!("TYPE {key}")).starts_with("-MOVED"));
        self.nodes.iter().find(|node| lacks(node)).expect("another node")
    }

    /// `state.valkey`, which names two of the nodes.
    pub(crate) fn section(&self) -> String {
        let urls: Vec<_> = self.ports.iter().take(2).map(|port| format!("'redis://127.0.0.1:{port}'")).collect();
        format!("mode: cluster, urls: [{}], timeout: 1s", urls.join(", "))
    }
}

fn on_port(port: u16) -> Vec<String> {
    ["--port", &port.to_string(), "--bind", "127.0.0.1"].map(str::to_owned).into()
}

/// The lines of what a Sentinel answers; `None`: it does not.
fn answer(port: u16, words: &str) -> Option<Vec<String>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(format!("{words}\r\nPING\r\n").as_bytes()).ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    Some(lines.take_while(|line| line != "+PONG").collect())
}
