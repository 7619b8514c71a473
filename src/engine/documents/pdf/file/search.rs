//! A file whose tables are broken: its objects and trailers are looked for.

use std::rc::Rc;

use memchr::memmem;

use super::{MOST_ENTRIES, ObjectPlace, PdfFile};
use crate::engine::documents::pdf::budget::PdfLimitExceeded;
use crate::engine::documents::pdf::lexer::{PdfLexer, is_space};
use crate::engine::documents::pdf::object::{PdfId, PdfObject};

impl PdfFile<'_> {
    /// Looks for objects and trailers all over the file.
    pub(super) fn search(&mut self) -> Result<(), PdfLimitExceeded> {
        self.budget.bytes(self.bytes.len())?;
        self.places.clear();
        self.objects.borrow_mut().clear();
        self.packs.borrow_mut().clear();
        let (bytes, budget) = (self.bytes, self.budget);
        let mut packs = Vec::new();
        for at in memmem::find_iter(bytes, b"obj") {
            let head = bytes.get(..at).unwrap_or_default();
            let Some((number, begin)) = number_before(head) else { continue };
            if self.places.len() < MOST_ENTRIES {
                self.places.insert(number, ObjectPlace::At(begin));
            }
            let near = bytes.get(at..bytes.len().min(at + 256)).unwrap_or_default();
            if memmem::find(near, b"/ObjStm").is_some() {
                packs.push(number);
            }
            if memmem::find(near, b"/XRef").is_some()
                && let Some((_, PdfObject::Stream(stream))) = self.object_at(begin)?
            {
                self.trailer.extend(stream.fields.iter().map(|(name, value)| (Rc::clone(name), value.clone())));
            }
        }
        for at in memmem::find_iter(bytes, b"trailer") {
            if let Some(PdfObject::Fields(fields)) = PdfLexer::new(bytes, at + 7, true, budget).object()? {
                self.trailer.extend(fields.iter().map(|(name, value)| (Rc::clone(name), value.clone())));
            }
        }
        for pack in packs.into_iter().take(1 << 16) {
            let numbers: Vec<u32> =
                self.pack(pack)?.map(|pack| pack.places.keys().copied().collect()).unwrap_or_default();
            for number in numbers {
                self.place(number, ObjectPlace::In(pack));
            }
        }
        if !self.has_pages()? {
            self.find_root()?;
        }
        Ok(())
    }

    /// Without any trailer: the catalog itself.
    fn find_root(&mut self) -> Result<(), PdfLimitExceeded> {
        let numbers: Vec<u32> = self.places.keys().copied().collect();
        for number in numbers {
            let id = PdfId { number, generation: 0 };
            let object = self.resolved(&PdfObject::Ref(id))?;
            let is_root = object.fields().is_some_and(|fields| {
                fields.get("Type").and_then(PdfObject::name).is_some_and(|name| **name == *"Catalog")
            });
            if is_root {
                self.trailer.insert("Root".into(), PdfObject::Ref(id));
            }
        }
        Ok(())
    }
}

/// `12 0 ` at the end: the number, and where it begins.
fn number_before(head: &[u8]) -> Option<(u32, usize)> {
    let mut end = head.len();
    let mut back = |wanted: fn(&u8) -> bool| {
        let begin = head.get(..end)?.iter().rposition(|byte| !wanted(byte)).map_or(0, |at| at + 1);
        let part = head.get(begin..end)?;
        end = begin;
        Some((part, begin))
    };
    back(|byte| is_space(*byte))?;
    let (generation, _) = back(u8::is_ascii_digit)?;
    let (space, _) = back(|byte| is_space(*byte))?;
    let (number, begin) = back(u8::is_ascii_digit)?;
    if generation.is_empty() || space.is_empty() || number.is_empty() || number.len() > 10 {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, begin))
}
