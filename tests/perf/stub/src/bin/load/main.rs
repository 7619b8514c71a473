//! Load client for what wrk and h2load do not measure.
//!
//!   load sse       --to IP:PORT [--tls] --streams N --ramp R --events K --interval MS --window MS
//!                  (then hangs up at a line on stdin; with --drain it waits for the end of every stream)
//!   load handshake --to IP:PORT --conc C --secs S
//!   load idle      --to IP:PORT [--tls] --conns N          (holds until stdin closes)
//!   load upload    --to IP:PORT [--tls] --bytes B --count K --conc C
//!   load reload    --to IP:PORT --conc C --secs S --rps R -N 'Header: new key'   (waits for "go")
//!   load paced     --to IP:PORT [--tls] --conc C --secs S --rps R
//!
//! Common: --path P, -H 'Name: value' (repeated). Answers are lines of "tag JSON" on stdout.

mod distribution;
mod handshake;
mod http;
mod idle;
mod options;
mod paced;
mod pacer;
mod reload;
mod sse;
mod upload;

use options::Opt;
use perflab::raise_nofile;

fn main() {
    raise_nofile();
    let mut args = std::env::args().skip(1);
    let cmd = args.next().unwrap_or_default();
    let o = Opt { args: args.collect() };
    match cmd.as_str() {
        "sse" => sse::sse(&o),
        "handshake" => handshake::handshake(&o),
        "idle" => idle::idle(&o),
        "upload" => upload::upload(&o),
        "reload" => reload::reload(&o),
        "paced" => paced::paced(&o),
        _ => {
            eprintln!("usage: load sse|handshake|idle|upload|reload|paced ...");
            std::process::exit(2);
        }
    }
}
