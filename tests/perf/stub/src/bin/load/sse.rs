//! Event streams, many at once.

use crate::distribution::dist;
use crate::http::connect;
use crate::options::Opt;
use perflab::*;
use std::io::{self, BufRead, Read, Write};

struct Stream {
    io: Io,
    sent: bool,
    head: Vec<u8>,
    in_body: bool,
    chunked: bool,
    dec: Chunked,
    ev: Vec<u8>,
    next: u64,
    start: u64,
    first: u64,
}

#[derive(Default)]
struct Stat {
    events: u64,
    merged: u64,
    reordered: u64,
    lost: u64,
    first: Vec<u64>,
    delay: Vec<u64>,
    window: bool,
    w_events: u64,
    w_merged: u64,
}

fn events(ev: &mut Vec<u8>, next: &mut u64, now: u64, st: &mut Stat) {
    let mut at = 0;
    let mut in_read = 0;
    while let Some(p) = find(&ev[at..], b"\n\n") {
        let e = &ev[at..at + p];
        at += p + 2;
        let (Some(seq), Some(ts)) = (num_after(e, b"\"seq\""), num_after(e, b"\"ts\"")) else { continue };
        if seq == *next {
            *next += 1;
        } else if seq > *next {
            st.lost += seq - *next;
            *next = seq + 1;
        } else {
            st.reordered += 1;
        }
        st.events += 1;
        in_read += 1;
        if in_read > 1 {
            st.merged += 1;
        }
        if st.window {
            st.w_events += 1;
            if in_read > 1 {
                st.w_merged += 1;
            }
            st.delay.push(now.saturating_sub(ts));
        }
    }
    if at == ev.len() {
        ev.clear();
    } else if at > 0 {
        ev.drain(..at);
    }
}

pub fn sse(o: &Opt) {
    let n = o.num("--streams", 1000) as usize;
    let ramp = o.num("--ramp", 1000).max(1);
    let count = o.num("--events", 100);
    let interval = o.num("--interval", 100);
    let window = o.num("--window", 5000) * 1_000_000;
    let drain = o.has("--drain"); // wait for the end of every stream
    let cfg = client_tls();
    let tls = o.has("--tls").then_some(&cfg);
    let body = format!(
        "{{\"question\":\"tokens={count} interval_ms={interval} pad={}\",\"streaming\":true}}",
        o.num("--pad", 0)
    );
    let req = o.request(&body);
    let ep = Epoll::new();
    let mut streams: Vec<Option<Box<Stream>>> = Vec::new();
    let mut st = Stat::default();
    let (mut opened, mut failed, mut done, mut short, mut bad_status) = (0usize, 0usize, 0usize, 0usize, 0usize);
    let mut started = 0usize; // first event seen
    let t0 = now_ns();
    let life = (count * interval + 20_000) * 1_000_000 + n as u64 * 1_000_000_000 / ramp;
    let (mut steady_at, mut window_end) = (0u64, 0u64);
    let mut ev = vec![libc::epoll_event { events: 0, u64: 0 }; 2048];
    let mut buf = vec![0u8; 65536];
    let mut give_up = t0 + n as u64 * 1_000_000_000 / ramp + 30_000_000_000;
    loop {
        let now = now_ns();
        // Open at the ramp's rate.
        let want = (((now - t0) as u128 * ramp as u128 / 1_000_000_000) as usize + 1).min(n);
        while opened < want {
            let id = opened;
            opened += 1;
            let s = now_ns();
            match connect(o.to(), tls) {
                Ok(mut io) => {
                    let _ = io.sock.set_nonblocking(true);
                    let mut sent = false;
                    if tls.is_none() {
                        sent = io.write_all(&req).is_ok();
                    } else {
                        let _ = io.flush_tls();
                    }
                    ep.add(io.fd(), libc::EPOLLIN, id as u64);
                    streams.push(Some(Box::new(Stream {
                        io,
                        sent,
                        head: Vec::new(),
                        in_body: false,
                        chunked: false,
                        dec: Chunked::default(),
                        ev: Vec::new(),
                        next: 0,
                        start: s,
                        first: 0,
                    })));
                }
                Err(_) => {
                    failed += 1;
                    streams.push(None);
                }
            }
        }
        let k = ep.wait(&mut ev, if opened < n { 1 } else { 50 });
        for e in &ev[..k] {
            let id = e.u64 as usize;
            let Some(s) = streams[id].as_mut() else { continue };
            let mut end = false; // the stream has ended
            let mut whole = false; // it ended as it should
            loop {
                let r = match s.io.read(&mut buf) {
                    Ok(0) => {
                        end = true;
                        whole = s.in_body && !s.chunked;
                        break;
                    }
                    Ok(r) => r,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        if !s.sent && !s.io.is_handshaking() {
                            s.sent = true;
                            end = s.io.write_all(&req).is_err();
                        }
                        break;
                    }
                    Err(_) => {
                        end = true;
                        break;
                    }
                };
                let now = now_ns();
                let mut d = &buf[..r];
                if !s.in_body {
                    s.head.extend_from_slice(d);
                    let Some(p) = find(&s.head, b"\r\n\r\n") else { continue };
                    let used = p + 4 - (s.head.len() - d.len());
                    d = &d[used..];
                    if s.head.get(9..12) != Some(b"200") {
                        bad_status += 1;
                        end = true;
                        break;
                    }
                    s.chunked = header(&s.head[..p + 4], "transfer-encoding").is_some();
                    s.in_body = true;
                    s.head = Vec::new();
                }
                let evb = &mut s.ev;
                if s.chunked {
                    if s.dec.feed(d, |b| evb.extend_from_slice(b)).is_err() {
                        end = true;
                        break;
                    }
                } else {
                    evb.extend_from_slice(d);
                }
                events(&mut s.ev, &mut s.next, now, &mut st);
                if s.first == 0 && s.next > 0 {
                    s.first = now;
                    st.first.push(now - s.start);
                    started += 1;
                }
                if s.dec.done {
                    end = true;
                    whole = true;
                    break;
                }
                if r < buf.len() && matches!(s.io.tls, Tls::None) {
                    break;
                }
            }
            if end {
                if s.first == 0 {
                    failed += 1;
                } else {
                    done += 1;
                    st.lost += count.saturating_sub(s.next);
                    if !whole || s.next < count {
                        short += 1;
                    }
                }
                streams[id] = None;
            }
        }
        let now = now_ns();
        if steady_at == 0 && opened == n && (started + failed >= n || now > give_up) {
            steady_at = now;
            window_end = now + window;
            st.window = true;
            give_up = t0 + life;
            println!("steady {{\"started\":{started},\"failed\":{failed},\"ended\":{done},\"secs\":{:.3}}}", (now - t0) as f64 / 1e9);
            let _ = io::stdout().flush();
        }
        if st.window && now >= window_end {
            st.window = false;
            println!(
                "window {{\"secs\":{:.4},\"events\":{},\"merged\":{},\"live\":{},\"delay_us\":{},\"first_us\":{}}}",
                (now - steady_at) as f64 / 1e9,
                st.w_events,
                st.w_merged,
                started - done,
                dist(std::mem::take(&mut st.delay)),
                dist(st.first.clone())
            );
            let _ = io::stdout().flush();
            if !drain {
                // Hang up when told, so that the caller can look at the target with all streams open.
                let _ = io::stdin().lock().read_line(&mut String::new());
                break;
            }
        }
        if (steady_at > 0 && !st.window && done + failed >= n) || now > t0 + life {
            break;
        }
    }
    println!(
        "final {{\"streams\":{n},\"complete\":{},\"failed\":{failed},\"bad_status\":{bad_status},\"cut_short\":{short},\"unfinished\":{},\"events\":{},\"lost\":{},\"reordered\":{},\"merged\":{}}}",
        done - short.min(done),
        n - (done + failed).min(n),
        st.events,
        st.lost,
        st.reordered,
        st.merged
    );
}
