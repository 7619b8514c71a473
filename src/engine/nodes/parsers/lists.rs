//! Answers that are lists of texts.

use std::sync::Arc;

use serde_json::Value;

use super::mends;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::node::{OutputParser, ReplyContent};

/// The node `csvOutputParser`.
pub(super) struct CsvOutputParser;

impl NodeKind for CsvOutputParser {
    fn names(&self) -> &'static [&'static str] {
        &["csvOutputParser"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let instructions = "Your response should be a list of comma separated values, eg: `foo, bar, baz`".to_owned();
        let list = List { separator: ",".to_owned(), length: None, instructions, mends: mends(inputs) };
        Some(Part::Parser(Arc::new(list)))
    }
}

/// The node `customListOutputParser`.
pub(super) struct CustomListOutputParser;

impl NodeKind for CustomListOutputParser {
    fn names(&self) -> &'static [&'static str] {
        &["customListOutputParser"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let separator = inputs.text("separator").unwrap_or_else(|| ",".to_owned());
        let length = inputs.integer("length").and_then(|length| usize::try_from(length).ok());
        let count = length.map(|length| format!("{length} ")).unwrap_or_default();
        let instructions = format!(
            "Your response should be a list of {count}items separated by \"{separator}\" (eg: `foo{separator} \
             bar{separator} baz`)"
        );
        Some(Part::Parser(Arc::new(List { separator, length, instructions, mends: mends(inputs) })))
    }
}

#[derive(Debug)]
struct List {
    separator: String,
    length: Option<usize>,
    instructions: String,
    mends: bool,
}

impl OutputParser for List {
    fn instructions(&self) -> String {
        self.instructions.clone()
    }

    fn parse(&self, text: &str) -> Result<ReplyContent, String> {
        let items: Vec<Value> = text.trim().split(&self.separator).map(|item| item.trim().into()).collect();
        match self.length {
            Some(length) if items.len() != length => {
                Err(format!("Incorrect number of items. Expected {length}, got {}.", items.len()))
            }
            _ => Ok(ReplyContent::Json(items.into())),
        }
    }

    fn mends(&self) -> bool {
        self.mends
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_trimmed_and_counted() {
        let list = List { separator: "|".into(), length: Some(2), instructions: String::new(), mends: false };
        assert_eq!(list.parse(" a | b \n"), Ok(ReplyContent::Json(json!(["a", "b"]))));
        assert_eq!(list.parse("a").unwrap_err(), "Incorrect number of items. Expected 2, got 1.");
        let list = List { length: None, ..list };
        assert_eq!(list.parse(""), Ok(ReplyContent::Json(json!([""]))));
    }
}
