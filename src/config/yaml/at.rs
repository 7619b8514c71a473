//! A value with its place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// The name under which [`At`] asks a deserializer for a place as well as a value.
pub(super) const AT: &str = "flowgate::At";

/// The same for [`Located`].
pub(super) const LOCATED: &str = "flowgate::Located";

/// A value, where it stands in the file (line and column from 1) and in which field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Dotted path, such as `chatflows.support.upstream`.
    pub(crate) field: String,
}

impl<T> At<T> {
    pub(crate) fn at(&self) -> (u32, u32) {
        (self.line, self.column)
    }
}

/// A value and where it stands, without its field: for items of long lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl<T> Located<T> {
    pub(crate) fn at(&self) -> (u32, u32) {
        (self.line, self.column)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// From the parser.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<At<T>, D::Error> {
        located(deserializer)
    }

    /// From the tree, which yields the members one by one.
    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<At<T>, A::Error> {
        let line = members.next_element()?.ok_or_else(|| A::Error::missing_field("line"))?;
        let column = members.next_element()?.ok_or_else(|| A::Error::missing_field("column"))?;
        let field = members.next_element()?.ok_or_else(|| A::Error::missing_field("field"))?;
        let value = members.next_element()?.ok_or_else(|| A::Error::missing_field("value"))?;
        Ok(At { value, line, column, field })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(LOCATED, LocatedVisitor(PhantomData))
    }
}

struct LocatedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LocatedVisitor<T> {
    type Value = Located<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// From the tree, as for [`At`].
    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Located<T>, A::Error> {
        let line = members.next_element()?.ok_or_else(|| A::Error::missing_field("line"))?;
        let column = members.next_element()?.ok_or_else(|| A::Error::missing_field("column"))?;
        let value = members.next_element()?.ok_or_else(|| A::Error::missing_field("value"))?;
        Ok(Located { value, line, column })
    }
}

/// The one place where a position comes out of the library.
fn located<'de, T, D>(deserializer: D) -> Result<At<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
    let line = u32::try_from(spanned.referenced.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(spanned.referenced.column()).unwrap_or(u32::MAX);
    Ok(At { value: spanned.value, line, column, field: String::new() })
}
