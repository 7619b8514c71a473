//! What office programs write: XML in ZIP folders.

pub(crate) mod bucket;
pub(crate) mod docx;
pub(crate) mod epub;
pub(crate) mod paragraphs;
pub(crate) mod sections;
pub(crate) mod sitemap;
pub(crate) mod xlsx;
mod xml;
mod zip;

#[cfg(test)]
pub(crate) use zip::zipped;
