//! Ports for whoever must know one before anybody listens there.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below those that a kernel gives to connections and to listeners on port 0 (from 32768 on): those of other tests
/// would come to have it in between. A Cluster's nodes speak to each other 10,000 above.
const PORTS: std::ops::Range<u16> = 12_000..22_000;

/// A port that nobody has, and that nobody is given by chance.
pub(crate) fn free_port() -> u16 {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let any =
        || PORTS.start + u16::try_from(RandomState::new().hash_one(()) % PORTS.len() as u64).expect("below 10,000");
    std::iter::repeat_with(any).take(1_000).find(|port| free(*port) && free(port + 10_000)).expect("a free port")
}

/// An address on which nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
