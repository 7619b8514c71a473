//! Files that are read here.

use super::{FormReader, FormSink, FormUse, TextLimit, TextPart};
use crate::wire::refusal::Refusal;

/// Bytes that are looked at together: no more of a body is copied twice.
const PIECE: usize = 64 * 1024;

/// A file of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CollectedFile {
    /// As Flowise would store it.
    pub(crate) name: String,
    /// As Flowise calls it.
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// A whole form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CollectedForm {
    pub(crate) files: Vec<CollectedFile>,
    /// The files' bytes are asked for in place of their text.
    pub(crate) wants_bytes: bool,
    /// Of a form that fills a vector store.
    pub(crate) chat: Option<String>,
    /// The same: the node that is filled.
    pub(crate) stop_node: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Collector {
    reader: FormReader,
    form: CollectedForm,
}

impl Collector {
    /// As [`Rewriter::new`](super::Rewriter::new).
    pub(crate) fn new(content_type: &str, chat: String, limit: TextLimit) -> Result<Self, Refusal> {
        Self::of(content_type, FormUse::Attachments(chat), limit)
    }

    /// Of a form that fills a vector store.
    pub(crate) fn of_upsert(content_type: &str, limit: TextLimit) -> Result<Self, Refusal> {
        Self::of(content_type, FormUse::Upsert, limit)
    }

    fn of(content_type: &str, usage: FormUse, limit: TextLimit) -> Result<Self, Refusal> {
        Ok(Self { reader: FormReader::new(content_type, usage, limit)?, form: CollectedForm::default() })
    }

    /// What is in a whole body.
    pub(crate) fn collect(mut self, body: &[u8]) -> Result<CollectedForm, Refusal> {
        for piece in body.chunks(PIECE) {
            self.reader.feed(piece, &mut self.form)?;
        }
        self.reader.finish()?;
        Ok(self.form)
    }
}

impl FormSink for CollectedForm {
    fn wants_bytes(&mut self) {
        self.wants_bytes = true;
    }

    fn file(&mut self, name: &str, media_type: &'static str) {
        self.files.push(CollectedFile { name: name.to_owned(), media_type, bytes: Vec::new() });
    }

    fn content(&mut self, content: &[u8]) {
        if let Some(file) = self.files.last_mut() {
            file.bytes.extend_from_slice(content);
        }
    }

    fn text(&mut self, part: TextPart, text: &str) {
        let place = match part {
            TextPart::Chat => &mut self.chat,
            TextPart::StopNode => &mut self.stop_node,
        };
        *place = Some(text.to_owned());
    }
}
