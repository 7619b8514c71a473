//! Whether the store can be used.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::IntGauge;
use tokio::sync::Notify;

use super::clock::StoreClock;
use super::faults::CallFaults;
use crate::telemetry::metrics::StoreMetrics;

/// See the module. Every change of the mode is logged once, here.
#[derive(Debug)]
pub(crate) struct StoreHealth {
    up: AtomicBool,
    /// It answers, though it may not be used yet.
    is_heard: AtomicBool,
    /// How often the store was lost.
    losses: AtomicU64,
    /// That were seen last, this one included.
    replicas: AtomicU32,
    /// Those of them that cannot reach it though they live, as `lease.lua` reads them.
    cut_off: Mutex<Arc<str>>,
    since: Mutex<StoreSince>,
    /// The mode has changed to `lost`.
    pub(super) lost: Notify,
    clock: StoreClock,
    faults: CallFaults,
    gauges: StoreGauges,
}

#[derive(Debug, Default)]
struct StoreSince {
    /// Since when the mode is as it is; `None`: nothing is known yet.
    at: Option<Timestamp>,
    /// Why it cannot be used, as of the last attempt.
    reason: Box<str>,
}

#[derive(Debug)]
struct StoreGauges {
    up: IntGauge,
    shared: IntGauge,
    lost: IntGauge,
    replicas: IntGauge,
}

impl StoreHealth {
    pub(super) fn new(metrics: &StoreMetrics) -> Self {
        let gauges = StoreGauges {
            up: metrics.up.with_label_values::<&str>(&[]),
            shared: metrics.mode.with_label_values(&["shared"]),
            lost: metrics.mode.with_label_values(&["lost"]),
            replicas: metrics.replicas.with_label_values::<&str>(&[]),
        };
        gauges.replicas.set(1);
        Self {
            up: AtomicBool::new(false),
            is_heard: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            replicas: AtomicU32::new(1),
            cut_off: Mutex::new("".into()),
            since: Mutex::default(),
            lost: Notify::new(),
            clock: StoreClock::default(),
            faults: CallFaults::default(),
            gauges,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(crate) fn clock(&self) -> &StoreClock {
        &self.clock
    }

    pub(super) fn faults(&self) -> &CallFaults {
        &self.faults
    }

    /// How often the store was lost so far.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// How many share what there is, at least 1.
    pub(crate) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    /// Whether it can be told what this replica knows.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Acquire)
    }

    /// It has answered.
    pub(super) fn hear(&self) {
        self.is_heard.store(true, Ordering::Release);
    }

    /// Replicas that cannot reach it though they live; mostly empty.
    pub(crate) fn cut_off(&self) -> Arc<str> {
        Arc::clone(&self.cut_off.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn see_cut_off(&self, replicas: &[String]) {
        let mut known = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.split_whitespace().count();
        if before + replicas.len() > 0 {
            *known = replicas.join(" ").into();
        }
        drop(known);
        if replicas.len() > before {
            tracing::warn!(
                replicas = replicas.len(),
                "replicas are cut off from the store: their part is kept for them"
            );
        } else if replicas.len() < before {
            tracing::info!(replicas = replicas.len(), "fewer replicas are cut off from the store");
        }
    }

    pub(super) fn see_replicas(&self, count: u32) {
        self.replicas.store(count.max(1), Ordering::Relaxed);
        self.gauges.replicas.set(count.max(1).into());
    }

    /// It cannot be used, for that reason. From now on nobody waits for it.
    pub(super) fn lose(&self, reason: &str) {
        let mut since = self.since();
        self.is_heard.store(false, Ordering::Release);
        if since.at.is_some() && !self.is_up() {
            return;
        }
        *since = StoreSince { at: Some(Timestamp::now()), reason: reason.into() };
        self.faults.forget_part();
        self.losses.fetch_add(1, Ordering::AcqRel);
        self.up.store(false, Ordering::Release);
        self.show(false);
        tracing::warn!(reason, replicas = self.replicas(), "the store is lost: limits are this replica's part of them");
        drop(since);
        self.lost.notify_one();
    }

    /// Why it cannot be used, as of the last attempt: that may be something else by now.
    pub(super) fn explain(&self, reason: String) {
        self.since().reason = reason.into();
    }

    /// It can be used.
    pub(super) fn rise(&self) {
        let mut since = self.since();
        if self.is_up() {
            return;
        }
        let lost = since.at.replace(Timestamp::now());
        self.up.store(true, Ordering::Release);
        self.show(true);
        let replicas = self.replicas();
        if let Some(lost) = lost {
            tracing::info!(replicas, lost_since = %lost, "the store is back: limits are shared again");
        } else {
            tracing::info!(replicas, "limits are shared through the store");
        }
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let since = self.since();
        let mut line = String::from("store: ");
        let _ = match since.at {
            _ if self.is_up() && self.faults.is_in_part() => {
                write!(line, "shared by {} replicas, part of it lost", self.replicas())
            }
            _ if self.is_up() => match self.cut_off().split_whitespace().count() {
                0 => write!(line, "shared by {} replicas", self.replicas()),
                cut_off => write!(line, "shared by {} replicas, {cut_off} of them cut off", self.replicas()),
            },
            Some(at) => write!(line, "lost since {at:.0}: {}", since.reason),
            None => write!(line, "not reached yet"),
        };
        line.push('\n');
        line
    }

    fn show(&self, up: bool) {
        self.gauges.up.set(up.into());
        self.gauges.shared.set(up.into());
        self.gauges.lost.set((!up).into());
    }

    fn since(&self) -> std::sync::MutexGuard<'_, StoreSince> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
