//! What is in a list, a map, or a value with its place, one after the other.

use serde::de::{DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, SeqAccess};

use super::{DeserializeError, NodeDeserializer, NodePath};
use crate::config::yaml::{At, Value, YamlNode, suggest};

pub(super) struct NodeSequence<'a, 'r> {
    pub(super) reader: NodeDeserializer<'a, 'r>,
    pub(super) items: std::iter::Enumerate<std::slice::Iter<'a, YamlNode>>,
}

impl<'de> SeqAccess<'de> for NodeSequence<'_, '_> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeserializeError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let path = NodePath::Index(&self.reader.path, index);
        seed.deserialize(NodeDeserializer { node, path, report: self.reader.report }).map(Some)
    }
}

pub(super) struct NodeMap<'a, 'r> {
    pub(super) reader: NodeDeserializer<'a, 'r>,
    pub(super) rest: std::slice::Iter<'a, (At<String>, YamlNode)>,
    pub(super) current: Option<(&'a str, &'a YamlNode)>,
    /// The names that a struct has; a map has any.
    pub(super) known: Option<&'static [&'static str]>,
}

impl<'a> NodeMap<'a, '_> {
    /// The next entry with a known name; the others are reported.
    fn next_known(&mut self) -> Option<&'a (At<String>, YamlNode)> {
        for entry in self.rest.by_ref() {
            let (key, _) = entry;
            let Some(known) = self.known else { return Some(entry) };
            if known.contains(&key.value.as_str()) {
                return Some(entry);
            }
            let field = NodePath::Key(&self.reader.path, &key.value).to_string();
            let message = format!("unknown field, {}", suggest(&key.value, known.iter().copied()));
            self.reader.report.borrow_mut().add(Some(key.at()), field, message);
        }
        None
    }
}

impl<'de> MapAccess<'de> for NodeMap<'_, '_> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeserializeError> {
        let Some((key, value)) = self.next_known() else { return Ok(None) };
        self.current = Some((&key.value, value));
        let node =
            At { value: Value::String(key.value.clone()), line: key.line, column: key.column, field: String::new() };
        let path = NodePath::Key(&self.reader.path, &key.value);
        seed.deserialize(NodeDeserializer { node: &node, path, report: self.reader.report }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeserializeError> {
        let Some((name, node)) = self.current.take() else {
            return Err(DeserializeError::custom("a value without its name"));
        };
        seed.deserialize(NodeDeserializer {
            node,
            path: NodePath::Key(&self.reader.path, name),
            report: self.reader.report,
        })
    }
}

/// The members of an [`At`]: line, column, field, value; of a [`Located`](crate::config::yaml::Located) all but the field.
pub(super) struct LocatedMembers<'a, 'r> {
    pub(super) reader: NodeDeserializer<'a, 'r>,
    pub(super) next: Member,
    pub(super) has_field: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Member {
    Line,
    Column,
    Field,
    Value,
}

impl<'de> SeqAccess<'de> for LocatedMembers<'_, '_> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeserializeError> {
        let NodeDeserializer { node, path, .. } = self.reader;
        let member = self.next;
        self.next = match member {
            Member::Line => Member::Column,
            Member::Column if self.has_field => Member::Field,
            _ => Member::Value,
        };
        match member {
            Member::Line => seed.deserialize(node.line.into_deserializer()),
            Member::Column => seed.deserialize(node.column.into_deserializer()),
            Member::Field => seed.deserialize(path.to_string().into_deserializer()),
            Member::Value => seed.deserialize(self.reader),
        }
        .map(Some)
    }
}
