//! `GET /api/upstreams`: what answers chatflows, whether it can be reached, and the store that replicas share.

use serde::Serialize;

use super::super::overview::Overview;
use crate::snapshot::Snapshot;
use crate::state::endpoints::WatchedUrl;

#[derive(Serialize)]
pub(super) struct UpstreamList {
    upstreams: Vec<UpstreamInfo>,
    /// `null`: there is none.
    store: Option<StoreInfo>,
}

#[derive(Serialize)]
struct UpstreamInfo {
    name: String,
    /// `flowise`, `engine` or `demo`.
    kind: &'static str,
    chatflows: usize,
    /// Of an engine: providers that its flows ask.
    servers: Vec<ServerInfo>,
}

/// A URL, and the addresses behind it.
#[derive(Debug, Serialize)]
pub(super) struct ServerInfo {
    pub(super) url: String,
    /// One address at least is well.
    pub(super) healthy: bool,
    /// Whether anybody checks it; else only connections show it.
    checked: bool,
    addresses: Vec<AddressInfo>,
}

#[derive(Debug, Serialize)]
struct AddressInfo {
    address: String,
    healthy: bool,
}

#[derive(Serialize)]
struct StoreInfo {
    up: bool,
    says: String,
    replicas: u32,
}

pub(super) fn list(overview: &Overview, snapshot: &Snapshot) -> UpstreamList {
    let upstreams = snapshot.config.upstreams.iter().enumerate().map(|(index, upstream)| UpstreamInfo {
        name: upstream.name.to_string(),
        kind: upstream.kind.name(),
        chatflows: snapshot.config.chatflows.iter().filter(|chatflow| chatflow.upstream == index).count(),
        servers: servers(overview, snapshot, &upstream.name),
    });
    let store = overview.store().map(|health| StoreInfo {
        up: health.is_up(),
        says: health.line().trim().trim_start_matches("store: ").to_owned(),
        replicas: health.replicas(),
    });
    UpstreamList { upstreams: upstreams.collect(), store }
}

/// Servers that the upstream of that name asks.
pub(super) fn servers(overview: &Overview, snapshot: &Snapshot, upstream: &str) -> Vec<ServerInfo> {
    let target = snapshot.targets().find(|target| &*target.name == upstream);
    let urls = target.into_iter().flat_map(|target| target.watched()).map(|watched| of_url(&watched));
    let providers = overview.state.endpoints.providers().into_iter().filter(|(name, ..)| **name == *upstream);
    let providers =
        providers.map(|(_, url, healthy)| ServerInfo { url, healthy, checked: false, addresses: Vec::new() });
    urls.chain(providers).collect()
}

fn of_url(watched: &WatchedUrl) -> ServerInfo {
    let is_checked = watched.check.is_some();
    let members = watched.url.members();
    let addresses = members.iter().map(|member| {
        let address = member.peer.address().map_or_else(|| "as looked up".to_owned(), |address| address.to_string());
        AddressInfo { address, healthy: member.health.is_healthy(is_checked) }
    });
    let addresses: Vec<_> = addresses.collect();
    ServerInfo {
        url: watched.origin.to_string(),
        healthy: addresses.iter().any(|address| address.healthy),
        checked: is_checked,
        addresses,
    }
}
