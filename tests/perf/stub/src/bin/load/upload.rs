//! Large bodies.

use crate::distribution::dist;
use crate::http::{connect, read_response};
use crate::options::Opt;
use perflab::*;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

pub fn upload(o: &Opt) {
    let cfg = client_tls();
    let tls = o.has("--tls").then_some(&cfg);
    let bytes = o.num("--bytes", 50_000_000) as usize;
    let count = o.num("--count", 4);
    // A JSON body with one base64 attachment, as a chat client sends a file.
    let pre = br#"{"question":"Read this","streaming":false,"uploads":[{"type":"file","name":"a.bin","mime":"application/octet-stream","data":"data:application/octet-stream;base64,"#;
    let post = br#""}]}"#;
    let mut body = Vec::with_capacity(bytes);
    body.extend_from_slice(pre);
    body.resize(bytes - post.len(), b'A');
    body.extend_from_slice(post);
    let head = o.head(body.len());
    let (body, head) = (&body, &head);
    let ok = AtomicU64::new(0);
    let bad = AtomicU64::new(0);
    let each = Mutex::new(Vec::new());
    let t0 = now_ns();
    std::thread::scope(|s| {
        for _ in 0..o.num("--conc", 1) {
            s.spawn(|| {
                let mut buf = Vec::new();
                let mut io = None;
                for _ in 0..count {
                    let a = now_ns();
                    let r = (|| -> io::Result<(u16, bool)> {
                        if io.is_none() {
                            let mut c = connect(o.to(), tls)?;
                            c.handshake()?;
                            io = Some(c);
                        }
                        let c = io.as_mut().unwrap();
                        c.write_all(head)?;
                        for part in body.chunks(65536) {
                            c.write_all(part)?;
                        }
                        c.flush()?;
                        read_response(c, &mut buf)
                    })();
                    match r {
                        Ok((200, close)) => {
                            ok.fetch_add(1, Relaxed);
                            each.lock().unwrap().push(now_ns() - a);
                            if close {
                                io = None;
                            }
                        }
                        _ => {
                            bad.fetch_add(1, Relaxed);
                            io = None;
                        }
                    }
                }
            });
        }
    });
    let el = (now_ns() - t0) as f64 / 1e9;
    println!(
        "final {{\"ok\":{},\"failed\":{},\"secs\":{el:.4},\"mb_per_s\":{:.1},\"each_us\":{}}}",
        ok.load(Relaxed),
        bad.load(Relaxed),
        ok.load(Relaxed) as f64 * bytes as f64 / 1e6 / el,
        dist(each.into_inner().unwrap())
    );
}
