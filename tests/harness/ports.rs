//! Ports for whoever must know one before anybody listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that a kernel gives to connections and to listeners on port 0 (from 32768 on): those of other tests
/// would come to have it in between. A Cluster's nodes speak to each other 10,000 above.
const PORTS: std::ops::Range<u16> = 12_000..22_000;

/// For each process before it comes to those of the next: tests run in one process, or in one each.
const EACH: u32 = 16;

/// A port that nobody has, and that nobody is given by chance: each but once in a process.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let next = || {
        let place = std::process::id().wrapping_mul(EACH).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        PORTS.start + u16::try_from(place % u32::from(PORTS.end - PORTS.start)).expect("below 10,000")
    };
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    std::iter::repeat_with(next).take(1_000).find(|port| free(*port) && free(port + 10_000)).expect("a free port")
}

/// An address on which nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
