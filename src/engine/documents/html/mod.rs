//! Web pages: read as browsers read them, and what of them is told.

mod elements;
mod markdown;
mod marked;
mod names;
mod select;
mod tags;
mod told;
mod tree;

pub(crate) use markdown::markdown;
pub(crate) use select::Selector;
pub(crate) use tree::HtmlPage;

#[cfg(test)]
mod tests;
