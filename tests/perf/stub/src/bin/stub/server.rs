//! All connections: bytes in and out.

use crate::connection::{Body, Conn};
use perflab::*;
use std::io::{Read, Write};

pub struct Srv {
    pub ep: Epoll,
    pub conns: Vec<Option<Box<Conn>>>,
    pub gens: Vec<u32>,
    pub wheel: Vec<Vec<(u32, u32)>>,
    pub armed: usize,
    pub tick: u64, // last processed ms
    pub json: Vec<u8>,
    pub late_max_ms: u64,
}

impl Srv {
    pub fn add(&mut self, io: Io) {
        let fd = io.fd() as usize;
        if self.conns.len() <= fd {
            self.conns.resize_with(fd + 1, || None);
            self.gens.resize(fd + 1, 0);
        }
        self.ep.add(fd as i32, libc::EPOLLIN, fd as u64);
        self.conns[fd] = Some(Box::new(Conn::new(io, self.gens[fd])));
    }

    pub fn readable(&mut self, id: u32, buf: &mut [u8]) -> bool {
        loop {
            let Some(c) = self.conns[id as usize].as_mut() else { return true };
            let n = match c.io.read(buf) {
                Ok(0) => return false,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            };
            if !self.data(id, &buf[..n]) {
                return false;
            }
            if n < buf.len() && matches!(self.conns[id as usize].as_ref().unwrap().io.tls, Tls::None) {
                return true;
            }
        }
    }

    pub fn data(&mut self, id: u32, mut d: &[u8]) -> bool {
        loop {
            let c = self.conns[id as usize].as_mut().unwrap();
            if c.head.is_none() {
                // Fast path: the whole head is in this read.
                if c.rbuf.is_empty() {
                    match find(d, b"\r\n\r\n") {
                        Some(p) => {
                            let head = d[..p + 4].to_vec();
                            d = &d[p + 4..];
                            c.start(head);
                        }
                        None => {
                            c.rbuf.extend_from_slice(d);
                            return c.rbuf.len() < 65536;
                        }
                    }
                } else {
                    let had = c.rbuf.len();
                    c.rbuf.extend_from_slice(d);
                    match find(&c.rbuf, b"\r\n\r\n") {
                        Some(p) => {
                            let head = c.rbuf[..p + 4].to_vec();
                            d = &d[p + 4 - had..];
                            c.rbuf.clear();
                            c.start(head);
                        }
                        None => return c.rbuf.len() < 65536,
                    }
                }
            }
            let done = match &mut c.body {
                Body::None => true,
                Body::Len(left) => {
                    let n = (*left).min(d.len() as u64) as usize;
                    if c.lead.len() < 2048 {
                        c.lead.extend_from_slice(&d[..n.min(2048)]);
                    }
                    *left -= n as u64;
                    d = &d[n..];
                    *left == 0
                }
                Body::Chunked(k) => {
                    let lead = &mut c.lead;
                    match k.feed(d, |p| {
                        if lead.len() < 2048 {
                            lead.extend_from_slice(&p[..p.len().min(2048)]);
                        }
                    }) {
                        Ok(n) => d = &d[n..],
                        Err(()) => return false,
                    }
                    k.done
                }
            };
            if !done {
                return true;
            }
            if !self.respond(id) {
                return false;
            }
            if d.is_empty() {
                return true;
            }
        }
    }

    pub fn flush(&mut self, id: u32) -> bool {
        let Some(c) = self.conns[id as usize].as_mut() else { return true };
        while c.out_pos < c.out.len() {
            match c.io.write(&c.out[c.out_pos..]) {
                Ok(n) => c.out_pos += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        let _ = c.io.flush_tls();
        let pending = c.out_pos < c.out.len() || c.io.wants_write();
        if !pending {
            c.out.clear();
            c.out_pos = 0;
            if c.close_after && c.sse_left == 0 {
                return false;
            }
        }
        if pending != c.waiting_write {
            c.waiting_write = pending;
            let ev = if pending { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN };
            self.ep.modify(c.io.fd(), ev, id as u64);
        }
        true
    }
}
