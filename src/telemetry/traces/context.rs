//! What programs tell each other of a trace: `traceparent` and `tracestate` (W3C Trace Context, level 1).

use std::num::{NonZeroU64, NonZeroU128};

use ::http::{HeaderMap, HeaderValue};

/// Of the vendors' own words.
const MOST_MEMBERS: usize = 32;
const LONGEST_STATE: usize = 512;

/// A span, and the trace that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(super) trace: NonZeroU128,
    pub(super) span: NonZeroU64,
    pub(super) is_sampled: bool,
    /// What vendors say of it, which goes on as it came.
    pub(super) state: Option<HeaderValue>,
}

impl SpanContext {
    /// The caller's, if it names one and names it well.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all("traceparent").iter();
        let parent = parents.next()?;
        if parents.next().is_some() {
            return None;
        }
        let (trace, span, is_sampled) = parent_of(parent.as_bytes())?;
        Some(Self { trace, span, is_sampled, state: state_of(headers) })
    }

    /// `traceparent` of what is called from that span.
    pub(super) fn traceparent(&self) -> Option<HeaderValue> {
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled));
        HeaderValue::try_from(text).ok()
    }
}

/// Ids and whether it is sampled. Versions to come may be longer, but begin alike.
fn parent_of(text: &[u8]) -> Option<(NonZeroU128, NonZeroU64, bool)> {
    let (known, rest) = text.split_at_checked(55)?;
    let [version, trace, span, flags] = fields(known)?;
    let is_fitting = match version {
        b"ff" => false,
        b"00" => rest.is_empty(),
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    hex(version).filter(|_| is_fitting)?;
    let trace = NonZeroU128::new(hex(trace)?)?;
    let span = NonZeroU64::new(u64::try_from(hex(span)?).ok()?)?;
    Some((trace, span, hex(flags)? & 1 == 1))
}

/// Version, trace, span and flags.
fn fields(text: &[u8]) -> Option<[&[u8]; 4]> {
    let mut fields = text.split(|byte| *byte == b'-');
    let found = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let fits = found.iter().map(|field| field.len()).eq([2, 32, 16, 2]) && fields.next().is_none();
    fits.then_some(found)
}

/// Of small letters and digits only: `from_str_radix` takes large ones and a sign.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// `None` as well if a member of it is ill-formed: then the list says nothing, and the trace goes on without it.
fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut members: Vec<&str> = Vec::new();
    for line in headers.get_all("tracestate") {
        for member in line.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let key = key_of(member)?;
            if members.len() == MOST_MEMBERS || members.iter().any(|known| key_of(known) == Some(key)) {
                return None;
            }
            members.push(member);
        }
    }
    let state = members.join(",");
    // A copy: a slice would hold the connection's whole read buffer for as long as the answer lasts.
    HeaderValue::from_str(&state).ok().filter(|_| (1..=LONGEST_STATE).contains(&state.len()))
}

/// The key of a well-formed member, `key=value`.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let (tenant, system) = match key.split_once('@') {
        Some((tenant, system)) => (tenant, Some(system)),
        None => (key, None),
    };
    let is_named = |name: &str, longest: usize, begins: fn(&u8) -> bool| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        name.len() <= longest && name.as_bytes().first().is_some_and(begins) && name.bytes().all(is_plain)
    };
    let is_key = match system {
        None => is_named(tenant, 256, u8::is_ascii_lowercase),
        Some(system) => {
            is_named(tenant, 241, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && is_named(system, 14, u8::is_ascii_lowercase)
        }
    };
    let is_value = (1..=256).contains(&value.len())
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && !b",=".contains(&byte));
    (is_key && is_value).then_some(key)
}

#[cfg(test)]
mod tests;
