//! One worker's handles on metrics with labels, looked up once and kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

/// Past this many label sets the cache starts anew; configurations seldom need a tenth of it.
const MOST: usize = 8192;

/// What tells one series of `flowgate_requests_total` from another. Indices are those of one snapshot, so its
/// generation belongs to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestSeries {
    pub(crate) generation: u64,
    /// A number for each route.
    pub(crate) route: u8,
    pub(crate) chatflow: u32,
    pub(crate) key: u32,
    pub(crate) code: u16,
}

/// Counters of `flowgate_requests_total` by their label set.
pub(crate) struct RequestCounters {
    all: IntCounterVec,
    known: RefCell<HashMap<RequestSeries, IntCounter, BuildHasherDefault<Fold>>>,
}

/// Hashes small numbers that no client chooses.
#[derive(Clone, Copy, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl RequestCounters {
    pub(crate) fn new(all: IntCounterVec) -> Self {
        Self { all, known: RefCell::default() }
    }

    /// Counts one request; `names` gives the labels of route, chatflow and key the first time.
    pub(crate) fn count<'a>(&self, series: RequestSeries, names: impl FnOnce() -> [&'a str; 3]) {
        let mut known = self.known.borrow_mut();
        if let Some(counter) = known.get(&series) {
            counter.inc();
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        let [route, chatflow, key] = names();
        let counter = self.all.with_label_values(&[route, chatflow, key, status_text(series.code)]);
        counter.inc();
        known.insert(series, counter);
    }
}

fn status_text(code: u16) -> &'static str {
    // `http` keeps the digits of every code as a static string.
    http::StatusCode::from_u16(code).map_or("000", |status| canonical_digits(status))
}

fn canonical_digits(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        201 => "201",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        412 => "412",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        431 => "431",
        499 => "499",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        100..=199 => "1xx",
        202..=203 | 205..=299 => "2xx",
        300..=399 => "3xx",
        402..=498 => "4xx",
        _ => "5xx",
    }
}

/// Histograms with one label out of a small closed set.
pub(crate) struct Histograms {
    all: HistogramVec,
    known: RefCell<Vec<(Box<str>, Histogram)>>,
}

impl Histograms {
    pub(crate) fn new(all: HistogramVec) -> Self {
        Self { all, known: RefCell::default() }
    }

    pub(crate) fn observe(&self, label: &str, seconds: f64) {
        let mut known = self.known.borrow_mut();
        if let Some((_, histogram)) = known.iter().find(|(name, _)| &**name == label) {
            histogram.observe(seconds);
            return;
        }
        let histogram = self.all.with_label_values(&[label]);
        histogram.observe(seconds);
        if known.len() < 64 {
            known.push((label.into(), histogram));
        }
    }
}
