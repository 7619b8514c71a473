//! Who is at the other end: one address of an origin's host, or whatever the host stands for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections to one peer are kept together, and requests to it are counted, whoever sends them. Clones are the same peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<PeerState>);

#[derive(Debug)]
struct PeerState {
    /// Tells connections of two peers apart; never used twice in a process.
    id: u64,
    /// `None`: the origin's host is looked up with each new connection.
    address: Option<SocketAddr>,
    /// Held here once, and by each request under way.
    in_flight: Arc<()>,
}

/// A request under way, to the last byte of its response. Counting costs one atomic step each way.
#[derive(Debug)]
pub(crate) struct InFlight {
    _held: Arc<()>,
}

impl Peer {
    pub(crate) fn new(address: Option<SocketAddr>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(PeerState { id, address, in_flight: Arc::default() }))
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// Requests under way, of all threads.
    pub(crate) fn in_flight(&self) -> usize {
        Arc::strong_count(&self.0.in_flight).saturating_sub(1)
    }

    pub(crate) fn begin(&self) -> InFlight {
        InFlight { _held: Arc::clone(&self.0.in_flight) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_are_counted_until_they_end() {
        let peer = Peer::new(None);
        let same = peer.clone();
        let (one, two) = (peer.begin(), same.begin());
        assert_eq!((peer.in_flight(), same.id()), (2, peer.id()));
        drop(one);
        assert_eq!(same.in_flight(), 1);
        drop(two);
        assert_eq!((peer.in_flight(), Peer::new(None).in_flight()), (0, 0));
    }
}
