//! Connections that are made anew for each request.

use crate::distribution::dist;
use crate::http::{connect, read_response};
use crate::options::{Opt, BODY};
use perflab::*;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

pub fn handshake(o: &Opt) {
    let secs = o.num("--secs", 4);
    let cfg = client_tls();
    let req = o.request(BODY);
    let until = now_ns() + secs * 1_000_000_000;
    let ok = AtomicU64::new(0);
    let bad = AtomicU64::new(0);
    let hs = Mutex::new(Vec::new());
    let tot = Mutex::new(Vec::new());
    let t0 = now_ns();
    std::thread::scope(|s| {
        for _ in 0..o.num("--conc", 16) {
            s.spawn(|| {
                let (mut h, mut t) = (Vec::new(), Vec::new());
                let mut buf = Vec::new();
                while now_ns() < until {
                    let a = now_ns();
                    let r = (|| -> io::Result<u16> {
                        let mut io = connect(o.to(), Some(&cfg))?;
                        io.handshake()?;
                        h.push(now_ns() - a);
                        io.write_all(&req)?;
                        io.flush()?;
                        let (st, _) = read_response(&mut io, &mut buf)?;
                        t.push(now_ns() - a);
                        io.close_notify();
                        Ok(st)
                    })();
                    match r {
                        Ok(200) => ok.fetch_add(1, Relaxed),
                        _ => bad.fetch_add(1, Relaxed),
                    };
                }
                hs.lock().unwrap().extend(h);
                tot.lock().unwrap().extend(t);
            });
        }
    });
    let el = (now_ns() - t0) as f64 / 1e9;
    println!(
        "final {{\"ok\":{},\"failed\":{},\"secs\":{el:.3},\"handshake_us\":{},\"total_us\":{}}}",
        ok.load(Relaxed),
        bad.load(Relaxed),
        dist(hs.into_inner().unwrap()),
        dist(tot.into_inner().unwrap())
    );
}
