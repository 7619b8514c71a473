//! Documents, how they are cut into passages, how passages are found again, and chains that answer from them.

mod chains;
mod csv;
mod index;
mod javascript;
mod json;
mod loaders;
mod split;
mod splitters;
mod stores;
#[cfg(test)]
mod testing;
mod tool;

pub(crate) use index::Indexes;
pub(crate) use stores::VectorStore;

use super::Kind;

pub(super) const KINDS: &[&[&dyn Kind]] =
    &[chains::KINDS, loaders::KINDS, splitters::KINDS, stores::KINDS, tool::KINDS, TESTS];

#[cfg(test)]
const TESTS: &[&dyn Kind] = testing::KINDS;
#[cfg(not(test))]
const TESTS: &[&dyn Kind] = &[];
