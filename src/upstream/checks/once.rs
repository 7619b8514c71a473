//! One look at an upstream, for whoever wants to know whether it would work.

use std::net::SocketAddr;

use super::{CheckFailure, ask, resolve};
use crate::client::{self, Client, Origin, Peer};
use crate::upstream::target::FlowiseUpstream;

/// What came of a URL.
pub(crate) struct TriedUrl {
    pub(crate) url: String,
    /// Of each address that its host stands for; `None`: the host is an address, or stands for none.
    pub(crate) outcomes: Vec<(Option<SocketAddr>, Result<(), CheckFailure>)>,
}

/// Checks every address of every URL once, as it is configured, or in the usual way if there are no checks.
pub(crate) async fn try_all(upstream: &FlowiseUpstream) -> Vec<TriedUrl> {
    let client = Client::new(|_| false);
    let check = upstream.settings.health.clone().unwrap_or_default();
    let mut tried = Vec::new();
    for origin in &upstream.origins {
        let outcomes = match peers(origin).await {
            Ok(peers) => {
                let mut outcomes = Vec::new();
                for peer in peers {
                    outcomes.push((peer.address(), ask(&client, origin, &peer, &check).await));
                }
                outcomes
            }
            Err(error) => vec![(None, Err(error.into()))],
        };
        tried.push(TriedUrl { url: origin.to_string(), outcomes });
    }
    tried
}

async fn peers(origin: &Origin) -> Result<Vec<Peer>, client::Error> {
    if !origin.is_named() {
        return Ok(vec![origin.peer().clone()]);
    }
    let addresses = resolve(origin).await?;
    Ok(addresses.into_iter().map(|address| Peer::new(Some(address))).collect())
}
