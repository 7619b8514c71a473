//! An upstream that can be stopped and started again at its address, as one that restarts without losing a request:
//! it takes no new connections, answers what comes over those that it has, and leaves them when it promised.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::upstream::{ANSWER, Seen, read_request};

pub(crate) struct Restarting {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    running: Option<Running>,
}

struct Running {
    closing: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<JoinHandle<()>>>,
}

impl Restarting {
    pub(crate) fn start() -> Self {
        let mut new = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), seen: Arc::default(), running: None };
        new.start_again();
        new
    }

    pub(crate) fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).expect("its address");
        self.address = listener.local_addr().expect("bound");
        let (closing, stopping) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (seen, close, stop) = (Arc::clone(&self.seen), Arc::clone(&closing), Arc::clone(&stopping));
        let accepting = std::thread::spawn(move || {
            let mut connections = Vec::new();
            let mut serve = |stream: TcpStream| {
                let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
                connections.push(std::thread::spawn(move || serve(&stream, &seen, &stop)));
            };
            for stream in listener.incoming() {
                serve(stream.expect("a connection"));
                if close.load(Ordering::SeqCst) {
                    break;
                }
            }
            // Whoever is in the queue has been told that it is connected.
            listener.set_nonblocking(true).expect("non-blocking");
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(false).expect("blocking");
                serve(stream);
            }
            connections
        });
        self.running = Some(Running { closing, stopping, accepting });
    }

    /// Returns when all of its connections are over.
    pub(crate) fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address).expect("the last connection"));
        let connections = running.accepting.join().expect("no panic");
        running.stopping.store(true, Ordering::SeqCst);
        for connection in connections {
            connection.join().expect("no panic");
        }
    }

    /// All predictions so far.
    pub(crate) fn predictions(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.method == "POST").cloned().collect()
    }
}

/// Long after the gateway has stopped using it: half of what `Keep-Alive` promises.
const IDLE: Duration = Duration::from_secs(1);

fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<Seen>>, stopping: &AtomicBool) {
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(IDLE)).expect("a time-out");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = read_request(&mut reader, stream, 0) {
        seen.lock().unwrap().push(request);
        let is_last = stopping.load(Ordering::SeqCst);
        let keep_alive = if is_last { "Connection: close" } else { "Keep-Alive: timeout=1" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{keep_alive}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() || is_last {
            return;
        }
    }
}
