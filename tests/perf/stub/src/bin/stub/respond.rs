//! Which answer a request gets.

use crate::answers::*;
use crate::connection::Body;
use crate::server::Srv;
use perflab::*;
use std::io::Write;

impl Srv {
    pub fn respond(&mut self, id: u32) -> bool {
        let c = self.conns[id as usize].as_mut().unwrap();
        let head = c.head.take().unwrap();
        let lead = std::mem::take(&mut c.lead);
        c.body = Body::None;
        c.close_after = header(&head, "connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close"));
        let streaming = find(&lead, b"\"streaming\"")
            .is_some_and(|p| lead[p + 11..].trim_ascii_start().strip_prefix(b":").is_some_and(|v| v.trim_ascii_start().starts_with(b"true")));
        let line = &head[..find(&head, b"\r\n").unwrap_or(0)];
        c.is_model = find(line, b"/chat/completions ").is_some();
        if c.is_model {
            if find(&lead, b"\"stream\":true").is_none() {
                let r = json_response(COMPLETION);
                c.out.extend_from_slice(&r);
                return self.flush(id);
            }
            let tokens = num_after(&lead, b"tokens=").unwrap_or(16) as u32;
            c.out.extend_from_slice(SSE_HEAD.as_bytes());
            chunk(&mut c.out, &format!("{FIRST_PIECE}\n\n"));
            if let Some(ms) = num_after(&lead, b"interval_ms=") {
                (c.sse_left, c.sse_interval) = (tokens, ms.max(1));
                return self.event(id);
            }
            for _ in 0..tokens {
                chunk(&mut c.out, &format!("{PIECE}\n\n"));
            }
            chunk(&mut c.out, LAST_PIECES);
            c.out.extend_from_slice(b"0\r\n\r\n");
            return self.flush(id);
        }
        if streaming {
            c.sse_left = num_after(&lead, b"tokens=").unwrap_or(20) as u32;
            c.sse_interval = num_after(&lead, b"interval_ms=").unwrap_or(50).max(1);
            c.sse_pad = num_after(&lead, b"pad=").unwrap_or(0) as usize;
            c.sse_seq = 0;
            c.out.extend_from_slice(SSE_HEAD.as_bytes());
            return self.event(id);
        }
        if find(&lead, b"echo=1").is_some() {
            let mut b = String::from("{\"head\":\"");
            for &x in &head {
                match x {
                    b'\r' => b.push_str("\\r"),
                    b'\n' => b.push_str("\\n"),
                    b'"' => b.push_str("\\\""),
                    b'\\' => b.push_str("\\\\"),
                    x => b.push(x as char),
                }
            }
            b.push_str("\"}");
            let r = json_response(&b);
            self.conns[id as usize].as_mut().unwrap().out.extend_from_slice(&r);
            return self.flush(id);
        }
        if let Some(ms) = num_after(&lead, b"slow_ms=") {
            let gen = c.gen;
            self.arm(id, gen, ms);
            return true;
        }
        if c.out.is_empty() {
            // The common path: one write of the prepared answer.
            match c.io.write(&self.json) {
                Ok(n) if n == self.json.len() => return !(c.close_after && !c.io.wants_write()),
                Ok(n) => c.out.extend_from_slice(&self.json[n..]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => c.out.extend_from_slice(&self.json),
                Err(_) => return false,
            }
        } else {
            c.out.extend_from_slice(&self.json);
        }
        self.flush(id)
    }
}
