//! One URL of an upstream, and the servers that it leads to: one for each address that its host stands for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

use super::health::{CheckResult, EndpointHealth};
use super::series::ServerSeries;
use crate::client::{Origin, Peer};
use crate::config::HealthCheck;

/// One address of a URL, or its host where that stands for one only: each connection looks it up then.
#[derive(Debug)]
pub(crate) struct UrlMember {
    pub(crate) peer: Peer,
    /// The same on every gateway, so that all rank alike.
    pub(crate) weight: u64,
    pub(crate) health: EndpointHealth,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct UrlState {
    /// With the time limits of whoever made it, which are not those of others.
    origin: Origin,
    members: ArcSwap<Vec<Arc<UrlMember>>>,
    /// The addresses that its name was found to stand for.
    stands_for: Mutex<Vec<SocketAddr>>,
    is_checked: AtomicBool,
    /// While it is in force.
    series: Mutex<Option<ServerSeries>>,
    /// Something has happened that a check should look at.
    pub(crate) doubt: Notify,
}

impl UrlMember {
    fn new(origin: &Origin, address: Option<SocketAddr>, joins: bool) -> Self {
        Self { peer: Peer::new(address), weight: weight(origin, address), health: EndpointHealth::new(joins) }
    }
}

impl UrlState {
    /// `joins`: the upstream has others already.
    pub(super) fn new(origin: Origin, joins: bool) -> Self {
        let first = Arc::new(UrlMember::new(&origin, None, joins));
        Self {
            origin,
            members: ArcSwap::from_pointee(vec![first]),
            stands_for: Mutex::default(),
            is_checked: AtomicBool::new(false),
            series: Mutex::default(),
            doubt: Notify::new(),
        }
    }

    pub(super) fn is_of(&self, origin: &Origin) -> bool {
        self.origin.is_same_server(origin)
    }

    pub(crate) fn members(&self) -> Guard<Arc<Vec<Arc<UrlMember>>>> {
        self.members.load()
    }

    /// Its host stands for these addresses now, of which there is at least one. `true`: there are other servers than before.
    pub(crate) fn resolved(&self, addresses: &[SocketAddr]) -> bool {
        let mut stands_for = self.stands_for.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.is_empty() || *stands_for == addresses {
            return false;
        }
        let before = std::mem::replace(&mut *stands_for, addresses.to_vec());
        if before.is_empty() && addresses.len() == 1 {
            // The one that is there already.
            return false;
        }
        self.members.store(Arc::new(self.members_at(addresses)));
        drop(stands_for);
        self.show();
        self.doubt.notify_one();
        true
    }

    fn members_at(&self, addresses: &[SocketAddr]) -> Vec<Arc<UrlMember>> {
        let before = self.members.load();
        let known =
            |address: &SocketAddr| before.iter().find(|member| member.peer.address() == Some(*address)).cloned();
        match addresses {
            // Elsewhere than before, with connections of its own. New ones follow the name at once.
            [only] => vec![known(only).unwrap_or_else(|| Arc::new(UrlMember::new(&self.origin, None, false)))],
            several => {
                let joins = before.iter().any(|member| member.peer.address().is_some());
                let new = |address| Arc::new(UrlMember::new(&self.origin, Some(address), joins));
                several.iter().map(|address| known(address).unwrap_or_else(|| new(*address))).collect()
            }
        }
    }

    /// A server took a connection.
    pub(crate) fn connected(&self, member: &UrlMember) {
        if member.health.connected() {
            self.show();
        }
    }

    /// A server took no connection.
    pub(crate) fn refused(&self, member: &UrlMember) {
        member.health.refused();
        self.show();
        self.doubt.notify_one();
    }

    /// A server was checked. `Some`: whether it works, which was not known so.
    pub(crate) fn checked(&self, member: &UrlMember, result: CheckResult, check: &HealthCheck) -> Option<bool> {
        let news = member.health.checked(result, check.healthy_threshold, check.unhealthy_threshold);
        let took_connection = result != CheckResult::Refused && member.health.connected();
        if news.is_some() || took_connection {
            self.show();
        }
        news
    }

    /// It is in force, with checks or without.
    pub(super) fn enlist(&self, is_checked: bool, series: impl FnOnce() -> ServerSeries) {
        self.is_checked.store(is_checked, Ordering::Relaxed);
        if !is_checked {
            self.members().iter().for_each(|member| member.health.unchecked());
        }
        self.series().get_or_insert_with(series);
        self.show();
    }

    /// It is not in force any more.
    pub(super) fn retire(&self) {
        let series = self.series().take();
        drop(series);
    }

    fn show(&self) {
        let series = self.series();
        let Some(series) = &*series else { return };
        let is_checked = self.is_checked.load(Ordering::Relaxed);
        // Under the lock: whoever comes last shows what is true.
        let members = self.members.load();
        let healthy = members.iter().filter(|member| member.health.is_healthy(is_checked)).count();
        series.is_healthy(healthy > 0);
        series.addresses(healthy, members.len() - healthy);
    }

    fn series(&self) -> MutexGuard<'_, Option<ServerSeries>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the authority, and of the address where a name has several.
fn weight(origin: &Origin, address: Option<SocketAddr>) -> u64 {
    let address = address.map(|address| address.ip().to_string()).unwrap_or_default();
    fnv1a(&[origin.authority(), address.as_bytes()].concat())
}

/// The number of a chat, or of a server, for rendezvous hashing: FNV-1a, so that every gateway ranks alike. Nothing hangs
/// on collisions.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{Reach, Timeouts};
    use crate::state::endpoints::Availability;

    fn state(host: &str) -> UrlState {
        let timeouts = Timeouts { connect: Duration::from_secs(1), response: Duration::from_secs(1) };
        UrlState::new(Origin::new(host, 3000, None, Reach::Any, timeouts).unwrap(), false)
    }

    fn addresses(hosts: &[u8]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::from(([10, 0, 0, *host], 3000))).collect()
    }

    /// Addresses, and what tells their connections apart.
    fn peers(url: &UrlState) -> Vec<(Option<SocketAddr>, u64)> {
        url.members().iter().map(|member| (member.peer.address(), member.peer.id())).collect()
    }

    #[test]
    fn an_address_keeps_its_state_for_as_long_as_the_name_stands_for_it() {
        let url = state("flowise");
        assert_eq!(peers(&url).len(), 1);
        assert!(url.resolved(&addresses(&[1, 2])) && !url.resolved(&addresses(&[1, 2])));
        let before = peers(&url);
        url.refused(&url.members()[1]);
        assert!(url.resolved(&addresses(&[2, 3])));
        assert_eq!(peers(&url)[0], before[1]);
        let slow = Duration::from_hours(1);
        let availability = |at: usize| url.members()[at].health.availability(slow);
        assert_eq!(availability(0), Availability::Out);
        // It joins others, which are warm.
        assert_eq!(availability(1), Availability::Warming(100));
        assert!(url.resolved(&addresses(&[2])));
        assert_eq!(peers(&url), before[1..]);
        assert!(!url.resolved(&[]));
    }

    #[test]
    fn a_name_with_one_address_is_followed_by_each_connection() {
        let url = state("flowise");
        let first = peers(&url);
        // Nothing was known, and now the same is known.
        assert!(!url.resolved(&addresses(&[1])));
        assert_eq!(peers(&url), first);
        // Connections to where it was are of no use any more.
        assert!(url.resolved(&addresses(&[2])));
        let [(None, id)] = peers(&url)[..] else { panic!("{:?}", peers(&url)) };
        assert_ne!(id, first[0].1);
        assert!(url.resolved(&addresses(&[2, 3])));
        assert_eq!(peers(&url).iter().filter_map(|(address, _)| *address).collect::<Vec<_>>(), addresses(&[2, 3]));
    }

    #[test]
    fn addresses_of_one_name_differ_and_are_the_same_on_every_gateway() {
        let weights = |url: &UrlState| url.members().iter().map(|member| member.weight).collect::<Vec<_>>();
        let (here, there) = (state("flowise"), state("flowise"));
        assert_eq!(weights(&here), weights(&there));
        here.resolved(&addresses(&[1, 2]));
        there.resolved(&addresses(&[2, 3]));
        assert_eq!(weights(&here)[1], weights(&there)[0]);
        assert_ne!(weights(&here)[0], weights(&here)[1]);
    }
}
