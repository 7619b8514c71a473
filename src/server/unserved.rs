//! Connections that are closed before anything is read of them as a request: counted, and told once a minute for each reason.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::telemetry::metrics::ConnectionMetrics;

/// Seconds between two lines of the log for one reason.
const WARN_EVERY: u64 = 60;

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unserved {
    /// Its address has as many as it may.
    Address,
    /// Who asks for decisions is no proxy of ours.
    ExtAuthPeer,
    /// Whoever may not say for whom a connection is.
    ProxyProtocolPeer,
    /// Whoever may, and does not.
    ProxyProtocol,
}

impl Unserved {
    const COUNT: usize = 4;

    /// As the metric shows it.
    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::ExtAuthPeer => "ext_auth_peer",
            Self::ProxyProtocolPeer => "proxy_protocol_peer",
            Self::ProxyProtocol => "proxy_protocol",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Address => "more connections than server.connections_per_address",
            Self::ExtAuthPeer => {
                "server.ext_auth answers this machine and server.trusted_proxies only: list the proxy that asks there"
            }
            Self::ProxyProtocolPeer => {
                "with server.proxy_protocol only server.trusted_proxies may connect: list the proxy that does"
            }
            Self::ProxyProtocol => "a connection did not begin as server.proxy_protocol says",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct ClosedUnserved {
    started: Instant,
    /// Seconds after `started` before which nobody is warned again, for each reason.
    warn_after: [AtomicU64; Unserved::COUNT],
}

impl Default for ClosedUnserved {
    fn default() -> Self {
        Self { started: Instant::now(), warn_after: Default::default() }
    }
}

impl ClosedUnserved {
    pub(super) fn tell(&self, reason: Unserved, peer: SocketAddr, metrics: &ConnectionMetrics) {
        metrics.refused.with_label_values(&[reason.name()]).inc();
        let now = self.started.elapsed().as_secs();
        let again = |after| (now >= after).then_some(now + WARN_EVERY);
        let warned = self.warn_after.get(reason as usize);
        if warned.is_some_and(|after| after.fetch_update(Ordering::Relaxed, Ordering::Relaxed, again).is_ok()) {
            tracing::warn!(client = %peer.ip().to_canonical(), "{}", reason.sentence());
        }
    }
}
