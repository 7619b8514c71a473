//! Documents, how they are cut into passages, how passages are found again, and chains that answer from them.

pub(super) mod chains;
pub(super) mod coded;
mod csv;
pub(super) mod databases;
pub(super) mod document_store;
#[cfg(test)]
mod fuzz;
mod json;
pub(super) mod loaders;
pub(super) mod records;
pub(super) mod retrievers;
mod split;
pub(super) mod splitters;
pub(super) mod stores;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod tool;

pub(crate) use document_store::opened;
pub(crate) use loaders::{PdfUsage, text_of};
pub(crate) use split::cut_plainly;
pub(crate) use tool::lookup;
