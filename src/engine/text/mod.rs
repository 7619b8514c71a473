//! Texts as the authors of flows write them, and values in their places. Knows nothing of runs.

pub(crate) mod blocks;
pub(crate) mod header;
pub(crate) mod javascript;
pub(crate) mod mustache;
pub(crate) mod overrides;
pub(crate) mod percent;
pub(crate) mod scanner;
pub(crate) mod size;
pub(crate) mod template;
pub(crate) mod tokens;
pub(crate) mod variables;
