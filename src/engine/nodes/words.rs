//! What models are told word for word: files beside the nodes that tell it, with places by name.

use serde_json::Value;

use crate::engine::contract::failure::Failure;
use crate::engine::text::template::Template;

/// The words of such a file, which ends with a line break of its own.
pub(super) fn words(text: &str) -> Template {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Template::parse_plain(text).unwrap_or_else(|_| Template::plain(text))
}

/// Words with texts in their places.
pub(super) fn rendered(template: &Template, values: &[(&str, &str)]) -> Result<String, Failure> {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    template.render(&values.collect()).map_err(Failure::flow)
}
