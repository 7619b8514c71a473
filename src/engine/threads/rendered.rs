//! An answer in one piece, from values to bytes.
//!
//! It may be as long as all that its flow was given, several times. So no more of it is there at a time than need be: what
//! is written is let go of, and the client's ids are put in on the way.

use std::io::{self, Write};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::predict::answer::{Renamer, View};
use crate::predict::events::length;

/// Bytes that are looked at together for ids.
const PIECE: usize = 16 * 1024;

/// The answer as the client sees it; `None`: nobody knows what it would show.
pub(crate) fn rendered(json: Map<String, Value>, view: Option<Box<View>>) -> Option<Bytes> {
    let most: usize = json.iter().map(|(name, value)| name.len() + length(value) + 4).sum();
    let out = Vec::with_capacity(most + 2);
    match view {
        Some(view) if !view.needs_whole() => {
            let mut renaming = Renaming { renamer: view.into_renamer(), piece: Vec::new(), out };
            write(json, &mut renaming).ok()?;
            Some(renaming.done())
        }
        view => {
            let mut out = out;
            write(json, &mut out).ok()?;
            let body = Bytes::from(out);
            view.map_or(Some(body.clone()), |view| view.json(body))
        }
    }
}

fn write(json: Map<String, Value>, out: &mut impl Write) -> io::Result<()> {
    let mut before: &[u8] = b"{";
    for (name, value) in json {
        out.write_all(std::mem::replace(&mut before, b","))?;
        serde_json::to_writer(&mut *out, &name)?;
        out.write_all(b":")?;
        match value {
            Value::Array(items) if !items.is_empty() => {
                let mut before: &[u8] = b"[";
                for item in items {
                    out.write_all(std::mem::replace(&mut before, b","))?;
                    serde_json::to_writer(&mut *out, &item)?;
                }
                out.write_all(b"]")?;
            }
            value => serde_json::to_writer(&mut *out, &value)?,
        }
    }
    out.write_all(b"}")
}

/// Gives clients their own ids back in what goes through.
struct Renaming {
    renamer: Renamer,
    piece: Vec<u8>,
    out: Vec<u8>,
}

impl Renaming {
    fn pass(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.out.extend_from_slice(&self.renamer.take(piece.into()));
    }

    fn done(mut self) -> Bytes {
        self.pass();
        self.out.extend_from_slice(&self.renamer.end());
        self.out.into()
    }
}

impl Write for Renaming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.pass();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_as_values_are() {
        let value = json!({ "a": [], "b": [1, [2]], "c": { "d": "\"" }, "e": null, "f": "x" });
        let Value::Object(fields) = value.clone() else { panic!("an object") };
        assert_eq!(rendered(fields, None).unwrap(), value.to_string());
    }
}
