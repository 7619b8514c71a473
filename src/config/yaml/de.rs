//! Hands the tree of a document to serde, and goes on after a mistake where it can.
//!
//! An unknown or duplicate field is reported and skipped; a section of the wrong shape is reported and read as an
//! empty one. Anything else (a plain `String` or enum field with a wrong value, a missing field) ends the reading with
//! its place, so structs whose leaves are [`YamlNode`]s lose nothing. Messages never contain a value of the file.

mod access;
mod error;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use self::access::{LocatedMembers, Member, NodeMap, NodeSequence};
use self::error::DeserializeError;
use super::at::{AT, LOCATED};
use super::sections::SWITCHED;
use super::{At, Report, Value, YamlNode, suggest};

/// Characters of one name that a field path shows.
const MAX_SHOWN: usize = 64;

/// Reads the tree as `T`; what is wrong goes into the report.
pub(super) fn read<T: DeserializeOwned>(root: &mut YamlNode, report: &mut Report) -> Option<T> {
    read_at(root, NodePath::Root, report)
}

/// The same for one item of the list `field`, at the top of the document.
pub(super) fn read_item<T: DeserializeOwned>(
    item: &mut YamlNode,
    field: &str,
    index: usize,
    report: &mut Report,
) -> Option<T> {
    read_at(item, NodePath::Index(&NodePath::Key(&NodePath::Root, field), index), report)
}

fn read_at<T: DeserializeOwned>(node: &mut YamlNode, path: NodePath<'_>, report: &mut Report) -> Option<T> {
    remove_duplicates(node, path, report);
    let shared = RefCell::new(report);
    let result = T::deserialize(NodeDeserializer { node, path, report: &shared });
    match result {
        Ok(value) => Some(value),
        Err(DeserializeError { message, at, field }) => {
            if let Some(message) = message {
                shared.borrow_mut().add(at, field, message);
            }
            None
        }
    }
}

/// Reports a document that is no map with a list `field`.
pub(super) fn report_shape(root: &YamlNode, field: &str, report: &mut Report) {
    let (node, name, expected) = match &root.value {
        Value::Map(entries) => match entries.iter().find(|(key, _)| key.value == field) {
            Some((_, node)) => (node, field.to_owned(), "a list".to_owned()),
            None => return,
        },
        _ => (root, String::new(), format!("a map of {field}")),
    };
    report.add(Some(node.at()), name, format!("expected {expected}, found {}", node.value.kind()));
}

/// Reports a name at the top of a document that has only `known` there.
pub(super) fn report_unknown(key: &At<String>, known: &str, report: &mut Report) {
    let field = NodePath::Key(&NodePath::Root, &key.value).to_string();
    report.add(Some(key.at()), field, format!("unknown field, {}", suggest(&key.value, [known])));
}

/// Reports every name that a map holds twice; the first one stays.
fn remove_duplicates(node: &mut YamlNode, path: NodePath<'_>, report: &mut Report) {
    match &mut node.value {
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                remove_duplicates(item, NodePath::Index(&path, index), report);
            }
        }
        Value::Map(entries) => {
            // Most maps are small.
            let is_plain = entries.len() <= 16
                && entries
                    .iter()
                    .enumerate()
                    .all(|(index, (key, _))| entries.iter().take(index).all(|(earlier, _)| earlier.value != key.value));
            let mut lines: HashMap<String, u32> = HashMap::new();
            entries.retain(|(key, _)| {
                if is_plain {
                    return true;
                }
                let Some(line) = lines.get(&key.value) else {
                    lines.insert(key.value.clone(), key.line);
                    return true;
                };
                let field = NodePath::Key(&path, &key.value).to_string();
                report.add(Some(key.at()), field, format!("duplicate field, first written in line {line}"));
                false
            });
            for (key, value) in entries {
                remove_duplicates(value, NodePath::Key(&path, &key.value), report);
            }
        }
        _ => {}
    }
}

/// Where in the document a node is, in words.
#[derive(Clone, Copy)]
enum NodePath<'a> {
    Root,
    Key(&'a NodePath<'a>, &'a str),
    Index(&'a NodePath<'a>, usize),
}

impl fmt::Display for NodePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, name) => {
                if !matches!(parent, NodePath::Root) {
                    write!(f, "{parent}.")?;
                }
                name.chars().take(MAX_SHOWN).try_for_each(|c| write!(f, "{}", c.escape_debug()))
            }
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a, 'r> {
    node: &'a YamlNode,
    path: NodePath<'a>,
    report: &'a RefCell<&'r mut Report>,
}

impl<'a> NodeDeserializer<'a, '_> {
    /// Reports a node of the wrong shape and reads on as if it were empty.
    fn reported<T>(
        self,
        expected: &str,
        empty: impl FnOnce() -> Result<T, DeserializeError>,
    ) -> Result<T, DeserializeError> {
        let message = format!("expected {expected}, found {}", self.node.value.kind());
        self.report.borrow_mut().add(Some(self.node.at()), self.path.to_string(), message);
        empty().map_err(|_| DeserializeError { message: None, at: None, field: String::new() })
    }

    fn map<'de, V: Visitor<'de>>(
        self,
        entries: &'a [(At<String>, YamlNode)],
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        visitor.visit_map(NodeMap { reader: self, rest: entries.iter(), current: None, known })
    }

    fn list<'de, V: Visitor<'de>>(self, items: &'a [YamlNode], visitor: V) -> Result<V::Value, DeserializeError> {
        visitor.visit_seq(NodeSequence { reader: self, items: items.iter().enumerate() })
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_, '_> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::List(items) => self.list(items, visitor),
            Value::Map(entries) => self.map(entries, None, visitor),
        }
        .map_err(|failure| failure.place(self.node, self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        if matches!(self.node.value, Value::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        if name == AT {
            return visitor.visit_seq(LocatedMembers { reader: self, next: Member::Line, has_field: true });
        }
        if name == LOCATED {
            return visitor.visit_seq(LocatedMembers { reader: self, next: Member::Line, has_field: false });
        }
        match (name == SWITCHED, &self.node.value) {
            (false, _) => visitor.visit_newtype_struct(self),
            (true, Value::Bool(false)) => visitor.visit_none(),
            (true, _) => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::List(items) => self.list(items, visitor).map_err(|failure| failure.place(self.node, self.path)),
            _ => self.reported("a list", || visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<u8>()))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::Map(entries) => self.map(entries, None, visitor),
            // All of its lines commented out.
            Value::Null => self.map(&[], None, visitor),
            _ => self.reported("a map", || visitor.visit_map(MapDeserializer::new(std::iter::empty::<(u8, u8)>()))),
        }
        .map_err(|failure| failure.place(self.node, self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::Map(entries) => self.map(entries, Some(fields), visitor),
            Value::Null => self.map(&[], Some(fields), visitor),
            _ => {
                let expected = format!("a map of {}", fields.join(", "));
                self.reported(&expected, || visitor.visit_map(MapDeserializer::new(std::iter::empty::<(u8, u8)>())))
            }
        }
        .map_err(|failure| failure.place(self.node, self.path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::String(value) => visitor.visit_enum(value.as_str().into_deserializer()),
            other => Err(DeserializeError::custom(format_args!(
                "expected {}, found {}",
                variants.join(" or "),
                other.kind()
            ))),
        }
        .map_err(|failure: DeserializeError| failure.place(self.node, self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}
