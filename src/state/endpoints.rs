//! Servers that are asked. Connections and health are a server's, whoever asks it and under whatever policy, for as long
//! as somebody may ask it.
//!
//! | file | what it is |
//! |---|---|
//! | [`url`] | a URL of an upstream, and its servers: one for each address |
//! | [`health`] | how one server is, from its connections and from checks |
//! | [`stick_table`] | where chats were answered |
//! | [`series`] | what metrics say of them |

mod health;
mod series;
mod stick_table;
mod url;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use health::{Availability, CheckResult};
pub(crate) use stick_table::StickTable;
pub(crate) use url::{UrlMember, UrlState, fnv1a};

use crate::client::Origin;
use crate::config::HealthCheck;
use crate::telemetry::metrics::Metrics;
use series::{ServerGauges, ServerSeries};

/// See the module.
#[derive(Debug)]
pub(crate) struct Endpoints {
    gauges: ServerGauges,
    known: Mutex<KnownServers>,
    in_force: watch::Sender<Arc<[WatchedUrl]>>,
}

#[derive(Debug, Default)]
struct KnownServers {
    /// By the upstream's name. There are few, so a search is as fast as a hash.
    providers: HashMap<Box<str>, Vec<(Origin, Weak<Health>)>>,
    urls: HashMap<Box<str>, Vec<Weak<UrlState>>>,
    stick_tables: HashMap<Box<str>, Weak<StickTable>>,
}

/// A URL that is in force, and what is to be done about it.
#[derive(Debug, Clone)]
pub(crate) struct WatchedUrl {
    pub(crate) upstream: Arc<str>,
    pub(crate) origin: Origin,
    pub(crate) url: Arc<UrlState>,
    /// `None`: there are none.
    pub(crate) check: Option<Arc<HealthCheck>>,
    /// How often its name is looked up.
    pub(crate) dns_refresh: Duration,
}

/// Whether a provider's server accepts connections.
#[derive(Debug)]
pub(crate) struct Health {
    is_down: AtomicBool,
    series: ServerSeries,
}

impl WatchedUrl {
    /// Whether the same is to be done about the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.url, &other.url)
            && (&self.origin, &self.check, self.dns_refresh) == (&other.origin, &other.check, other.dns_refresh)
    }
}

impl Endpoints {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            gauges: ServerGauges::new(metrics),
            known: Mutex::default(),
            in_force: watch::Sender::new(Arc::default()),
        }
    }

    /// A provider's origin, with the connections and the health of its server in that upstream.
    pub(crate) fn find(&self, upstream: &str, origin: Origin) -> (Origin, Arc<Health>) {
        let mut known = self.known();
        let mut servers = known.providers.get(upstream).into_iter().flatten();
        let found = servers
            .find_map(|(server, health)| Some((server, health.upgrade()?)).filter(|_| server.is_same_server(&origin)));
        if let Some((server, health)) = found {
            return (origin.sharing(server), health);
        }
        let health = Arc::new(Health::new(self.gauges.show(upstream, &origin.to_string())));
        known.providers.retain(|_, servers| {
            servers.retain(|(_, health)| health.strong_count() > 0);
            !servers.is_empty()
        });
        known.providers.entry(upstream.into()).or_default().push((origin.clone(), Arc::downgrade(&health)));
        (origin, health)
    }

    /// Providers that flows ask: the upstream's name, the server, and whether it accepts connections.
    pub(crate) fn providers(&self) -> Vec<(Box<str>, String, bool)> {
        let known = self.known();
        let servers =
            known.providers.iter().flat_map(|(upstream, servers)| servers.iter().map(move |server| (upstream, server)));
        let mut told: Vec<_> = servers
            .filter_map(|(upstream, (origin, health))| {
                Some((upstream.clone(), origin.to_string(), health.upgrade()?.is_up()))
            })
            .collect();
        told.sort();
        told
    }

    /// The state of a URL of that upstream.
    pub(crate) fn url(&self, upstream: &str, origin: &Origin) -> Arc<UrlState> {
        let joins = self.in_force.borrow().iter().any(|watched| &*watched.upstream == upstream);
        let mut known = self.known();
        known.urls.retain(|_, urls| {
            urls.retain(|url| url.strong_count() > 0);
            !urls.is_empty()
        });
        let urls = known.urls.entry(upstream.into()).or_default();
        if let Some(url) = urls.iter().filter_map(Weak::upgrade).find(|url| url.is_of(origin)) {
            return url;
        }
        let url = Arc::new(UrlState::new(origin.clone(), joins));
        urls.push(Arc::downgrade(&url));
        url
    }

    /// Where chats of that upstream were answered.
    pub(crate) fn stick_table(&self, upstream: &str) -> Arc<StickTable> {
        let mut known = self.known();
        known.stick_tables.retain(|_, table| table.strong_count() > 0);
        if let Some(table) = known.stick_tables.get(upstream).and_then(Weak::upgrade) {
            return table;
        }
        let table = Arc::default();
        known.stick_tables.insert(upstream.into(), Arc::downgrade(&table));
        table
    }

    /// These URLs are in force, and no others: metrics no longer tell of those.
    pub(crate) fn watch(&self, now: Vec<WatchedUrl>) {
        for WatchedUrl { upstream, origin, url, check, .. } in &now {
            url.enlist(check.is_some(), || self.gauges.show(upstream, &origin.to_string()));
        }
        let stays = |url: &Arc<UrlState>| now.iter().any(|watched| Arc::ptr_eq(&watched.url, url));
        self.in_force.borrow().iter().filter(|before| !stays(&before.url)).for_each(|before| before.url.retire());
        self.in_force.send_replace(now.into());
    }

    /// Those that are in force, and those that will be.
    pub(crate) fn watched(&self) -> watch::Receiver<Arc<[WatchedUrl]>> {
        self.in_force.subscribe()
    }

    fn known(&self) -> MutexGuard<'_, KnownServers> {
        // A panic under the lock leaves lists of which each entry is good.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Default for Endpoints {
    fn default() -> Self {
        Self::new(&Metrics::new().unwrap())
    }
}

impl Health {
    /// A new one is thought to be well.
    fn new(series: ServerSeries) -> Self {
        series.is_healthy(true);
        Self { is_down: AtomicBool::new(false), series }
    }

    fn is_up(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed)
    }

    /// The server accepted a connection.
    pub(crate) fn connected(&self) {
        if self.is_down.load(Ordering::Relaxed) {
            self.is_down.store(false, Ordering::Relaxed);
            self.series.is_healthy(true);
        }
    }

    /// It accepted none.
    pub(crate) fn failed(&self) {
        self.is_down.store(true, Ordering::Relaxed);
        self.series.is_healthy(false);
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
        let (patient, same) = endpoints.find("a", origin("host", 9));
        assert!(Arc::ptr_eq(&health, &same));
        assert_eq!(patient.timeouts().response, Duration::from_secs(9));
        let url = endpoints.url("a", &origin("host", 1));
        assert!(Arc::ptr_eq(&url, &endpoints.url("a", &origin("host", 9))));
        for (upstream, host) in [("b", "host"), ("a", "other")] {
            assert!(!Arc::ptr_eq(&health, &endpoints.find(upstream, origin(host, 1)).1), "{upstream} {host}");
            assert!(!Arc::ptr_eq(&url, &endpoints.url(upstream, &origin(host, 1))), "{upstream} {host}");
        }
        let table = endpoints.stick_table("a");
        assert!(Arc::ptr_eq(&table, &endpoints.stick_table("a")));
        assert!(!Arc::ptr_eq(&table, &endpoints.stick_table("b")));
    }

    #[test]
    fn a_server_that_nobody_asks_is_forgotten() {
        let metrics = Metrics::new().unwrap();
        let endpoints = Endpoints::new(&metrics);
        let kept = endpoints.find("a", origin("kept", 1));
        for number in 0..100 {
            drop(endpoints.find("a", origin(&format!("host-{number}"), 1)));
            drop(endpoints.find(&format!("upstream-{number}"), origin("host", 1)));
            drop(endpoints.url(&format!("upstream-{number}"), &origin("host", 1)));
            drop(endpoints.stick_table(&format!("upstream-{number}")));
        }
        let known = endpoints.known();
        assert!(known.providers.values().map(Vec::len).sum::<usize>() <= 2, "{known:?}");
        assert!(known.urls.len() <= 1 && known.stick_tables.len() <= 1, "{known:?}");
        let text = String::from_utf8(metrics.render()).unwrap();
        assert_eq!(text.matches("flowgate_upstream_healthy{").count(), 1, "{text}");
        drop(kept);
    }

    #[test]
    fn metrics_tell_of_urls_that_are_in_force() {
        let metrics = Metrics::new().unwrap();
        let endpoints = Endpoints::new(&metrics);
        let watched = |host: &str, is_checked: bool| WatchedUrl {
            upstream: "a".into(),
            origin: origin(host, 1),
            url: endpoints.url("a", &origin(host, 1)),
            check: is_checked.then(Arc::default),
            dns_refresh: Duration::from_secs(1),
        };
        let shown = || {
            let text = String::from_utf8(metrics.render()).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("flowgate_upstream_healthy{upstream=\"a\","));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (one, two) = (watched("one", false), watched("two", true));
        endpoints.watch(vec![one.clone(), two.clone()]);
        // What is checked has to show first that it is well.
        assert_eq!(shown(), ["url=\"http://one:3000\"} 1", "url=\"http://two:3000\"} 0"]);
        two.url.connected(&two.url.members()[0]);
        one.url.refused(&one.url.members()[0]);
        assert_eq!(shown(), ["url=\"http://one:3000\"} 0", "url=\"http://two:3000\"} 1"]);
        endpoints.watch(vec![two.clone()]);
        // Whoever still asks it shows nothing.
        one.url.connected(&one.url.members()[0]);
        assert_eq!(shown(), ["url=\"http://two:3000\"} 1"]);
        endpoints.watch(vec![one.clone(), two]);
        assert_eq!(shown().len(), 2);
    }
}
