//! What the process takes of the machine, from Linux's `/proc/self` (proc(5)): the metrics that every client library of
//! Prometheus has.
//!
//! `prometheus` reads them by `procfs`, whose version brings a second `rustix`: with them, a twentieth of the first build.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// See the module.
pub(super) struct ProcessCollector {
    cpu: Counter,
    open_fds: IntGauge,
    max_fds: IntGauge,
    virtual_memory: IntGauge,
    resident_memory: IntGauge,
    started: IntGauge,
    threads: IntGauge,
}

impl ProcessCollector {
    pub(super) fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::new(format!("process_{name}"), help);
        let collector = Self {
            cpu: Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")?,
            open_fds: gauge("open_fds", "Number of open file descriptors.")?,
            max_fds: gauge("max_fds", "Maximum number of open file descriptors.")?,
            virtual_memory: gauge("virtual_memory_bytes", "Virtual memory size in bytes.")?,
            resident_memory: gauge("resident_memory_bytes", "Resident memory size in bytes.")?,
            started: gauge("start_time_seconds", "Start time of the process since unix epoch in seconds.")?,
            threads: gauge("threads", "Number of OS threads in the process.")?,
        };
        let begun = stat().zip(boot_time());
        set(&collector.started, begun.map(|(stat, boot)| boot + stat.start_ticks / clock_ticks_per_second()));
        Ok(collector)
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.open_fds,
            &self.max_fds,
            &self.virtual_memory,
            &self.resident_memory,
            &self.started,
            &self.threads,
        ]
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        set(&self.open_fds, fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64));
        set(&self.max_fds, getrlimit(Resource::Nofile).current);
        if let Some(stat) = stat() {
            #[expect(clippy::cast_precision_loss, reason = "ticks of a process are far fewer than 2^52")]
            let cpu = stat.cpu_ticks as f64 / clock_ticks_per_second() as f64;
            self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
            set(&self.virtual_memory, Some(stat.virtual_bytes));
            set(&self.resident_memory, Some(stat.resident_pages.saturating_mul(page_size() as u64)));
            set(&self.threads, Some(stat.threads));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

fn set(gauge: &IntGauge, value: Option<u64>) {
    if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
        gauge.set(value);
    }
}

/// What is needed of `/proc/self/stat`.
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

fn stat() -> Option<Stat> {
    read_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn read_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name, in which anything may stand; the third is the first of the rest.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Seconds since the epoch.
fn boot_time() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_only_that() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 200 30 13 14 15 16 17 18 1234 4096 50 18446744073709551615 1";
        let stat = read_stat(&format!("7 (a) b (c) {rest}")).unwrap();
        assert_eq!((stat.cpu_ticks, stat.threads, stat.start_ticks), (230, 17, 1234));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (4096, 50));
        assert!(read_stat("").is_none() && read_stat("7 (a) S 1").is_none());
    }

    #[test]
    fn this_process_takes_something() {
        let families = ProcessCollector::new().unwrap().collect();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value().max(metric.get_counter().get_value())
        };
        for name in ["open_fds", "max_fds", "virtual_memory_bytes", "resident_memory_bytes", "threads"] {
            assert!(value(&format!("process_{name}")) >= 1.0, "{name}");
        }
        // After the day on which this was written.
        assert!(value("process_start_time_seconds") > 1_795_000_000.0);
        assert_eq!(families.len(), 7);
    }
}
