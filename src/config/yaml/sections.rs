//! Maps in the order of the file, and sections that can be turned off.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::at::At;

/// The name under which [`Switched`] asks a deserializer for nothing, where there is `false`.
pub(super) const SWITCHED: &str = "flowgate::Switched";

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
