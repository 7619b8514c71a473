//! A scripted upstream: a real HTTP/1.1 server on a thread a connection, which records what it saw and answers, stalls,
//! cuts or lies as told.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::wait_for;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
}

impl Seen {
    /// The one value of a header; panics if there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        let first = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} came more than once");
        first
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The upstream's side of one request.
pub(crate) struct Reply {
    stream: TcpStream,
    /// Set by whoever closes the connection: no further request is read.
    closed: bool,
}

impl Reply {
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have gone; tests look at what it did, not at this.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// A whole JSON answer.
    pub(crate) fn json(&mut self, status: &str, body: &str) {
        self.raw(format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n{body}",
            body.len()
        ));
    }

    /// The head of a stream as Flowise sends it.
    pub(crate) fn stream_head(&mut self) {
        self.raw(
            "HTTP/1.1 200 OK\r\nVary: Origin\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
             Connection: keep-alive\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
    }

    /// One chunk of a chunked body.
    pub(crate) fn chunk(&mut self, data: impl AsRef<[u8]>) {
        let data = data.as_ref();
        self.raw([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
    }

    /// The same chunk again and again, without a pause, until the gateway closes. `true` unless it does not.
    pub(crate) fn pour(&mut self, data: &str) -> bool {
        self.closed = true;
        let _ = self.stream.set_write_timeout(Some(super::PATIENCE));
        let chunk = format!("{:x}\r\n{data}\r\n", data.len());
        loop {
            match self.stream.write_all(chunk.as_bytes()) {
                Ok(()) => {}
                Err(error) => return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            }
        }
    }

    /// One event as Flowise sends it.
    pub(crate) fn event(&mut self, name: &str, data: &str) {
        self.chunk(record(name, data));
    }

    /// The end of a chunked body.
    pub(crate) fn finish(&mut self) {
        self.raw("0\r\n\r\n");
    }

    /// Cuts the connection.
    pub(crate) fn cut(&mut self) {
        self.closed = true;
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Cuts the connection after that time, or as soon as another request comes, which is lost then.
    pub(crate) fn cut_after(&mut self, time: std::time::Duration) {
        let _ = self.stream.set_read_timeout(Some(time));
        let _ = self.stream.peek(&mut [0; 1]);
        self.cut();
    }

    /// Blocks until the gateway closes its side. `true` unless it takes too long.
    pub(crate) fn wait_for_close(&mut self) -> bool {
        self.closed = true;
        let _ = self.stream.set_read_timeout(Some(super::PATIENCE));
        match self.stream.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            // A reset is a close as well.
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// One event as Flowise writes it.
pub(crate) fn record(name: &str, data: &str) -> String {
    format!("message:\ndata:{{\"event\":\"{name}\",\"data\":{}}}\n\n", serde_json::json!(data))
}

/// Holds a script up until the test lets it go on.
pub(crate) struct Gate(Mutex<Receiver<()>>);

impl Gate {
    /// Each `()` lets one [`pass`](Self::pass) through.
    pub(crate) fn new() -> (Sender<()>, Self) {
        let (open, gate) = std::sync::mpsc::channel();
        (open, Self(Mutex::new(gate)))
    }

    /// Returns at once when the test is over.
    pub(crate) fn pass(&self) {
        let _ = self.0.lock().unwrap().recv_timeout(super::PATIENCE);
    }
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<Mutex<Vec<usize>>>,
    panicked: Arc<Mutex<Option<String>>>,
}

/// What real Flowise answers to most predictions, for tests that look elsewhere.
pub(crate) const ANSWER: &str =
    r#"{"text":"hello","question":"hi","chatId":"c","chatMessageId":"m","isStreamValid":false,"sessionId":"c"}"#;

impl Upstream {
    /// Answers everything with [`ANSWER`].
    pub(crate) fn answering() -> Self {
        Self::start(|_, reply| reply.json("200 OK", ANSWER))
    }

    /// Answers at once; streams begin at once, and end once the flag is set.
    pub(crate) fn holding_streams() -> (Self, Arc<AtomicBool>) {
        let finish = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&finish);
        let upstream = Self::start(move |seen, reply| {
            if seen.method != "POST" || seen.json()["streaming"] != true {
                return reply.json("200 OK", ANSWER);
            }
            reply.stream_head();
            reply.event("token", "first");
            wait_for("the word", || told.load(Ordering::SeqCst).then_some(()));
            reply.event("end", "[DONE]");
            reply.finish();
        });
        (upstream, finish)
    }

    /// Calls `script` for each request, on the connection's own thread.
    pub(crate) fn start(script: impl Fn(&Seen, &mut Reply) + Send + Sync + 'static) -> Self {
        Self::accept(move |connection, stream, seen| serve(&stream, connection, seen, &script))
    }

    /// The same as [`answering`](Self::answering), where there is a listener already.
    pub(crate) fn answering_on(listener: TcpListener) -> Self {
        let script = |_: &Seen, reply: &mut Reply| reply.json("200 OK", ANSWER);
        Self::on(listener, move |connection, stream, seen| serve(&stream, connection, seen, &script))
    }

    /// Calls `script` for each connection (counted from 0), for upstreams that do not speak HTTP as they should.
    pub(crate) fn raw(script: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        Self::accept(move |connection, stream, _| script(connection, stream))
    }

    fn accept(script: impl Fn(usize, TcpStream, &Mutex<Vec<Seen>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener, script)
    }

    fn on(listener: TcpListener, script: impl Fn(usize, TcpStream, &Mutex<Vec<Seen>>) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("bound");
        let upstream = Self { address, seen: Arc::default(), ended: Arc::default(), panicked: Arc::default() };
        let script = Arc::new(script);
        let (seen, ended) = (Arc::clone(&upstream.seen), Arc::clone(&upstream.ended));
        let panicked = Arc::clone(&upstream.panicked);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (seen, ended, script) = (Arc::clone(&seen), Arc::clone(&ended), Arc::clone(&script));
                let panicked = Arc::clone(&panicked);
                std::thread::spawn(move || {
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        script(connection, stream, &seen);
                    }));
                    if let Err(panic) = outcome {
                        let text = panic.downcast_ref::<String>().cloned();
                        *panicked.lock().unwrap() = Some(text.unwrap_or_else(|| "panic".into()));
                    }
                    ended.lock().unwrap().push(connection);
                });
            }
        });
        upstream
    }

    /// Waits until that connection is over, whoever closed it.
    #[track_caller]
    pub(crate) fn wait_ended(&self, connection: usize) {
        wait_for("the end of an upstream connection", || {
            self.ended.lock().unwrap().contains(&connection).then_some(())
        });
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until `count` requests have come.
    #[track_caller]
    pub(crate) fn wait_seen(&self, count: usize) -> Vec<Seen> {
        wait_for("requests at the upstream", || {
            let seen = self.seen();
            (seen.len() >= count).then_some(seen)
        })
    }

    /// Waits for a request with that method and path prefix.
    #[track_caller]
    pub(crate) fn wait_request(&self, method: &str, path: &str) -> Seen {
        wait_for("a request at the upstream", || {
            self.seen().into_iter().find(|seen| seen.method == method && seen.path.starts_with(path))
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let panic = self.panicked.lock().unwrap().take();
        if let Some(panic) = panic
            && !std::thread::panicking()
        {
            panic!("the scripted upstream panicked: {panic}");
        }
    }
}

fn serve(stream: &TcpStream, connection: usize, seen: &Mutex<Vec<Seen>>, script: &dyn Fn(&Seen, &mut Reply)) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = read_request(&mut reader, stream, connection) {
        seen.lock().unwrap().push(request.clone());
        let mut reply = Reply { stream: stream.try_clone().expect("a second handle"), closed: false };
        script(&request, &mut reply);
        if reply.closed {
            return;
        }
    }
}

pub(crate) fn read_request(
    reader: &mut BufReader<TcpStream>,
    mut stream: &TcpStream,
    connection: usize,
) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut first = lines.first()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
        .collect();
    let header = |name: &str| headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    if header("expect").is_some() {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let mut body = Vec::new();
    if let Some(length) = header("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if header("transfer-encoding").is_some() {
        body = super::client::read_chunked(reader).ok()?;
    }
    Some(Seen { method, path, headers, body, connection })
}
