//! The store that replicas share: how it is reached, and what is told of it.

use std::fs;
use std::process::{Command, Output};

use crate::harness::client;
use crate::harness::gateway::{BINARY, Gateway, config, keys};
use crate::harness::ports::free_port;
use crate::harness::store::StoreServer;
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;
use crate::harness::wait_for;
use crate::rate_limits::ask;

mod chats;
mod clusters;
mod connections;
mod leases;
mod limits;
mod loss;
mod memory;
mod mistakes;
mod sentinels;
mod several;
mod tokens;
mod usage;

pub(crate) const UP: &str = "flowgate_state_up";
pub(crate) const LOST: &str = "flowgate_state_mode{mode=\"lost\"}";

/// A configuration with a store, as `state.valkey` says it, and plans.
pub(crate) fn stored(upstream: &Upstream, store: &str, plans: &str) -> String {
    let more = format!("state: {{ valkey: {{ {store} }} }}\nplans: {{ {plans} }}");
    config(upstream.address, "", "", "", &more)
}

/// What `/readyz` says, which is 200.
#[track_caller]
pub(crate) fn ready(gateway: &Gateway) -> String {
    let response = client::get(gateway.admin, "/readyz", &[]);
    assert_eq!(response.status, 200, "{}", response.text());
    response.text()
}

#[track_caller]
pub(crate) fn wait_shared_by(gateways: &[&Gateway], replicas: usize) {
    for gateway in gateways {
        let expected = format!("ok\nstore: shared by {replicas} replicas\n");
        wait_for(&expected, || (ready(gateway) == expected).then_some(()));
    }
}

#[track_caller]
pub(crate) fn wait_all<'a>(gateways: impl IntoIterator<Item = &'a Gateway>, series: &str) {
    for gateway in gateways {
        gateway.wait_metric(series, 1.0);
    }
}

/// Log lines with that message.
pub(crate) fn told(gateway: &Gateway, message: &str) -> usize {
    gateway.log().iter().filter(|line| line.contains(message)).count()
}
