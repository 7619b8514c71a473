//! How an upstream's servers are checked and found.

use std::time::Duration;

use super::reader::{FieldReader, non_null};
use crate::config::HealthCheck;
use crate::config::file::{self, Field};
use crate::config::units::{parse_duration, parse_time_limit};

/// What is done more often than so costs more than it tells.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// Checks in a row.
const HIGHEST_THRESHOLD: u32 = 100;

pub(super) fn check(reader: &mut FieldReader<'_>, file: &file::HealthCheckSection) -> HealthCheck {
    let otherwise = HealthCheck::default();
    let threshold = |reader: &mut FieldReader<'_>, field, otherwise| {
        reader.count(field, HIGHEST_THRESHOLD).map_or(otherwise, std::num::NonZero::get)
    };
    HealthCheck {
        path: reader.parsed(&file.path, path).unwrap_or(otherwise.path),
        interval: at_least(reader, &file.interval, SHORTEST_INTERVAL).unwrap_or(otherwise.interval),
        timeout: reader.parsed(&file.timeout, parse_time_limit).unwrap_or(otherwise.timeout),
        healthy_threshold: threshold(reader, &file.healthy_threshold, otherwise.healthy_threshold),
        unhealthy_threshold: threshold(reader, &file.unhealthy_threshold, otherwise.unhealthy_threshold),
    }
}

/// `null` is none.
pub(super) fn slow_start(reader: &mut FieldReader<'_>, field: Field) -> Duration {
    let is_absent = field.0.is_none();
    let otherwise = if is_absent { Duration::from_secs(10) } else { Duration::ZERO };
    reader.parsed(&non_null(field), parse_duration).unwrap_or(otherwise)
}

pub(super) fn dns_refresh(reader: &mut FieldReader<'_>, field: &Field) -> Duration {
    at_least(reader, field, SHORTEST_REFRESH).unwrap_or(Duration::from_secs(10))
}

fn at_least(reader: &mut FieldReader<'_>, field: &Field, least: Duration) -> Option<Duration> {
    reader.parsed(field, |text| match parse_time_limit(text) {
        Ok(time) if time < least => Err(format!("expected at least {least:?}")),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    })
}

/// It goes into a request line as it is.
fn path(text: &str) -> Result<Box<str>, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if text.starts_with('/') && is_plain {
        return Ok(text.into());
    }
    Err("expected a path such as /api/v1/ping, of visible ASCII characters")
}
