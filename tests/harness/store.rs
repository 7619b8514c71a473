//! A real Redis or Valkey with a folder of its own, reached over a Unix socket there, or over a port.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait_for;

/// The server's program, if this machine has one; else that is said.
pub(crate) fn program() -> Option<&'static str> {
    let program = ["redis-server", "valkey-server"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok());
    if program.is_none() {
        eprintln!("SKIPPED: there is no redis-server and no valkey-server on PATH");
    }
    program
}

/// A server that can be killed, stopped and started again. It keeps nothing on disk.
pub(crate) struct StoreServer {
    program: &'static str,
    options: Vec<String>,
    dir: TempDir,
    child: Option<Child>,
}

impl StoreServer {
    /// `None`, and said so: this machine has neither.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| Vec::new())
    }

    /// With further options, which are made for its folder.
    pub(crate) fn start_with(options: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let program = program()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = options(dir.path());
        let mut server = Self { program, options, dir, child: None };
        server.launch();
        Some(server)
    }

    /// Starts it, or starts it again: it is empty then.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new(self.program);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        if !self.options.iter().any(|option| option.ends_with("port")) {
            command.args(["--port", "0"]);
        }
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(self.dir.path()).args(&self.options);
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log");
        self.child = Some(command.stdin(Stdio::null()).stdout(log).spawn().expect("the store starts"));
        wait_for("the store", || UnixStream::connect(self.socket()).is_ok().then_some(()));
    }

    /// What it is launched with the next time.
    pub(crate) fn options_mut(&mut self) -> &mut Vec<String> {
        &mut self.options
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// `unix://…`, for `urls`.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `STOP`: it holds its connections, and says nothing any more; `CONT`: it goes on.
    pub(crate) fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it runs");
        let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// One command of words without spaces; the first line of the answer.
    pub(crate) fn command(&self, words: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("a connection");
        stream.write_all(format!("{words}\r\n").as_bytes()).expect("a command");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    /// The texts and numbers that a script answers with.
    pub(crate) fn eval(&self, script: &str, keys: &[&str], arguments: &[&str]) -> Vec<String> {
        let count = keys.len().to_string();
        let words = [&["EVAL", script, &count], keys, arguments].concat();
        let words: Vec<_> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        self.list(&format!("*{}\r\n{}", words.len(), words.concat()))
    }

    /// The number that a command is answered with.
    pub(crate) fn number(&self, words: &str) -> Option<i64> {
        let mut stream = UnixStream::connect(self.socket()).expect("a connection");
        stream.write_all(format!("{words}\r\n").as_bytes()).expect("a command");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        match first.strip_prefix(':') {
            Some(number) => number.parse().ok(),
            None => lines.next()?.parse().ok(),
        }
    }

    /// Every key that it has.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.list("KEYS *")
    }

    /// The texts and numbers that a command is answered with.
    pub(crate) fn list(&self, words: &str) -> Vec<String> {
        let mut stream = UnixStream::connect(self.socket()).expect("a connection");
        stream.write_all(format!("{}\r\nPING\r\n", words.trim_end()).as_bytes()).expect("a command");
        let lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        let words = lines.take_while(|line| line != "+PONG").filter(|line| !line.starts_with(['*', '$']));
        words.map(|line| line.strip_prefix(':').map_or(line.clone(), str::to_owned)).collect()
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "--- the store's log\n{}",
                std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
            );
        }
    }
}
