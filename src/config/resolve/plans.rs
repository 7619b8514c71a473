//! Limits by name. `default` and `anonymous` always exist, first and second.
//!
//! What a plan leaves out: `default` and `anonymous` have numbers of their own; any other plan must say `requests` and
//! takes the rest but for `quota` and `tokens` from `default`. A burst that is not written is never above the rate's count.

use std::sync::Arc;
use std::time::Duration;

use super::reader::{FieldReader, is_name};
use crate::config::file;
use crate::config::file::Field;
use crate::config::units::{MAX_DURATION, parse_duration, parse_quota, parse_rate};
use crate::config::yaml::{At, Named, Value};
use crate::config::{AuthFailures, Plan};

/// As many requests at once as a limiter can count without overflow.
const MAX_COUNT: u32 = 1_000_000;
/// Seconds for which a client may be kept waiting for a place, or for the answer to a wrong key.
const LONGEST_WAIT: u64 = 60;
/// Requests of one caller that wait.
const LONGEST_QUEUE: u64 = 10_000;

pub(super) fn plans(reader: &mut FieldReader<'_>, file: Named<file::PlanSection>) -> Vec<Plan> {
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
    let default = built_in(reader, default, Plan::new("default", 60, 10, 8));
    let anonymous = built_in(reader, anonymous, Plan::new("anonymous", 10, 5, 2));
    let mut plans = vec![default.clone(), anonymous];
    plans.extend(others.into_iter().map(|(name, file)| {
        if file.requests.0.is_none() {
            let field = format!("{}.requests", name.field);
            reader.missing(Some(name.at()), &field, "missing: expected a rate such as 60/min");
        }
        plan(reader, &name, &file, &default)
    }));
    plans
}

fn built_in(reader: &mut FieldReader<'_>, written: Option<(At<String>, file::PlanSection)>, fallback: Plan) -> Plan {
    match written {
        Some((name, file)) => plan(reader, &name, &file, &fallback),
        None => fallback,
    }
}

fn plan(reader: &mut FieldReader<'_>, name: &At<String>, file: &file::PlanSection, fallback: &Plan) -> Plan {
    if !is_name(&name.value) {
        reader.refuse(name, "expected a name of at most 128 letters, digits and . _ ~ -");
    }
    let mut count = |field: &Field| {
        let written = field.0.as_ref().filter(|node| !matches!(node.value, Value::Null));
        written.and_then(|node| reader.parsed_node(node, parse_quota))
    };
    let (quota, tokens) = (count(&file.quota), count(&file.tokens));
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
    let wait = short(reader, &file.wait).unwrap_or(fallback.wait);
    let queue = match &file.queue.0 {
        Some(node) if matches!(node.value, Value::Null) => 0,
        _ => number(reader, &file.queue, LONGEST_QUEUE).unwrap_or(fallback.queue),
    };
    Plan { name: Arc::from(name.value.as_str()), requests, burst, concurrent, quota, tokens, wait, queue }
}

/// `auth_failures`; `null`: nothing is counted.
pub(super) fn auth_failures(
    reader: &mut FieldReader<'_>,
    file: &file::AuthFailuresSectionOrNull,
) -> Option<AuthFailures> {
    let file = file.0.as_ref()?;
    let defaults = AuthFailures::default();
    let free = number(reader, &file.free, u64::from(MAX_COUNT)).unwrap_or(defaults.free);
    let then = reader.parsed(&file.then, parse_rate).unwrap_or(defaults.then);
    if (then.per / then.count.get()).saturating_mul(free.saturating_add(1)) > MAX_DURATION
        && let Some(node) = file.then.0.as_ref().or(file.free.0.as_ref())
    {
        reader.refuse(node, "at this rate it would take more than a year until an address is free again");
    }
    Some(AuthFailures { free, then, delay: short(reader, &file.delay).unwrap_or(defaults.delay) })
}

/// A wait that a client may be asked for; `null` is none.
fn short(reader: &mut FieldReader<'_>, field: &Field) -> Option<Duration> {
    let node = field.0.as_ref()?;
    if matches!(node.value, Value::Null) {
        return Some(Duration::ZERO);
    }
    reader.parsed_node(node, |text| match parse_duration(text) {
        Ok(wait) if wait > Duration::from_secs(LONGEST_WAIT) => Err(format!("expected at most {LONGEST_WAIT}s")),
        Ok(wait) => Ok(wait),
        Err(error) => Err(error.to_string()),
    })
}

fn number(reader: &mut FieldReader<'_>, field: &Field, most: u64) -> Option<u32> {
    reader.number(field, 0..=most).and_then(|number| u32::try_from(number).ok())
}
