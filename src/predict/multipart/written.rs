//! Files on their way to Flowise: each part's head is made here, with a boundary of ours.

use bytes::{Bytes, BytesMut};

use super::{BASE64_PART, FormReader, FormSink, FormUse, PART, TextLimit};
use crate::wire::refusal::Refusal;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rewriter {
    pub(super) form: FormReader,
    ours: String,
    /// Something has gone on, and what comes next begins a line.
    has_begun: bool,
}

impl Rewriter {
    /// `content_type`: the client's; `ours`: a boundary that stands in no file by chance; `chat`: as
    /// the path has it.
    pub(crate) fn new(content_type: &str, ours: String, chat: String, limit: TextLimit) -> Result<Self, Refusal> {
        Ok(Self { form: FormReader::new(content_type, FormUse::Attachments(chat), limit)?, ours, has_begun: false })
    }

    /// The `Content-Type` that goes with what comes out.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.ours)
    }

    /// Takes the next piece; what may go on now.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Bytes, Refusal> {
        let mut parts = WrittenParts { ours: &self.ours, has_begun: &mut self.has_begun, out: BytesMut::new() };
        self.form.feed(piece, &mut parts)?;
        Ok(parts.out.freeze())
    }

    /// The client's body has ended; the last bytes.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Refusal> {
        self.form.finish()?;
        Ok(format!("\r\n--{}--\r\n", self.ours).into())
    }
}

struct WrittenParts<'a> {
    ours: &'a str,
    has_begun: &'a mut bool,
    out: BytesMut,
}

impl WrittenParts<'_> {
    fn begin(&mut self, text: &str) {
        let line_end = if std::mem::replace(self.has_begun, true) { "\r\n" } else { "" };
        for part in [line_end, "--", self.ours, "\r\n", text] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }
}

impl FormSink for WrittenParts<'_> {
    fn wants_bytes(&mut self) {
        self.begin(&format!("Content-Disposition: form-data; name=\"{BASE64_PART}\"\r\n\r\ntrue"));
    }

    fn file(&mut self, name: &str, media_type: &'static str) {
        self.begin(&format!(
            "Content-Disposition: form-data; name=\"{PART}\"; filename=\"{name}\"\r\n\
             Content-Type: {media_type}\r\n\r\n"
        ));
    }

    fn content(&mut self, content: &[u8]) {
        self.out.extend_from_slice(content);
    }
}
