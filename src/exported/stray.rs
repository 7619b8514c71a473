//! Lists of records among which something else may stand: what is no record is passed over and counted.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The records of a section, of which there are none where something else stands in the place of a list.
#[derive(Debug)]
pub(super) struct LenientRecords<T> {
    pub(super) all: Vec<T>,
    /// How many of what is no record; `null` in the place of a list is nothing.
    pub(super) strays: usize,
}

impl<T> Default for LenientRecords<T> {
    fn default() -> Self {
        Self { all: Vec::new(), strays: 0 }
    }
}

/// One of them.
struct MaybeRecord<T>(Option<T>);

struct ListVisitor<T>(PhantomData<T>);
struct RecordVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LenientRecords<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeRecord<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RecordVisitor(PhantomData))
    }
}

/// What every plain value comes to.
macro_rules! plain_values {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = LenientRecords<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    plain_values!(LenientRecords { all: Vec::new(), strays: 1 });

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(LenientRecords::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut records = LenientRecords::default();
        while let Some(MaybeRecord(record)) = items.next_element()? {
            match record {
                Some(record) => records.all.push(record),
                None => records.strays += 1,
            }
        }
        Ok(records)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LenientRecords { all: Vec::new(), strays: 1 })
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for RecordVisitor<T> {
    type Value = MaybeRecord<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    plain_values!(MaybeRecord(None));

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(MaybeRecord(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(MaybeRecord(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(|record| MaybeRecord(Some(record)))
    }
}
