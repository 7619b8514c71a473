//! Documents, and how passages of them are found again.

pub(crate) mod index;
pub(crate) mod stores;
mod tools;
