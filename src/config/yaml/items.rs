//! A document that is one long list, read item by item, so that no more than one of them is held as a tree.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{At, MAX_LIST_BYTES, MOST_PROBLEMS, Node, Report, de, describe, options, position};
use crate::config::content::{self, TooLarge};
use crate::config::error::{Problem, Problems};

/// Takes items, with their place in the list; `None`: one that could not be read. What is wrong with it is added.
pub(crate) trait Items {
    type Item: DeserializeOwned;

    fn take(&mut self, index: usize, item: Option<Self::Item>, problems: &mut Vec<Problem>);
}

/// Reads a map that has nothing but the list `field`. The first hundred problems are told.
///
/// # Errors
/// Everything that is wrong, what `items` adds included.
pub(crate) fn each_item<I: Items>(path: &Path, text: &str, field: &'static str, items: &mut I) -> Result<(), Problems> {
    let mut report = Report { file: path.to_owned(), problems: Vec::new() };
    if text.len() > MAX_LIST_BYTES {
        report.add(None, String::new(), TooLarge(content::MOST_KEYS).to_string());
        return Err(Problems(report.problems));
    }
    let mut document = Document { field, first: None, is_cut: false, report: &mut report, items };
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
        Ok(Shape::Empty) => report.add(None, String::new(), "the file is empty"),
        // Whole, it says what it is instead.
        Ok(Shape::Other) => {
            let tree: Node = serde_saphyr::from_str_with_options(text, options(MAX_LIST_BYTES)).unwrap_or_default();
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
enum Shape {
    Read,
    Empty,
    Other,
}

struct Document<'a, I> {
    field: &'static str,
    /// Where the list began.
    first: Option<u32>,
    /// There were too many problems to go on.
    is_cut: bool,
    report: &'a mut Report,
    items: &'a mut I,
}

impl<'de, I: Items> DeserializeSeed<'de> for &mut Document<'_, I> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Scalars, and a list or a map where none is expected.
macro_rules! other_shapes {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Shape, E> {
            Ok(Shape::Empty)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
            Ok(Shape::Other)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
            Ok(Shape::Other)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
            Ok(Shape::Other)
        }

        fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
            Ok(Shape::Other)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
            Ok(Shape::Other)
        }

        fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
            Ok(Shape::Other)
        }
    };
}

impl<'de, I: Items> Visitor<'de> for &mut Document<'_, I> {
    type Value = Shape;

    other_shapes!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut rest: A) -> Result<Shape, A::Error> {
        while rest.next_element::<Node>()?.is_some() {}
        Ok(Shape::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::Read;
        while let Some(key) = entries.next_key::<At<String>>()? {
            if key.value != self.field {
                de::report_unknown(&key, self.field, self.report);
            } else if let Some(line) = self.first {
                let message = format!("duplicate field, first written in line {line}");
                self.report.add(Some(key.at()), self.field.to_owned(), message);
            } else {
                self.first = Some(key.line);
                // Without items it is an empty list.
                if matches!(entries.next_value_seed(List(self))?, Shape::Other) {
                    shape = Shape::Other;
                }
                continue;
            }
            entries.next_value::<Node>()?;
        }
        Ok(shape)
    }
}

struct List<'a, 'd, I>(&'a mut Document<'d, I>);

impl<'de, I: Items> DeserializeSeed<'de> for List<'_, '_, I> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, I: Items> Visitor<'de> for List<'_, '_, I> {
    type Value = Shape;

    other_shapes!();

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        while entries.next_entry::<At<String>, Node>()?.is_some() {}
        Ok(Shape::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<Shape, A::Error> {
        let document = self.0;
        let mut index = 0;
        while let Some(mut node) = nodes.next_element::<Node>()? {
            let item = de::read_item(&mut node, document.field, index, document.report);
            document.items.take(index, item, &mut document.report.problems);
            index += 1;
            if document.report.problems.len() > MOST_PROBLEMS {
                document.is_cut = true;
                return Err(A::Error::custom("too many problems"));
            }
        }
        Ok(Shape::Read)
    }
}
