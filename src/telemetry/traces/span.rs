//! A span that has ended.

use std::borrow::Cow;
use std::num::{NonZeroU64, NonZeroU128};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::context::SpanContext;

/// Bytes of one text.
const LONGEST_TEXT: usize = 256;
/// Attributes of one span.
const MOST_ATTRIBUTES: usize = 32;

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Internal,
    Server,
    Client,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for AttributeValue {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Span {
    pub(super) context: SpanContext,
    pub(super) parent: Option<NonZeroU64>,
    /// Whether that belongs to another program.
    pub(super) has_remote_parent: bool,
    /// A span of a trace that does not go on here.
    pub(super) link: Option<(NonZeroU128, NonZeroU64)>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, AttributeValue)>,
    pub(super) has_failed: bool,
}

impl Span {
    /// One that begins now, without a parent.
    pub(super) fn new(context: SpanContext, kind: SpanKind) -> Self {
        let start = now();
        Self {
            context,
            parent: None,
            has_remote_parent: false,
            link: None,
            name: Cow::Borrowed(""),
            kind,
            start,
            end: start,
            attributes: Vec::new(),
            has_failed: false,
        }
    }

    /// Once more: the last value counts.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        let value = match value.into() {
            AttributeValue::Text(text) => AttributeValue::Text(cut(text)),
            number @ AttributeValue::Number(_) => number,
        };
        if let Some((_, known)) = self.attributes.iter_mut().find(|(known, _)| *known == name) {
            *known = value;
        } else if self.attributes.len() < MOST_ATTRIBUTES {
            self.attributes.push((name, value));
        }
    }
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// As much of a text as is kept.
pub(super) fn cut(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let mut end = LONGEST_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned().into()
}
