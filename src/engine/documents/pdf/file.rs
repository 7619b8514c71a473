//! A PDF file: where its objects are, and the objects themselves. A file whose tables are broken is searched for them.

mod search;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use memchr::memmem;

use super::budget::{PdfBudget, PdfLimitExceeded};
use super::crypt::PdfCipher;
use super::filter::{Predictor, unpacked};
use super::lexer::{PdfLexer, is_space};
use super::object::{PdfFields, PdfId, PdfObject, PdfStream};

/// References that lead to references.
const LONGEST_CHAIN: usize = 16;
/// Filters of one stream.
const MOST_FILTERS: usize = 8;
/// Objects of one file.
const MOST_ENTRIES: usize = 2 << 20;
/// Streams of objects that are kept unpacked.
const KEPT: usize = 8;

#[derive(Debug, Clone, Copy)]
enum ObjectPlace {
    /// A byte of the file.
    At(usize),
    /// In a stream of objects.
    In(u32),
}

/// See the module.
#[derive(Debug)]
pub(super) struct PdfFile<'b> {
    bytes: &'b [u8],
    places: HashMap<u32, ObjectPlace>,
    pub(super) trailer: PdfFields,
    cipher: Option<PdfCipher>,
    objects: RefCell<HashMap<u32, PdfObject>>,
    packs: RefCell<Vec<(u32, Rc<PackedObjects>)>>,
    depth: Cell<usize>,
    pub(super) budget: &'b PdfBudget,
}

/// A stream that holds objects: its bytes, and where each of them is.
#[derive(Debug)]
struct PackedObjects {
    bytes: Vec<u8>,
    places: HashMap<u32, usize>,
}

/// Why a file is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PdfRefusal {
    NoPdf,
    Locked,
    LimitExceeded,
}

impl From<PdfLimitExceeded> for PdfRefusal {
    fn from(PdfLimitExceeded: PdfLimitExceeded) -> Self {
        Self::LimitExceeded
    }
}

impl<'b> PdfFile<'b> {
    pub(super) fn open(bytes: &'b [u8], budget: &'b PdfBudget) -> Result<Self, PdfRefusal> {
        let mut file = Self {
            bytes,
            places: HashMap::new(),
            trailer: PdfFields::new(),
            cipher: None,
            objects: RefCell::default(),
            packs: RefCell::default(),
            depth: Cell::new(0),
            budget,
        };
        file.read_tables()?;
        if !file.has_pages()? {
            file.search()?;
            if !file.has_pages()? {
                return Err(PdfRefusal::NoPdf);
            }
        }
        file.unlock()?;
        Ok(file)
    }

    fn has_pages(&self) -> Result<bool, PdfLimitExceeded> {
        let root = self.field(&self.trailer, "Root")?;
        let Some(root) = root.fields() else { return Ok(false) };
        Ok(self.field(root, "Pages")?.fields().is_some())
    }

    fn unlock(&mut self) -> Result<(), PdfRefusal> {
        let encrypt = self.field(&self.trailer, "Encrypt")?;
        let Some(fields) = encrypt.fields() else { return Ok(()) };
        let ids = self.field(&self.trailer, "ID")?;
        let first = ids.list().and_then(|ids| ids.first()).cloned().unwrap_or_default();
        let first = self.resolved(&first)?;
        let id = first.text().map(|text| text.to_vec()).unwrap_or_default();
        let cipher = PdfCipher::without_password(self, fields, &id)?.ok_or(PdfRefusal::Locked)?;
        self.cipher = Some(cipher);
        // What was read until now was read as it stands.
        self.objects.borrow_mut().clear();
        self.packs.borrow_mut().clear();
        Ok(())
    }

    /// Follows the tables from the end of the file, newest first.
    fn read_tables(&mut self) -> Result<(), PdfLimitExceeded> {
        let tail = self.bytes.len().saturating_sub(1024);
        let begin = self.bytes.get(tail..).and_then(|end| memmem::rfind(end, b"startxref")).map(|at| tail + at + 9);
        let Some(begin) = begin else { return Ok(()) };
        let first = PdfLexer::new(self.bytes, begin, true, self.budget).unsigned();
        let mut left: Vec<usize> = first.and_then(|at| usize::try_from(at).ok()).into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(at) = left.pop() {
            if !seen.insert(at) || seen.len() > 4096 {
                continue;
            }
            let Some(fields) = self.table_at(at)? else { continue };
            let next = |name: &str| fields.get(name).and_then(PdfObject::index);
            // The stream beside a table counts before the tables of before.
            left.extend(next("Prev"));
            left.extend(next("XRefStm"));
            for (name, value) in fields.iter() {
                self.trailer.entry(Rc::clone(name)).or_insert_with(|| value.clone());
            }
        }
        Ok(())
    }

    fn table_at(&mut self, at: usize) -> Result<Option<Rc<PdfFields>>, PdfLimitExceeded> {
        let mut lexer = PdfLexer::new(self.bytes, at, true, self.budget);
        lexer.skip_space();
        if self.bytes.get(lexer.at..).is_some_and(|rest| rest.starts_with(b"xref")) {
            lexer.at += 4;
            self.plain_table(&mut lexer)?;
            return Ok(lexer.object()?.and_then(|trailer| trailer.fields().cloned()));
        }
        let Some(PdfObject::Stream(stream)) = self.object_at(at)?.map(|(_, object)| object) else { return Ok(None) };
        self.packed_table(&stream)?;
        Ok(Some(Rc::clone(&stream.fields)))
    }

    /// `first count`, and a line for each; the trailer comes next.
    fn plain_table(&mut self, lexer: &mut PdfLexer<'_>) -> Result<(), PdfLimitExceeded> {
        loop {
            lexer.skip_space();
            let Some(first) = lexer.unsigned() else {
                // The word `trailer`.
                lexer.object()?;
                return Ok(());
            };
            let count = lexer.unsigned().unwrap_or(0);
            for number in 0..count {
                self.budget.object()?;
                let (Some(at), Some(_generation)) = (lexer.unsigned(), lexer.unsigned()) else { return Ok(()) };
                lexer.skip_space();
                let kind = lexer.peek();
                lexer.at += 1;
                if kind == Some(b'n') {
                    self.place(
                        first.saturating_add(number),
                        ObjectPlace::At(usize::try_from(at).unwrap_or(usize::MAX)),
                    );
                }
            }
        }
    }

    fn packed_table(&mut self, stream: &PdfStream) -> Result<(), PdfLimitExceeded> {
        let bytes = self.unpacked(stream)?;
        let numbers = |name: &str| -> Vec<usize> {
            let list = stream.fields.get(name).and_then(PdfObject::list);
            list.map(|list| list.iter().filter_map(PdfObject::index).collect()).unwrap_or_default()
        };
        let widths = numbers("W");
        let &[kind, second, third] = widths.as_slice() else { return Ok(()) };
        let mut sections = numbers("Index");
        if sections.is_empty() {
            sections = vec![0, stream.fields.get("Size").and_then(PdfObject::index).unwrap_or(0)];
        }
        if widths.iter().any(|width| *width > 8) || kind + second + third == 0 {
            return Ok(());
        }
        let mut rows = bytes.chunks_exact(kind + second + third);
        let value = |bytes: &[u8]| bytes.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
        for section in sections.chunks_exact(2) {
            let &[first, count] = section else { break };
            for number in first..first.saturating_add(count) {
                let Some(row) = rows.next() else { return Ok(()) };
                self.budget.object()?;
                let (head, rest) = row.split_at(kind.min(row.len()));
                let (middle, _) = rest.split_at(second.min(rest.len()));
                let Ok(number) = u32::try_from(number) else { break };
                match if kind == 0 { 1 } else { value(head) } {
                    1 => self.place(number, ObjectPlace::At(value(middle))),
                    2 => {
                        if let Ok(pack) = u32::try_from(value(middle)) {
                            self.place(number, ObjectPlace::In(pack));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The first that says where an object is, is the newest.
    fn place(&mut self, number: u32, place: ObjectPlace) {
        if self.places.len() < MOST_ENTRIES {
            self.places.entry(number).or_insert(place);
        }
    }

    /// An object and its number, where it begins with `12 0 obj`.
    fn object_at(&self, at: usize) -> Result<Option<(PdfId, PdfObject)>, PdfLimitExceeded> {
        let mut lexer = PdfLexer::new(self.bytes, at, true, self.budget);
        let (Some(number), Some(generation)) = (lexer.unsigned(), lexer.unsigned()) else { return Ok(None) };
        lexer.skip_space();
        if !self.bytes.get(lexer.at..).is_some_and(|rest| rest.starts_with(b"obj")) {
            return Ok(None);
        }
        lexer.at += 3;
        let id = PdfId { number, generation };
        let Some(object) = lexer.object()? else { return Ok(None) };
        let PdfObject::Fields(fields) = &object else { return Ok(Some((id, object))) };
        lexer.skip_space();
        if !self.bytes.get(lexer.at..).is_some_and(|rest| rest.starts_with(b"stream")) {
            return Ok(Some((id, object)));
        }
        let mut begin = lexer.at + 6;
        if self.bytes.get(begin) == Some(&b'\r') {
            begin += 1;
        }
        if self.bytes.get(begin) == Some(&b'\n') {
            begin += 1;
        }
        let length = self.field(fields, "Length")?.index();
        let end = length.and_then(|length| begin.checked_add(length)).filter(|end| self.ends_stream(*end));
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let end = if let Some(end) = end {
            end
        } else {
            let length = memmem::find(rest, b"endstream").unwrap_or(rest.len());
            self.budget.bytes(length)?;
            begin + length
        };
        Ok(Some((id, PdfObject::Stream(Rc::new(PdfStream { fields: Rc::clone(fields), raw: begin..end, id })))))
    }

    fn ends_stream(&self, at: usize) -> bool {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let spaces = rest.iter().take(16).take_while(|byte| is_space(**byte)).count();
        rest.get(spaces..).is_some_and(|rest| rest.starts_with(b"endstream") || rest.starts_with(b"endobj"))
    }

    /// The object itself, however many references lead to it.
    pub(super) fn resolved(&self, object: &PdfObject) -> Result<PdfObject, PdfLimitExceeded> {
        let mut object = object.clone();
        for _ in 0..LONGEST_CHAIN {
            let PdfObject::Ref(id) = object else { return Ok(object) };
            object = self.fetched(id)?;
        }
        Ok(PdfObject::Null)
    }

    /// The object in a field, itself.
    pub(super) fn field(&self, fields: &PdfFields, name: &str) -> Result<PdfObject, PdfLimitExceeded> {
        fields.get(name).map_or(Ok(PdfObject::Null), |object| self.resolved(object))
    }

    fn fetched(&self, id: PdfId) -> Result<PdfObject, PdfLimitExceeded> {
        if let Some(object) = self.objects.borrow().get(&id.number) {
            return Ok(object.clone());
        }
        // The length of a stream may be in an object that is in the stream.
        if self.depth.get() >= LONGEST_CHAIN {
            return Ok(PdfObject::Null);
        }
        self.depth.set(self.depth.get() + 1);
        let found = self.found(id);
        self.depth.set(self.depth.get() - 1);
        let object = found?;
        self.objects.borrow_mut().insert(id.number, object.clone());
        Ok(object)
    }

    fn found(&self, id: PdfId) -> Result<PdfObject, PdfLimitExceeded> {
        match self.places.get(&id.number) {
            None => Ok(PdfObject::Null),
            Some(ObjectPlace::At(at)) => {
                let found = self.object_at(*at)?.filter(|(found, _)| found.number == id.number);
                let Some((id, object)) = found else { return Ok(PdfObject::Null) };
                Ok(match &self.cipher {
                    Some(cipher) => cipher.texts_of(object, id),
                    None => object,
                })
            }
            Some(ObjectPlace::In(number)) => {
                let Some(pack) = self.pack(*number)? else { return Ok(PdfObject::Null) };
                let Some(at) = pack.places.get(&id.number) else {
                    return Ok(PdfObject::Null);
                };
                Ok(PdfLexer::new(&pack.bytes, *at, true, self.budget).object()?.unwrap_or_default())
            }
        }
    }

    fn pack(&self, number: u32) -> Result<Option<Rc<PackedObjects>>, PdfLimitExceeded> {
        if let Some((_, pack)) = self.packs.borrow().iter().find(|(known, _)| *known == number) {
            return Ok(Some(Rc::clone(pack)));
        }
        let Some(ObjectPlace::At(at)) = self.places.get(&number) else { return Ok(None) };
        let Some((_, PdfObject::Stream(stream))) = self.object_at(*at)? else { return Ok(None) };
        let bytes = self.unpacked(&stream)?;
        let count = self.field(&stream.fields, "N")?.index().unwrap_or(0);
        let first = self.field(&stream.fields, "First")?.index().unwrap_or(0);
        let mut lexer = PdfLexer::new(&bytes, 0, true, self.budget);
        let mut places = HashMap::new();
        for _ in 0..count {
            self.budget.object()?;
            let (Some(number), Some(at)) = (lexer.unsigned(), lexer.unsigned()) else { break };
            places.insert(number, first.saturating_add(usize::try_from(at).unwrap_or(usize::MAX)));
        }
        let pack = Rc::new(PackedObjects { bytes, places });
        let mut packs = self.packs.borrow_mut();
        if packs.len() >= KEPT {
            packs.remove(0);
        }
        packs.push((number, Rc::clone(&pack)));
        Ok(Some(pack))
    }

    /// The bytes of a stream as they are meant.
    pub(super) fn unpacked(&self, stream: &PdfStream) -> Result<Vec<u8>, PdfLimitExceeded> {
        let raw = self.bytes.get(stream.raw.clone()).unwrap_or_default();
        let fields = &stream.fields;
        let either = |short: &str, long: &str| match self.field(fields, long)? {
            PdfObject::Null => self.field(fields, short),
            found => Ok(found),
        };
        let (filters, params) = (either("F", "Filter")?, either("DP", "DecodeParms")?);
        let filters = self.each(&filters)?;
        let params = self.each(&params)?;
        let is_clear = fields.get("Type").and_then(PdfObject::name).is_some_and(|name| **name == *"XRef");
        let mut bytes = match &self.cipher {
            Some(cipher) if !is_clear => cipher.stream(raw, stream.id),
            _ => raw.to_vec(),
        };
        self.budget.bytes(bytes.len())?;
        for (at, filter) in filters.iter().take(MOST_FILTERS).enumerate() {
            let Some(filter) = filter.name() else { continue };
            let params = params.get(at).and_then(PdfObject::fields);
            let param = |name: &str, default: usize| -> Result<usize, PdfLimitExceeded> {
                let Some(params) = params else { return Ok(default) };
                Ok(self.field(params, name)?.index().unwrap_or(default))
            };
            bytes = unpacked(filter, &bytes, param("EarlyChange", 1)? != 0);
            self.budget.bytes(bytes.len())?;
            let kind = param("Predictor", 1)?;
            if kind > 1 {
                let (colors, bits) = (param("Colors", 1)?, param("BitsPerComponent", 8)?);
                bytes = Predictor { kind, colors, bits, columns: param("Columns", 1)? }.undone(bytes);
            }
        }
        Ok(bytes)
    }

    /// One object, or those of a list, themselves.
    pub(super) fn each(&self, object: &PdfObject) -> Result<Vec<PdfObject>, PdfLimitExceeded> {
        match object {
            PdfObject::Null => Ok(Vec::new()),
            PdfObject::List(list) => list.iter().map(|item| self.resolved(item)).collect(),
            one => Ok(vec![one.clone()]),
        }
    }
}
