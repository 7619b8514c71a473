//! Connections that are held open.

use crate::http::{connect, read_response};
use crate::options::{Opt, BODY};
use perflab::*;
use std::io::{self, Read, Write};

pub fn idle(o: &Opt) {
    let cfg = client_tls();
    let tls = o.has("--tls").then_some(&cfg);
    let n = o.num("--conns", 10_000);
    let req = o.request(BODY);
    let mut held = Vec::with_capacity(n as usize);
    let mut buf = Vec::new();
    let (mut failed, t0) = (0u64, now_ns());
    let deadline = t0 + 90 * 1_000_000_000;
    for _ in 0..n {
        if now_ns() > deadline {
            break;
        }
        let r = (|| -> io::Result<Io> {
            let mut io = connect(o.to(), tls)?;
            io.handshake()?;
            io.write_all(&req)?;
            io.flush()?;
            match read_response(&mut io, &mut buf)? {
                (200, false) => Ok(io),
                _ => Err(io::ErrorKind::Other.into()),
            }
        })();
        match r {
            Ok(io) => held.push(io),
            Err(_) => failed += 1,
        }
    }
    println!("open {{\"open\":{},\"failed\":{failed},\"secs\":{:.3}}}", held.len(), (now_ns() - t0) as f64 / 1e9);
    let mut l = String::new();
    let _ = io::stdin().read_line(&mut l);
    // How many were dropped by the server while idle.
    let mut dropped = 0;
    for io in &mut held {
        let _ = io.sock.set_nonblocking(true);
        let mut b = [0u8; 256];
        match io.read(&mut b) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            _ => dropped += 1,
        }
    }
    println!("final {{\"dropped\":{dropped}}}");
    std::process::exit(0);
}
