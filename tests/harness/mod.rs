//! What the tests share: the real binary, a scripted upstream, and clients that see every byte.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod echo;
pub(crate) mod gateway;
pub(crate) mod h2;
pub(crate) mod issuer;
pub(crate) mod md5;
pub(crate) mod model;
pub(crate) mod mounted;
pub(crate) mod otlp;
pub(crate) mod ports;
pub(crate) mod predictions;
pub(crate) mod restarting;
pub(crate) mod store;
pub(crate) mod store_fleet;
pub(crate) mod store_relay;
pub(crate) mod tls;
pub(crate) mod tokens;
pub(crate) mod upstream;

use std::time::{Duration, Instant};

/// Longest wait for anything that should happen; failing is its only use.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The key in [`gateway::KEYS`].
pub(crate) const KEY: &str = "test-key-0123456789abcdef";

/// Flowise's id of the chatflow `support`.
pub(crate) const FLOW: &str = "9d2b4ae3-1f5e-4c00-9000-000000000000";

/// Polls until `condition` gives something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::yield_now();
        pause();
    }
}

/// Between two polls of a condition; not a way to wait.
pub(crate) fn pause() {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(Duration::from_millis(2));
}

pub(crate) fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
