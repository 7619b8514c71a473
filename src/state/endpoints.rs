//! Servers that are asked. Connections and health are a server's, whoever asks it and under whatever policy, for as long
//! as somebody may ask it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use prometheus::{IntGauge, IntGaugeVec};

use crate::client::Origin;
use crate::telemetry::metrics::Metrics;

/// How long a server that refused a connection is tried last.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Endpoints {
    healthy: IntGaugeVec,
    known: Mutex<OriginsByUpstream>,
}

/// By the upstream's name. There are few, so a search is as fast as a hash.
type OriginsByUpstream = HashMap<Box<str>, Vec<(Origin, Weak<Health>)>>;

/// Whether a server accepts connections.
#[derive(Debug)]
pub(crate) struct Health {
    started: Instant,
    /// Milliseconds after `started` until which the server is tried last; 0: healthy.
    cooling_until: AtomicU64,
    healthy: IntGauge,
}

impl Endpoints {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { healthy: metrics.upstream_healthy.clone(), known: Mutex::default() }
    }

    /// The origin, with the connections and the health of its server in that upstream.
    pub(crate) fn find(&self, upstream: &str, origin: Origin) -> (Origin, Arc<Health>) {
        // A panic under the lock leaves a list of which each entry is good.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut servers = known.get(upstream).into_iter().flatten();
        let found = servers
            .find_map(|(server, health)| Some((server, health.upgrade()?)).filter(|_| server.is_same_server(&origin)));
        if let Some((server, health)) = found {
            return (origin.sharing(server), health);
        }
        let health = Arc::new(Health::new(self.healthy.with_label_values(&[upstream, &*origin.to_string()])));
        known.retain(|_, servers| {
            servers.retain(|(_, health)| health.strong_count() > 0);
            !servers.is_empty()
        });
        known.entry(upstream.into()).or_default().push((origin.clone(), Arc::downgrade(&health)));
        (origin, health)
    }
}

#[cfg(test)]
impl Default for Endpoints {
    fn default() -> Self {
        Self::new(&Metrics::new().unwrap())
    }
}

impl Health {
    /// A new gauge says that all is well.
    fn new(healthy: IntGauge) -> Self {
        healthy.set(1);
        Self { started: Instant::now(), cooling_until: AtomicU64::new(0), healthy }
    }

    /// The server accepted a connection.
    pub(crate) fn connected(&self) {
        if self.cooling_until.load(Ordering::Relaxed) != 0 {
            self.cooling_until.store(0, Ordering::Relaxed);
            self.healthy.set(1);
        }
    }

    /// It accepted none.
    pub(crate) fn failed(&self) {
        let until = (self.started.elapsed() + COOL_DOWN).as_millis();
        self.cooling_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.healthy.set(0);
    }

    pub(crate) fn is_cooling_down(&self) -> bool {
        let until = self.cooling_until.load(Ordering::Relaxed);
        until != 0 && self.started.elapsed().as_millis() < u128::from(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Reach, Timeouts};

    fn origin(host: &str, seconds: u64) -> Origin {
        let seconds = Duration::from_secs(seconds);
        Origin::new(host, 3000, None, Reach::Any, Timeouts { connect: seconds, response: seconds }).unwrap()
    }

    #[test]
    fn a_server_is_the_same_for_whoever_asks_it_within_an_upstream() {
        let endpoints = Endpoints::default();
        let (_, health) = endpoints.find("a", origin("host", 1));
        health.failed();
        let (patient, same) = endpoints.find("a", origin("host", 9));
        assert!(Arc::ptr_eq(&health, &same) && same.is_cooling_down());
        assert_eq!(patient.timeouts().response, Duration::from_secs(9));
        for (upstream, host) in [("b", "host"), ("a", "other")] {
            assert!(!endpoints.find(upstream, origin(host, 1)).1.is_cooling_down(), "{upstream} {host}");
        }
        same.connected();
        assert!(!health.is_cooling_down());
    }

    #[test]
    fn a_server_that_nobody_asks_is_forgotten() {
        let endpoints = Endpoints::default();
        let kept = endpoints.find("a", origin("kept", 1));
        for number in 0..100 {
            drop(endpoints.find("a", origin(&format!("host-{number}"), 1)));
            drop(endpoints.find(&format!("upstream-{number}"), origin("host", 1)));
        }
        let known = endpoints.known.lock().unwrap();
        assert!(known.values().map(Vec::len).sum::<usize>() <= 2, "{known:?}");
        drop(kept);
    }
}
