//! Upstream stub: one epoll loop, a hand-made HTTP/1.1 parser, no allocation on the JSON path.
//!
//! The request body chooses the mode, in fields that Flowise itself knows, so that a gateway which
//! checks or rewrites bodies lets it through:
//!   anything else                                        a fixed JSON answer of about 300 bytes
//!   "question":"... slow_ms=N"                           the same answer after N ms
//!   "streaming":true, "question":"tokens=N interval_ms=I pad=P"   N token events, one each I ms, then an end event
//!   "question":"... echo=1"                              the request head as received, as a JSON string
//! A path that ends in /chat/completions is answered as OpenAI does: with "stream":true in as many pieces as `tokens=N`
//! in the body says (16), all at once, or one each I ms after `interval_ms=I`.
//!
//! Usage: stub --port P [--tls-port P2 --cert F --key F]

mod answers;
mod connection;
mod respond;
mod server;
mod timers;

use answers::{json_response, JSON_BODY};
use perflab::*;
use server::Srv;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use timers::WHEEL;

const LISTEN_PLAIN: u64 = u64::MAX;
const LISTEN_TLS: u64 = u64::MAX - 1;

fn main() {
    raise_nofile();
    let args: Vec<String> = std::env::args().collect();
    let get = |n: &str| args.iter().position(|a| a == n).and_then(|i| args.get(i + 1).cloned());
    let port: u16 = get("--port").expect("--port").parse().unwrap();
    let lis = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("listen");
    let tls = get("--tls-port").map(|p| {
        let l = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, p.parse().unwrap())).expect("listen tls");
        (l, server_tls(&get("--cert").expect("--cert"), &get("--key").expect("--key")))
    });
    let mut s = Srv {
        ep: Epoll::new(),
        conns: Vec::new(),
        gens: Vec::new(),
        wheel: (0..WHEEL).map(|_| Vec::new()).collect(),
        armed: 0,
        tick: now_ns() / 1_000_000,
        json: json_response(JSON_BODY),
        late_max_ms: 0,
    };
    s.ep.add(lis.as_raw_fd(), libc::EPOLLIN, LISTEN_PLAIN);
    if let Some((l, _)) = &tls {
        s.ep.add(l.as_raw_fd(), libc::EPOLLIN, LISTEN_TLS);
    }
    println!("ready");
    let mut ev = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    let mut buf = vec![0u8; 256 * 1024];
    loop {
        let timeout = if s.armed > 0 { 1 } else { -1 };
        let n = s.ep.wait(&mut ev, timeout);
        for e in &ev[..n] {
            let (data, events) = (e.u64, e.events as i32);
            match data {
                LISTEN_PLAIN => {
                    while let Ok((sock, _)) = lis.accept() {
                        let _ = sock.set_nonblocking(true);
                        s.add(Io::plain(sock));
                    }
                }
                LISTEN_TLS => {
                    let (l, cfg) = tls.as_ref().unwrap();
                    while let Ok((sock, _)) = l.accept() {
                        let _ = sock.set_nonblocking(true);
                        s.add(Io::server(sock, cfg));
                    }
                }
                id => {
                    let id = id as u32;
                    let mut alive = true;
                    if events & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLRDHUP) != 0 {
                        alive = s.readable(id, &mut buf);
                    }
                    if alive && events & libc::EPOLLOUT != 0 {
                        alive = s.flush(id);
                    }
                    if !alive {
                        s.conns[id as usize] = None;
                        s.gens[id as usize] = s.gens[id as usize].wrapping_add(1);
                    }
                }
            }
        }
        s.timers();
    }
}
