//! Requests at a given rate.

use crate::options::Opt;
use crate::pacer::{pacer, report, Tally};
use perflab::*;
use std::sync::atomic::AtomicBool;
use std::sync::Mutex;

pub fn paced(o: &Opt) {
    let cfg = client_tls();
    let tls = o.has("--tls").then_some(&cfg);
    let conc = o.num("--conc", 64);
    let rps = o.num("--rps", 1000).max(1);
    let gap = 1_000_000_000 * conc / rps;
    let t0 = now_ns();
    let until = t0 + o.num("--secs", 5) * 1_000_000_000;
    let tally = Tally::default();
    let stop = AtomicBool::new(false);
    let lat = Mutex::new(Vec::new());
    std::thread::scope(|s| {
        for i in 0..conc {
            let (tally, stop, lat) = (&tally, &stop, &lat);
            s.spawn(move || {
                let v = pacer(o, tls, gap, gap * i / conc, until, stop, tally);
                lat.lock().unwrap().extend(v);
            });
        }
    });
    report(&tally, lat.into_inner().unwrap(), t0, "");
}
