//! Files on their way to Flowise, in `multipart/form-data` (RFC 7578; framing: RFC 2046, section 5.1), checked as they
//! go by and written anew.
//!
//! Pieces come in and pieces go out; of a file no more than its beginning is held, until its kind is known. Flowise
//! believes names and media types (CVE-2026-30821), so what goes on is what was read: each part's head is made here,
//! with a boundary of ours.

mod head;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;

use self::head::{FormPart, parameter, read_head};
use super::file_name;
use super::files::check_file;
use super::json::shown;
use super::runs::{ByteRuns, LetterRunLimit, LongRun};
use crate::wire::refusal::{Refusal, Rule};

/// Bytes of a part's head, of what stands before the first part, and of what stands behind the last.
const LONGEST_HEAD: usize = 4096;
/// Bytes of a file by which its kind is known.
const TELLING: usize = 8192;
/// Files in one body.
const MOST_FILES: u32 = 10;
/// The part that Flowise takes.
const PART: &str = "files";
/// A part that asks for the files' bytes in place of their text.
const BASE64_PART: &str = "base64";

/// See the module.
#[derive(Debug)]
pub(crate) struct Rewriter {
    /// What ends a part: line end, dashes, the client's boundary.
    delimiter: Vec<u8>,
    ours: String,
    /// What the path calls the chat.
    chat: String,
    held: BytesMut,
    state: RewriteState,
    files: u32,
    has_chat: bool,
    /// Whether the bytes are asked for.
    base64: Option<bool>,
    /// Something has gone on, and what comes next begins a line.
    has_begun: bool,
    limit: TextLimit,
    /// Of the file that goes by, if it is a text.
    runs: Option<ByteRuns>,
    /// What long words have cost so far.
    spent: u64,
}

/// What bounds the words of files that are texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextLimit {
    most: usize,
    runs: LetterRunLimit,
}

impl TextLimit {
    /// `most`: a chatflow's `max_word_chars`.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, runs: LetterRunLimit::new(most) }
    }
}

#[derive(Debug)]
enum RewriteState {
    /// Before the first delimiter; bytes so far.
    Preamble(usize),
    /// Behind a delimiter: another part, or the end.
    Between,
    Head,
    /// The beginning of a file, until its kind is known.
    Telling {
        name: String,
        media_type: String,
    },
    Content,
    Chat,
    Base64,
    /// Behind the last part; bytes so far.
    Epilogue(usize),
}

impl Rewriter {
    /// `content_type`: the client's; `ours`: a boundary that stands in no file by chance; `chat`: as
    /// the path has it.
    pub(crate) fn new(content_type: &str, ours: String, chat: String, limit: TextLimit) -> Result<Self, Refusal> {
        let boundary = parameter(content_type, "boundary").ok_or_else(|| malformed("The body names no boundary."))?;
        let is_bchar = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        if !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(is_bchar) || boundary.ends_with(' ') {
            return Err(malformed("The boundary of the body is none."));
        }
        // As if a line had ended before: then the first delimiter is like all others.
        let held = BytesMut::from(&b"\r\n"[..]);
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Ok(Self {
            delimiter,
            ours,
            chat,
            held,
            state: RewriteState::Preamble(0),
            files: 0,
            has_chat: false,
            base64: None,
            has_begun: false,
            limit,
            runs: None,
            spent: 0,
        })
    }

    /// The `Content-Type` that goes with what comes out.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.ours)
    }

    /// Takes the next piece; what may go on now.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Bytes, Refusal> {
        self.held.extend_from_slice(piece);
        let mut out = BytesMut::new();
        while self.step(&mut out)? {}
        Ok(out.freeze())
    }

    /// The client's body has ended; the last bytes.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Refusal> {
        match self.state {
            RewriteState::Epilogue(_) if self.files > 0 => Ok(format!("\r\n--{}--\r\n", self.ours).into()),
            RewriteState::Epilogue(_) => Err(malformed("The body holds no file.")),
            _ => Err(malformed("The body ends in the middle of a part.")),
        }
    }

    /// Whether there was something to do.
    fn step(&mut self, out: &mut BytesMut) -> Result<bool, Refusal> {
        match &self.state {
            RewriteState::Preamble(seen) => self.preamble(*seen),
            RewriteState::Between => self.between(),
            RewriteState::Head => self.head(),
            RewriteState::Telling { .. } => self.telling(out),
            RewriteState::Content => self.content(out),
            RewriteState::Chat => self.chat(),
            RewriteState::Base64 => self.base64(out),
            RewriteState::Epilogue(seen) => {
                let seen = seen + self.held.len();
                self.held.clear();
                self.state = RewriteState::Epilogue(seen);
                if seen > LONGEST_HEAD { Err(malformed("Too much stands behind the last part.")) } else { Ok(false) }
            }
        }
    }

    fn preamble(&mut self, seen: usize) -> Result<bool, Refusal> {
        let (skipped, is_found) = match memmem::find(&self.held, &self.delimiter) {
            Some(at) => (at + self.delimiter.len(), true),
            None => (self.held.len().saturating_sub(self.delimiter.len() - 1), false),
        };
        self.held.advance(skipped);
        self.state = if is_found { RewriteState::Between } else { RewriteState::Preamble(seen + skipped) };
        if seen + skipped > LONGEST_HEAD + self.delimiter.len() {
            return Err(malformed("Too much stands before the first part."));
        }
        Ok(is_found)
    }

    fn between(&mut self) -> Result<bool, Refusal> {
        let Some(two) = self.held.get(..2) else { return Ok(false) };
        self.state = match two {
            b"--" => RewriteState::Epilogue(0),
            b"\r\n" => RewriteState::Head,
            _ => return Err(malformed("A delimiter is followed by something else than a part.")),
        };
        self.held.advance(2);
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, Refusal> {
        let Some(end) = memmem::find(&self.held, b"\r\n\r\n").map(|at| at + 4) else {
            return if self.held.len() > LONGEST_HEAD {
                Err(malformed("A part's head is too long."))
            } else {
                Ok(false)
            };
        };
        if end > LONGEST_HEAD {
            return Err(malformed("A part's head is too long."));
        }
        let head = self.held.split_to(end);
        self.state = match read_head(&head)? {
            FormPart::Chat if self.has_chat => return Err(malformed("The body names the chat twice.")),
            FormPart::Chat => {
                self.has_chat = true;
                RewriteState::Chat
            }
            FormPart::Base64 if self.base64.is_some() => return Err(malformed("The body says base64 twice.")),
            FormPart::Base64 => RewriteState::Base64,
            FormPart::File { .. } if self.files == MOST_FILES => {
                return Err(malformed("The body holds more than 10 files."));
            }
            FormPart::File { name, media_type } => {
                self.files += 1;
                RewriteState::Telling { name, media_type }
            }
        };
        Ok(true)
    }

    /// Compares the chat with the one in the path; it does not go on.
    fn chat(&mut self) -> Result<bool, Refusal> {
        let Some(chat) = self.short_part(other_chat)? else { return Ok(false) };
        if chat != self.chat.as_bytes() {
            return Err(other_chat());
        }
        Ok(true)
    }

    /// Flowise takes any word for a yes.
    fn base64(&mut self, out: &mut BytesMut) -> Result<bool, Refusal> {
        let ill_formed = || malformed("The part base64 must be true or false.");
        let Some(word) = self.short_part(ill_formed)? else { return Ok(false) };
        let is_asked = match &*word {
            b"true" | b"1" => true,
            b"false" | b"0" | b"" => false,
            _ => return Err(ill_formed()),
        };
        self.base64 = Some(is_asked);
        if is_asked {
            self.begin_part(out, &format!("Content-Disposition: form-data; name=\"{BASE64_PART}\"\r\n\r\ntrue"));
        }
        Ok(true)
    }

    /// A whole part of few bytes.
    fn short_part(&mut self, too_long: impl Fn() -> Refusal) -> Result<Option<BytesMut>, Refusal> {
        let Some(end) = memmem::find(&self.held, &self.delimiter) else {
            return if self.held.len() > LONGEST_HEAD { Err(too_long()) } else { Ok(None) };
        };
        let part = self.held.split_to(end);
        self.held.advance(self.delimiter.len());
        self.state = RewriteState::Between;
        Ok(Some(part))
    }

    fn begin_part(&mut self, out: &mut BytesMut, text: &str) {
        let line_end = if std::mem::replace(&mut self.has_begun, true) { "\r\n" } else { "" };
        for part in [line_end, "--", &self.ours, "\r\n", text] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Holds a file's beginning until it tells its kind.
    fn telling(&mut self, out: &mut BytesMut) -> Result<bool, Refusal> {
        let end = memmem::find(&self.held, &self.delimiter);
        let safe = self.held.len().saturating_sub(self.delimiter.len() - 1);
        let beginning = match end {
            Some(end) => end.min(TELLING),
            None if safe >= TELLING => TELLING,
            None => return Ok(false),
        };
        let RewriteState::Telling { name, media_type } = std::mem::replace(&mut self.state, RewriteState::Content)
        else {
            return Ok(false);
        };
        let content = self.held.get(..beginning).unwrap_or_default();
        let refused = |sentence: &str| Rule::UploadKind.refuse(format!("{sentence} (file {})", shown(&name)));
        let stored = file_name::cleaned(&name).map_err(|sentence| refused(&sentence))?;
        let kind = check_file(&stored, &media_type, content).map_err(refused)?;
        self.runs = kind.is_text().then(|| ByteRuns::new(self.limit.runs, self.spent));
        let head = format!(
            "Content-Disposition: form-data; name=\"{PART}\"; filename=\"{stored}\"\r\n\
             Content-Type: {}\r\n\r\n",
            kind.media_type(&media_type)
        );
        self.begin_part(out, &head);
        Ok(true)
    }

    fn content(&mut self, out: &mut BytesMut) -> Result<bool, Refusal> {
        let end = memmem::find(&self.held, &self.delimiter);
        // The rest may be the beginning of a delimiter.
        let safe = end.unwrap_or_else(|| self.held.len().saturating_sub(self.delimiter.len() - 1));
        let content = self.held.split_to(safe);
        if let Some(runs) = &mut self.runs {
            // Its text goes into prompts.
            let most = self.limit.most;
            let refused = |run: LongRun| {
                let message = format!("A file holds {} (max_word_chars).", run.described(most));
                Rule::WordLength.refuse(message)
            };
            runs.push(&content).map_err(refused)?;
            if end.is_some() {
                self.spent = runs.end().map_err(refused)?;
            }
        }
        out.extend_from_slice(&content);
        if end.is_some() {
            self.held.advance(self.delimiter.len());
            self.state = RewriteState::Between;
        }
        Ok(end.is_some())
    }
}

fn other_chat() -> Refusal {
    Rule::AmbiguousField.refuse("The chat in the body is not the one in the path.")
}

fn malformed(sentence: &'static str) -> Refusal {
    Rule::Multipart.refuse(sentence)
}

#[cfg(test)]
mod tests;
