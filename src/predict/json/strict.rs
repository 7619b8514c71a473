//! Reads what one client sends, and nothing that two parsers could understand differently.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{DEEPEST, Json, LONGEST_NAME, MOST_FIELDS, MOST_VALUES, Object, is_file_reference, shown};
use crate::config::is_reserved;
use crate::wire::refusal::Rule;

/// What is counted and found while a body is read.
pub(super) struct Reading {
    pub(super) values: Cell<u32>,
    /// That refuses the body.
    pub(super) rule: Cell<Rule>,
}

#[derive(Clone, Copy)]
pub(super) struct Strict<'b> {
    pub(super) reading: &'b Reading,
    pub(super) depth: u32,
}

impl Strict<'_> {
    fn refuse<T, E: de::Error>(self, rule: Rule, message: fmt::Arguments<'_>) -> Result<T, E> {
        self.reading.rule.set(rule);
        Err(E::custom(message))
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return self.refuse(Rule::BodyDepth, format_args!("nested deeper than {DEEPEST} levels"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn count<E: de::Error>(self) -> Result<(), E> {
        let values = self.reading.values.get() + 1;
        self.reading.values.set(values);
        if values > MOST_VALUES {
            return self.refuse(Rule::BodyValues, format_args!("more than {MOST_VALUES} values"));
        }
        Ok(())
    }

    fn text<E: de::Error>(self, text: Cow<'_, str>) -> Result<Json<'_>, E> {
        if is_file_reference(&text) {
            return self.refuse(Rule::FileReference, format_args!("a text that names a file of the server"));
        }
        Ok(Json::Text(text))
    }

    fn name<E: de::Error>(self, name: &str, object: &Object<'_>) -> Result<(), E> {
        if is_reserved(name) {
            return self.refuse(Rule::PrototypeField, format_args!("the field {name} is not allowed"));
        }
        if name.len() > LONGEST_NAME {
            return self.refuse(Rule::BodyValues, format_args!("the field {} has too long a name", shown(name)));
        }
        if object.0.len() >= MOST_FIELDS {
            return self.refuse(Rule::BodyValues, format_args!("an object of more than {MOST_FIELDS} fields"));
        }
        if object.get(name).is_some() {
            return self.refuse(Rule::DuplicateField, format_args!("the field {} appears twice", shown(name)));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json<'de>, E> {
        self.text(Cow::Owned(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::default();
        while let Some(name) = entries.next_key_seed(Name)? {
            self.name(&name, &object)?;
            let value = entries.next_value_seed(inner)?;
            object.0.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

/// Reads a field's name, borrowed if it holds no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
