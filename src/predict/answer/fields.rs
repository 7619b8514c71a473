//! The fields of an answer in one piece.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::AnswerValue;

/// In their order, by Flowise's names: `text` or `json`, `chatMessageId`, `sourceDocuments`, ...
#[derive(Debug, Default)]
pub(crate) struct AnswerFields<'a>(Vec<(Cow<'a, str>, AnswerValue<'a>)>);

impl<'a> AnswerFields<'a> {
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// Of an object whose values are not looked at.
    pub(super) fn of_json(object: &'a str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    /// Of a value that is an object.
    pub(super) fn of(object: &'a AnswerValue<'_>) -> Option<Self> {
        match object {
            AnswerValue::Text(_) => None,
            AnswerValue::Value(value) => {
                let fields = value.as_object()?.iter();
                Some(Self(fields.map(|(name, value)| (Cow::Borrowed(name.as_str()), value.into())).collect()))
            }
            AnswerValue::Raw(raw) => Self::of_json(raw.get()),
        }
    }

    /// Sets a field, in the place of one of that name.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, data: impl Into<AnswerValue<'a>>) {
        let (name, data) = (name.into(), data.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = data,
            None => self.0.push((name, data)),
        }
    }

    /// A field that says something.
    pub(crate) fn get(&self, name: &str) -> Option<&AnswerValue<'a>> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, data)| data).filter(|data| !data.is_null())
    }

    pub(super) fn retain_mut(&mut self, mut keeps: impl FnMut(&str, &mut AnswerValue<'a>) -> bool) {
        self.0.retain_mut(|(name, data)| keeps(name, data));
    }

    pub(super) fn into_fields(self) -> impl Iterator<Item = (Cow<'a, str>, AnswerValue<'a>)> {
        self.0.into_iter()
    }

    /// About how long they are as JSON.
    pub(super) fn length(&self) -> usize {
        self.0.iter().map(|(name, data)| name.len() + data.length() + 4).sum::<usize>() + 2
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnswerFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(Cow<'de, str>, AnswerValue<'de>)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((Cow::Owned(name), value.into()));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(InOrder).map(Self)
    }
}

impl Serialize for AnswerFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, data)| (name, data)))
    }
}
