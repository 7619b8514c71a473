//! Documents, and how passages of them are found again.

#[cfg(test)]
mod fuzz;
pub(crate) mod html;
pub(crate) mod index;
mod inflate;
pub(crate) mod office;
pub(crate) mod pdf;
pub(crate) mod stores;
mod tools;
