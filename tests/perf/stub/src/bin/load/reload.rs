//! How long a change of the keys takes, under load.

use crate::http::{connect, read_response};
use crate::options::{Opt, BODY};
use crate::pacer::{pacer, report, Tally};
use perflab::*;
use std::io::{self, BufRead, Write};
use std::sync::atomic::AtomicBool;
use std::sync::Mutex;
use std::time::Duration;

pub fn reload(o: &Opt) {
    let conc = o.num("--conc", 16);
    let rps = o.num("--rps", 1000).max(1);
    let secs = o.num("--secs", 8);
    let gap = 1_000_000_000 * conc / rps;
    let t0 = now_ns();
    let until = t0 + secs * 1_000_000_000;
    let tally = Tally::default();
    let stop = AtomicBool::new(false);
    let lat = Mutex::new(Vec::new());
    let mut extra = String::new();
    std::thread::scope(|s| {
        for i in 0..conc {
            let (tally, stop, lat) = (&tally, &stop, &lat);
            s.spawn(move || {
                let v = pacer(o, None, gap, gap * i / conc, until, stop, tally);
                lat.lock().unwrap().extend(v);
            });
        }
        // Probe with the new key on a new connection each time.
        let mut hs = o.all("-N");
        hs.extend(o.all("-H").iter().filter(|h| {
            let n = h.split(':').next().unwrap_or("");
            !hs.iter().any(|k| k.split(':').next().unwrap_or("").eq_ignore_ascii_case(n))
        }).copied().collect::<Vec<_>>());
        let mut req = o.head_with(BODY.len(), &hs);
        req.extend_from_slice(BODY.as_bytes());
        let mut buf = Vec::new();
        let mut probe = || -> u16 {
            (|| -> io::Result<u16> {
                let mut io = connect(o.to(), None)?;
                io.write_all(&req)?;
                Ok(read_response(&mut io, &mut buf)?.0)
            })()
            .unwrap_or(0)
        };
        let before = probe();
        println!("ready {{\"before\":{before}}}");
        let mut l = String::new();
        let _ = io::stdin().lock().read_line(&mut l);
        let go = now_ns();
        let (mut first, mut last_bad, mut probes) = (0u64, go, 0u64);
        let mut good = 0;
        while now_ns() < until && good < 200 {
            let st = probe();
            probes += 1;
            let now = now_ns();
            if st == 200 {
                good += 1;
                if first == 0 {
                    first = now;
                }
            } else {
                good = 0;
                last_bad = now;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let ms = |t: u64| if t == 0 { "null".into() } else { format!("{:.2}", (t - go) as f64 / 1e6) };
        extra = format!(
            ",\"before\":{before},\"probes\":{probes},\"accepted_ms\":{},\"last_refusal_ms\":{},\"stable\":{}",
            ms(first),
            ms(last_bad),
            good >= 200
        );
    });
    report(&tally, lat.into_inner().unwrap(), t0, &extra);
}
