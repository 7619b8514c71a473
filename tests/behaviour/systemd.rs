//! What systemd is told, and the sockets that it gives.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use crate::harness::client::{Connection, request};
use crate::harness::gateway::{BINARY, Gateway, keys, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, PATIENCE};
use crate::upgrade::Successor;

const ASK: &str = r#"{"question":"hi"}"#;

/// systemd's end of `NOTIFY_SOCKET`.
struct ServiceManager {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl ServiceManager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, _folder: folder, path }
    }

    fn start(&self, upstream: &Upstream, more: &[(&str, &str)]) -> Gateway {
        Gateway::start_command(
            &simple(upstream.address),
            &keys(""),
            |_| {},
            |mut command| {
                command.env("NOTIFY_SOCKET", &self.path).envs(more.iter().copied());
                command
            },
        )
    }

    /// The next message, as lines.
    fn heard(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("a message");
        std::str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned).collect()
    }
}

#[test]
fn systemd_hears_of_readiness_reloads_and_the_end() {
    let (manager, upstream) = (ServiceManager::new(), Upstream::answering());
    let mut gateway = manager.start(&upstream, &[]);
    let ready = manager.heard();
    assert_eq!(ready[0], "READY=1");
    assert_eq!(ready[1], format!("STATUS=http {}, admin {}", gateway.http, gateway.admin));
    let read_anew = || {
        gateway.signal("HUP");
        let reloading = manager.heard();
        assert_eq!((reloading[0].as_str(), reloading[2].as_str()), ("RELOADING=1", "STATUS=reloading"));
        let since: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(since > 0);
        manager.heard()
    };
    assert_eq!(read_anew(), ready);
    gateway.write("flowgate.yaml", "server: [");
    assert_eq!(read_anew(), ["READY=1", "STATUS=the last reload was rejected: see the log"]);
    gateway.signal("TERM");
    assert_eq!(manager.heard(), ["STOPPING=1", "STATUS=draining"]);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_watchdog_is_fed_while_all_threads_work() {
    let (manager, upstream) = (ServiceManager::new(), Upstream::answering());
    let gateway = manager.start(&upstream, &[("WATCHDOG_USEC", "600000")]);
    let mut fed = 0;
    while fed < 5 {
        fed += usize::from(manager.heard() == ["WATCHDOG=1"]);
    }
    // Somebody else's is none of ours.
    let other = manager.start(&upstream, &[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    drop(gateway);
    while manager.heard()[0] != "READY=1" {}
    other.signal("TERM");
    assert_eq!(manager.heard()[0], "STOPPING=1");
}

#[test]
fn an_upgrade_names_the_new_process_before_that_is_ready() {
    let (manager, upstream) = (ServiceManager::new(), Upstream::answering());
    let mut gateway = manager.start(&upstream, &[]);
    let ready = manager.heard();
    let successor = Successor::of(&gateway);
    assert_eq!(manager.heard(), [format!("MAINPID={}", successor.0)]);
    assert_eq!(manager.heard(), ready);
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Starts flowgate with that socket as the first one that systemd would give.
fn given(command: &Command, socket: &TcpListener, name: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null"]).arg(command.get_program());
    shell.args(command.get_args()).env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
    shell.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    shell
}

#[test]
fn a_socket_of_systemd_is_served_with_all_that_waits_in_it() {
    let upstream = Upstream::answering();
    for (name, workers) in [("http", 1), ("flowgate.socket", 3)] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        // Before anybody accepts.
        let mut waiting = Connection::over(TcpStream::connect(address).unwrap());
        waiting.write(request("POST", "/api/v1/prediction/support", &[("x-api-key", KEY)], ASK));
        let text = simple(upstream.address).replace("workers: 1", &format!("workers: {workers}"));
        // By its name wherever the configuration would listen, and by its address without a name of ours.
        let text = if name == "http" { text } else { text.replacen("127.0.0.1:0", &address.to_string(), 1) };
        let mut gateway = Gateway::start_command(
            &text,
            &keys(""),
            |_| {},
            |command| {
                let mut shell = given(&command, &socket, name);
                shell.stdout(Stdio::piped());
                shell
            },
        );
        assert_eq!(gateway.http, address);
        assert_eq!(waiting.read_response().unwrap().status, 200);
        drop(waiting);
        for _ in 0..20 {
            assert_eq!(gateway.predict(ASK).status, 200);
        }
        // And handed on.
        let successor = Successor::of(&gateway);
        assert_eq!(gateway.wait().code(), Some(0));
        assert_eq!(gateway.predict(ASK).status, 200);
        drop(successor);
    }
}

#[test]
fn a_socket_that_is_no_listener_of_the_configuration_is_refused() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering();
    std::fs::write(folder.path().join("flowgate.yaml"), simple(upstream.address)).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    for (name, told) in [("https", "name it http, https, ext_auth or admin"), ("other", "which is no listener")] {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(folder.path().join("flowgate.yaml"));
        let output = given(&command, &socket, name).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(&format!("`{name}`")) && error.contains(told), "{error}");
    }
}
