//! A client that asks at given times, and what becomes of its requests.

use crate::distribution::dist;
use crate::http::{connect, read_response};
use crate::options::{Opt, BODY};
use perflab::*;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub struct Tally {
    pub ok: AtomicU64,
    pub status: AtomicU64, // an answer other than 200
    pub cut: AtomicU64,    // request sent, connection ended without an answer
    pub refused: AtomicU64,
    pub reopened: AtomicU64, // closed between requests, no request lost
}

/// One paced keep-alive client: the latency of each request counts from its due time.
pub fn pacer(o: &Opt, tls: Option<&Arc<rustls::ClientConfig>>, gap: u64, phase: u64, until: u64, stop: &AtomicBool, t: &Tally) -> Vec<u64> {
    let req = o.request(BODY);
    let mut lat = Vec::new();
    let mut buf = Vec::new();
    let mut io: Option<Io> = None;
    let mut due = now_ns() + phase;
    while due < until && !stop.load(Relaxed) {
        let now = now_ns();
        if now < due {
            std::thread::sleep(Duration::from_nanos(due - now));
        }
        // A connection that the server closed while idle is reopened, not counted as a failure.
        if let Some(c) = io.as_mut() {
            let mut b = [0u8; 512];
            let _ = c.sock.set_nonblocking(true);
            let r = c.read(&mut b);
            let _ = c.sock.set_nonblocking(false);
            if !matches!(&r, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
                t.reopened.fetch_add(1, Relaxed);
                io = None;
            }
        }
        if io.is_none() {
            match connect(o.to(), tls).and_then(|mut c| c.handshake().map(|_| c)) {
                Ok(c) => io = Some(c),
                Err(_) => {
                    t.refused.fetch_add(1, Relaxed);
                    due += gap;
                    continue;
                }
            }
        }
        let c = io.as_mut().unwrap();
        let r = c.write_all(&req).and_then(|_| c.flush()).and_then(|_| read_response(c, &mut buf));
        match r {
            Ok((200, close)) => {
                t.ok.fetch_add(1, Relaxed);
                lat.push(now_ns() - due);
                if close {
                    io = None;
                }
            }
            Ok((_, close)) => {
                t.status.fetch_add(1, Relaxed);
                if close {
                    io = None;
                }
            }
            Err(_) => {
                t.cut.fetch_add(1, Relaxed);
                io = None;
            }
        }
        due += gap;
    }
    lat
}

pub fn report(t: &Tally, lat: Vec<u64>, t0: u64, extra: &str) {
    println!(
        "final {{\"ok\":{},\"status\":{},\"cut\":{},\"refused\":{},\"reopened\":{},\"secs\":{:.3},\"latency_us\":{}{extra}}}",
        t.ok.load(Relaxed),
        t.status.load(Relaxed),
        t.cut.load(Relaxed),
        t.refused.load(Relaxed),
        t.reopened.load(Relaxed),
        (now_ns() - t0) as f64 / 1e9,
        dist(lat)
    );
}
