//! A document that is one long list, read item by item, so that no more than one of them is held as a tree.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{At, MAX_LIST_BYTES, MOST_PROBLEMS, Report, YamlNode, de, describe, options, position};
use crate::config::content::{self, TooLarge};
use crate::config::error::{Problem, Problems};

/// Takes items, with their place in the list; `None`: one that could not be read. What is wrong with it is added.
pub(crate) trait ItemSink {
    type Item: DeserializeOwned;

    fn take(&mut self, index: usize, item: Option<Self::Item>, problems: &mut Vec<Problem>);
}

/// Reads a map that has nothing but the list `field`. The first hundred problems are told.
///
/// # Errors
/// Everything that is wrong, what `items` adds included.
pub(crate) fn each_item<I: ItemSink>(
    path: &Path,
    text: &str,
    field: &'static str,
    items: &mut I,
) -> Result<(), Problems> {
    let mut report = Report { file: path.to_owned(), problems: Vec::new() };
    if text.len() > MAX_LIST_BYTES {
        report.add(None, String::new(), TooLarge(content::MOST_KEYS).to_string());
        return Err(Problems(report.problems));
    }
    let mut document = DocumentSeed { field, first: None, is_cut: false, report: &mut report, items };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(MAX_LIST_BYTES), |deserializer| {
        (&mut document).deserialize(deserializer)
    });
    let is_cut = document.is_cut;
    match read {
        Err(error) if !is_cut => {
            // From here on nothing is certain, not even what was read before.
            report.problems.clear();
            report.add(position(&error), String::new(), describe(error.without_snippet()));
        }
        Ok(DocumentShape::Empty) => report.add(None, String::new(), "the file is empty"),
        // Whole, it says what it is instead.
        Ok(DocumentShape::Other) => {
            let tree: YamlNode = serde_saphyr::from_str_with_options(text, options(MAX_LIST_BYTES)).unwrap_or_default();
            de::report_shape(&tree, field, &mut report);
        }
        _ => {}
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    report.problems.sort_by_key(|problem| problem.at);
    if is_cut {
        report.problems.truncate(MOST_PROBLEMS);
        report.add(None, field.to_owned(), "there are further problems");
    }
    Err(Problems(report.problems))
}

/// What a document turned out to be.
enum DocumentShape {
    Read,
    Empty,
    Other,
}

struct DocumentSeed<'a, I> {
    field: &'static str,
    /// Where the list began.
    first: Option<u32>,
    /// There were too many problems to go on.
    is_cut: bool,
    report: &'a mut Report,
    items: &'a mut I,
}

impl<'de, I: ItemSink> DeserializeSeed<'de> for &mut DocumentSeed<'_, I> {
    type Value = DocumentShape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DocumentShape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Scalars, and a list or a map where none is expected.
macro_rules! other_shapes {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Empty)
        }

        fn visit_bool<E>(self, _: bool) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }

        fn visit_i64<E>(self, _: i64) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }

        fn visit_u64<E>(self, _: u64) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }

        fn visit_i128<E>(self, _: i128) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }

        fn visit_f64<E>(self, _: f64) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }

        fn visit_str<E>(self, _: &str) -> Result<DocumentShape, E> {
            Ok(DocumentShape::Other)
        }
    };
}

impl<'de, I: ItemSink> Visitor<'de> for &mut DocumentSeed<'_, I> {
    type Value = DocumentShape;

    other_shapes!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut rest: A) -> Result<DocumentShape, A::Error> {
        while rest.next_element::<YamlNode>()?.is_some() {}
        Ok(DocumentShape::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<DocumentShape, A::Error> {
        let mut shape = DocumentShape::Read;
        while let Some(key) = entries.next_key::<At<String>>()? {
            if key.value != self.field {
                de::report_unknown(&key, self.field, self.report);
            } else if let Some(line) = self.first {
                let message = format!("duplicate field, first written in line {line}");
                self.report.add(Some(key.at()), self.field.to_owned(), message);
            } else {
                self.first = Some(key.line);
                // Without items it is an empty list.
                if matches!(entries.next_value_seed(ListSeed(self))?, DocumentShape::Other) {
                    shape = DocumentShape::Other;
                }
                continue;
            }
            entries.next_value::<YamlNode>()?;
        }
        Ok(shape)
    }
}

struct ListSeed<'a, 'd, I>(&'a mut DocumentSeed<'d, I>);

impl<'de, I: ItemSink> DeserializeSeed<'de> for ListSeed<'_, '_, I> {
    type Value = DocumentShape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DocumentShape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, I: ItemSink> Visitor<'de> for ListSeed<'_, '_, I> {
    type Value = DocumentShape;

    other_shapes!();

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<DocumentShape, A::Error> {
        while entries.next_entry::<At<String>, YamlNode>()?.is_some() {}
        Ok(DocumentShape::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<DocumentShape, A::Error> {
        let document = self.0;
        let mut index = 0;
        while let Some(mut node) = nodes.next_element::<YamlNode>()? {
            let item = de::read_item(&mut node, document.field, index, document.report);
            document.items.take(index, item, &mut document.report.problems);
            index += 1;
            if document.report.problems.len() > MOST_PROBLEMS {
                document.is_cut = true;
                return Err(A::Error::custom("too many problems"));
            }
        }
        Ok(DocumentShape::Read)
    }
}
