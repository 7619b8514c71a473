//! References within a document, whose places are told again wherever they are referred to.

use std::cell::Cell;

use serde_json::Value;

use crate::engine::text::size::bytes_of;

/// References that follow each other.
const LONGEST_CHAIN: usize = 32;
/// Bytes of all that references lead to, again for each of them: models are told much less.
const MOST_FOLLOWED: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct References {
    /// Bytes that may still be followed.
    left: Cell<usize>,
}

impl References {
    pub(crate) const fn new() -> Self {
        Self { left: Cell::new(MOST_FOLLOWED) }
    }

    /// Where a value of a document leads.
    ///
    /// # Errors
    /// There is nothing, or too much was followed.
    pub(crate) fn resolved<'a>(&self, document: &'a Value, mut value: &'a Value) -> Result<&'a Value, String> {
        for _ in 0..LONGEST_CHAIN {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
            let place = reference.strip_prefix('#').ok_or_else(|| format!("{reference} lies in another document"))?;
            let place = place.replace("%7B", "{").replace("%7D", "}");
            value = document.pointer(&place).ok_or_else(|| format!("there is no {reference}"))?;
            let left = self.left.get().checked_sub(reference.len() + bytes_of(value));
            self.left.set(left.ok_or("it follows too many references")?);
        }
        Err("references lead in a circle".to_owned())
    }
}
