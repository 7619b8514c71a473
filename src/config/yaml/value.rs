//! A value with its place, a document of such values, and maps in the order of the file.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The name under which [`At`] asks a deserializer for a place as well as a value.
pub(super) const AT: &str = "flowgate::At";
/// The same for [`Located`].
pub(super) const LOCATED: &str = "flowgate::Located";
/// The name under which [`Switched`] asks a deserializer for nothing, where there is `false`.
pub(super) const SWITCHED: &str = "flowgate::Switched";

/// A value, where it stands in the file (line and column from 1) and in which field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Dotted path, such as `chatflows.support.upstream`.
    pub(crate) field: String,
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

impl<T> At<T> {
    pub(crate) fn at(&self) -> (u32, u32) {
        (self.line, self.column)
    }
}

/// Any value of a document.
pub(crate) type YamlNode = At<Value>;

#[derive(Clone, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    List(Vec<YamlNode>),
    /// In the order of the file.
    Map(Vec<(At<String>, YamlNode)>),
}

impl Value {
    /// What this is, in a reader's words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Prints the kind only: any scalar might be a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.kind())
    }
}

/// A section that `false` turns off, which is not the same as leaving it out.
#[derive(Debug)]
pub(crate) struct Switched<T>(pub(crate) Option<T>);

impl<T: Default> Default for Switched<T> {
    fn default() -> Self {
        Self(Some(T::default()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SWITCHED, SwitchedVisitor(PhantomData))
    }
}

struct SwitchedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SwitchedVisitor<T> {
    type Value = Switched<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or false")
    }

    fn visit_none<E>(self) -> Result<Switched<T>, E> {
        Ok(Switched(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Switched<T>, D::Error> {
        T::deserialize(deserializer).map(|section| Switched(Some(section)))
    }
}

/// A map from names that the user chooses, in the order of the file.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
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
        super::located(deserializer)
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

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named<T>, A::Error> {
        let mut named = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            named.push(entry);
        }
        Ok(Named(named))
    }
}
