//! Limits by name. `default` and `anonymous` always exist, first and second.
//!
//! What a plan leaves out: `default` and `anonymous` have numbers of their own; any other plan must say `requests` and
//! takes `burst` and `concurrent` from `default`. A burst that is not written is never above the rate's count.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::is_name;
use super::reader::Reader;
use crate::config::file;
use crate::config::units::{MAX_DURATION, parse_quota, parse_rate};
use crate::config::yaml::{At, Named, Value};
use crate::config::{Plan, Rate};

/// As many requests at once as a limiter can count without overflow.
const MAX_COUNT: u32 = 1_000_000;
const MINUTE: Duration = Duration::from_mins(1);

/// The numbers that stand for what is not written.
#[derive(Clone, Copy)]
struct Numbers {
    requests: Rate,
    burst: NonZeroU32,
    concurrent: NonZeroU32,
}

const DEFAULT: Numbers = Numbers::new(60, 10, 8);
const ANONYMOUS: Numbers = Numbers::new(10, 5, 2);

impl Numbers {
    const fn new(per_minute: u32, burst: u32, concurrent: u32) -> Self {
        const fn non_zero(count: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(count - 1)
        }
        let requests = Rate { count: non_zero(per_minute), per: MINUTE };
        Self { requests, burst: non_zero(burst), concurrent: non_zero(concurrent) }
    }
}

pub(super) fn plans(reader: &mut Reader<'_>, file: Named<file::Plan>) -> Vec<Plan> {
    let mut default = None;
    let mut anonymous = None;
    let mut others = Vec::new();
    for (name, plan) in file.0 {
        match name.value.as_str() {
            "default" => default = Some((name, plan)),
            "anonymous" => anonymous = Some((name, plan)),
            _ => others.push((name, plan)),
        }
    }
    let default = built_in(reader, "default", default, DEFAULT);
    let anonymous = built_in(reader, "anonymous", anonymous, ANONYMOUS);
    let fallback = Numbers { requests: default.requests, burst: default.burst, concurrent: default.concurrent };
    let mut plans = vec![default, anonymous];
    plans.extend(others.into_iter().map(|(name, file)| {
        if file.requests.0.is_none() {
            let field = format!("{}.requests", name.field);
            reader.missing(Some(name.at()), &field, "missing: expected a rate such as 60/min");
        }
        plan(reader, &name, &file, fallback)
    }));
    plans
}

fn built_in(reader: &mut Reader<'_>, name: &str, written: Option<(At<String>, file::Plan)>, numbers: Numbers) -> Plan {
    match written {
        Some((name, file)) => plan(reader, &name, &file, numbers),
        None => Plan {
            name: Arc::from(name),
            requests: numbers.requests,
            burst: numbers.burst,
            concurrent: numbers.concurrent,
            quota: None,
        },
    }
}

fn plan(reader: &mut Reader<'_>, name: &At<String>, file: &file::Plan, fallback: Numbers) -> Plan {
    if !is_name(&name.value) {
        reader.refuse(name, "expected a name of at most 128 letters, digits and . _ ~ -");
    }
    let quota = file.quota.0.as_ref().filter(|node| !matches!(node.value, Value::Null));
    let quota = quota.and_then(|node| reader.parsed_node(node, parse_quota));
    let written = reader.parsed(&file.requests, parse_rate);
    let requests = written.unwrap_or(fallback.requests);
    let burst = match reader.count(&file.burst, MAX_COUNT) {
        Some(burst) => burst,
        None if written.is_some() => fallback.burst.min(requests.count),
        None => fallback.burst,
    };
    // Longer than that and the limiter's clock arithmetic would overflow.
    if (requests.per / requests.count.get()).saturating_mul(burst.get()) > MAX_DURATION {
        let place = file.burst.0.as_ref().or(file.requests.0.as_ref());
        let (at, field) = place.map_or((name.at(), ""), |node| (node.at(), node.field.as_str()));
        reader.refuse_at(Some(at), field, "at this rate the burst would take more than a year to refill");
    }
    let concurrent = reader.count(&file.concurrent, MAX_COUNT).unwrap_or(fallback.concurrent);
    Plan { name: Arc::from(name.value.as_str()), requests, burst, concurrent, quota }
}
