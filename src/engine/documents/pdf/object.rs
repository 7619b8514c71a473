//! What a PDF file is written in: numbers, names, texts, lists, dictionaries, and the words of content streams.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// The number of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PdfId {
    pub(super) number: u32,
    pub(super) generation: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) enum PdfObject {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<[u8]>),
    Name(Rc<str>),
    List(Rc<Vec<PdfObject>>),
    Fields(Rc<PdfFields>),
    Stream(Rc<PdfStream>),
    Ref(PdfId),
    /// A word of a content stream, or of the file's own frame.
    Word(Rc<str>),
}

pub(super) type PdfFields = HashMap<Rc<str>, PdfObject>;

#[derive(Debug)]
pub(super) struct PdfStream {
    pub(super) fields: Rc<PdfFields>,
    /// Its bytes in the file, as they are there.
    pub(super) raw: Range<usize>,
    /// What it is encrypted as.
    pub(super) id: PdfId,
}

impl PdfObject {
    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// A number that counts something.
    pub(super) fn index(&self) -> Option<usize> {
        let number = self.number().filter(|number| (0.0..=4e15).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at just above")]
        Some(number as usize)
    }

    /// The low 32 bits of a number that is a row of switches.
    pub(super) fn bits(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a number that is larger is none of switches")]
        let number = self.number().unwrap_or(0.0) as i64;
        u32::try_from(number & 0xffff_ffff).unwrap_or_default()
    }

    pub(super) fn name(&self) -> Option<&Rc<str>> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn text(&self) -> Option<&Rc<[u8]>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn list(&self) -> Option<&Rc<Vec<Self>>> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// Its fields; of a stream as well.
    pub(super) fn fields(&self) -> Option<&Rc<PdfFields>> {
        match self {
            Self::Fields(fields) => Some(fields),
            Self::Stream(stream) => Some(&stream.fields),
            _ => None,
        }
    }

    pub(super) fn stream(&self) -> Option<&Rc<PdfStream>> {
        if let Self::Stream(stream) = self { Some(stream) } else { None }
    }

    pub(super) fn is_word(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(word) if **word == *wanted)
    }
}
