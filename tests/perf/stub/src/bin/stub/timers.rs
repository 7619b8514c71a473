//! Answers and events that are due later.

use crate::answers::*;
use crate::server::Srv;
use perflab::*;
use std::io::Write;

pub const WHEEL: usize = 1 << 17; // ms slots

impl Srv {
    /// Appends the next event and writes it; arms the timer for the one after.
    pub fn event(&mut self, id: u32) -> bool {
        let c = self.conns[id as usize].as_mut().unwrap();
        if c.is_model {
            chunk(&mut c.out, &format!("{PIECE}\n\n"));
            c.sse_left -= 1;
            if c.sse_left == 0 {
                chunk(&mut c.out, LAST_PIECES);
                c.out.extend_from_slice(b"0\r\n\r\n");
            } else {
                let (gen, ms) = (c.gen, c.sse_interval);
                self.arm(id, gen, ms);
            }
            return self.flush(id);
        }
        let mut tmp = Vec::with_capacity(160 + c.sse_pad);
        let _ = write!(
            tmp,
            "message:\ndata:{{\"event\":\"token\",\"seq\":{},\"ts\":{},\"data\":\" token{}\"}}\n\n",
            c.sse_seq,
            now_ns(),
            &"................................................................"[..c.sse_pad.min(64)]
        );
        let _ = write!(c.out, "{:x}\r\n", tmp.len());
        c.out.extend_from_slice(&tmp);
        c.out.extend_from_slice(b"\r\n");
        c.sse_seq += 1;
        c.sse_left -= 1;
        if c.sse_left == 0 {
            c.out.extend_from_slice(END_EVENT);
        } else {
            let (gen, ms) = (c.gen, c.sse_interval);
            self.arm(id, gen, ms);
        }
        self.flush(id)
    }

    pub fn arm(&mut self, id: u32, gen: u32, ms: u64) {
        let ms = ms.clamp(1, WHEEL as u64 - 2);
        let now = now_ns() / 1_000_000;
        let at = now.max(self.tick) + ms;
        self.wheel[at as usize % WHEEL].push((id, gen));
        self.armed += 1;
    }

    pub fn timers(&mut self) {
        let now = now_ns() / 1_000_000;
        if self.armed == 0 {
            self.tick = now;
            return;
        }
        self.late_max_ms = self.late_max_ms.max(now - self.tick);
        while self.tick < now {
            self.tick += 1;
            let due = std::mem::take(&mut self.wheel[self.tick as usize % WHEEL]);
            self.armed -= due.len();
            for (id, gen) in due {
                let Some(c) = self.conns[id as usize].as_ref() else { continue };
                if c.gen != gen {
                    continue;
                }
                let alive = if c.sse_left > 0 {
                    self.event(id)
                } else {
                    let j = self.json.clone();
                    self.conns[id as usize].as_mut().unwrap().out.extend_from_slice(&j);
                    self.flush(id)
                };
                if !alive {
                    self.conns[id as usize] = None;
                    self.gens[id as usize] = gen.wrapping_add(1);
                }
            }
        }
    }
}
