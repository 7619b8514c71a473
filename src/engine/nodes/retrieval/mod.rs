//! Documents, how they are cut into passages, how passages are found again, and chains that answer from them.

mod chains;
mod csv;
mod document_store;
#[cfg(test)]
mod fuzz;
mod json;
mod loaders;
mod split;
mod splitters;
mod stores;
#[cfg(test)]
mod testing;
mod tool;

pub(crate) use document_store::opened;
pub(crate) use stores::VectorStore;
pub(crate) use tool::lookup;

use super::Kind;

pub(super) const KINDS: &[&[&dyn Kind]] =
    &[chains::KINDS, document_store::KINDS, loaders::KINDS, splitters::KINDS, stores::KINDS, tool::KINDS, TESTS];

#[cfg(test)]
const TESTS: &[&dyn Kind] = testing::KINDS;
#[cfg(not(test))]
const TESTS: &[&dyn Kind] = &[];
