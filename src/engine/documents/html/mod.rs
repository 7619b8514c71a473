//! Web pages: read as browsers read them, and what of them is told.

mod elements;
mod markdown;
mod marked;
mod names;
mod page_text;
mod plain;
mod select;
mod tags;
mod tree;
mod words;

pub(crate) use markdown::markdown;
pub(crate) use plain::{PlainStyle, plain};
pub(crate) use select::Selector;
pub(crate) use tree::HtmlPage;

#[cfg(test)]
mod tests;
