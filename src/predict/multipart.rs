//! Files in `multipart/form-data` (RFC 7578; framing: RFC 2046, section 5.1), checked as they go by.
//!
//! Pieces come in and pieces go out, to Flowise ([`Rewriter`]) or to whoever reads them here ([`Collector`]); of a file no
//! more than its beginning is held, until its kind is known. Nobody believes names and media types (CVE-2026-30821): what
//! goes on is what was found out.

mod collected;
mod head;
mod written;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;

pub(crate) use self::collected::{CollectedFile, Collector};
use self::head::{FormPart, parameter, read_head};
pub(crate) use self::written::Rewriter;
use super::file_name;
use super::files::{TELLING, check_file};
use super::json::shown;
use super::runs::{ByteRuns, LetterRunLimit, LongRun};
use crate::wire::refusal::{Refusal, Rule};

/// Bytes of a part's head, of what stands before the first part, and of what stands behind the last.
const LONGEST_HEAD: usize = 4096;
/// Files in one body.
const MOST_FILES: u32 = 10;
/// The part that Flowise takes.
const PART: &str = "files";
/// A part that asks for the files' bytes in place of their text.
const BASE64_PART: &str = "base64";
/// Bytes of what a part of text holds.
const LONGEST_TEXT: usize = 255;

/// Whoever is told what a form holds, in its order.
trait FormSink {
    /// The files' bytes are asked for in place of their text.
    fn wants_bytes(&mut self);
    /// A file begins; its name and type are as Flowise would store them.
    fn file(&mut self, name: &str, media_type: &'static str);
    /// More of the last file.
    fn content(&mut self, content: &[u8]);
    /// What a part of text says.
    fn text(&mut self, _part: TextPart, _text: &str) {}
}

/// A part that is no file, in a form that fills a vector store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextPart {
    Chat,
    /// The node that is filled.
    StopNode,
}

/// What a form is for.
#[derive(Debug)]
enum FormUse {
    /// Files for this chat, as the path has it.
    Attachments(String),
    /// Passages for a vector store.
    Upsert,
}

/// See the module.
#[derive(Debug)]
struct FormReader {
    /// What ends a part: line end, dashes, the client's boundary.
    delimiter: Vec<u8>,
    usage: FormUse,
    held: BytesMut,
    state: FormState,
    files: u32,
    /// Parts of text that were there.
    texts: Vec<TextPart>,
    /// Whether the bytes are asked for.
    base64: Option<bool>,
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
enum FormState {
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
    Text(TextPart),
    Base64,
    /// Behind the last part; bytes so far.
    Epilogue(usize),
}

impl FormReader {
    /// `content_type`: the client's.
    fn new(content_type: &str, usage: FormUse, limit: TextLimit) -> Result<Self, Refusal> {
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
            usage,
            held,
            state: FormState::Preamble(0),
            files: 0,
            texts: Vec::new(),
            base64: None,
            limit,
            runs: None,
            spent: 0,
        })
    }

    /// Takes the next piece, and tells what is in it.
    fn feed(&mut self, piece: &[u8], sink: &mut impl FormSink) -> Result<(), Refusal> {
        self.held.extend_from_slice(piece);
        while self.step(sink)? {}
        Ok(())
    }

    /// The client's body has ended.
    fn finish(&self) -> Result<(), Refusal> {
        match self.state {
            FormState::Epilogue(_) if self.files > 0 => Ok(()),
            FormState::Epilogue(_) => Err(malformed("The body holds no file.")),
            _ => Err(malformed("The body ends in the middle of a part.")),
        }
    }

    /// Whether there was something to do.
    fn step(&mut self, sink: &mut impl FormSink) -> Result<bool, Refusal> {
        match &self.state {
            FormState::Preamble(seen) => self.preamble(*seen),
            FormState::Between => self.between(),
            FormState::Head => self.head(),
            FormState::Telling { .. } => self.telling(sink),
            FormState::Content => self.content(sink),
            FormState::Text(part) => self.text(*part, sink),
            FormState::Base64 => self.base64(sink),
            FormState::Epilogue(seen) => {
                let seen = seen + self.held.len();
                self.held.clear();
                self.state = FormState::Epilogue(seen);
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
        self.state = if is_found { FormState::Between } else { FormState::Preamble(seen + skipped) };
        if seen + skipped > LONGEST_HEAD + self.delimiter.len() {
            return Err(malformed("Too much stands before the first part."));
        }
        Ok(is_found)
    }

    fn between(&mut self) -> Result<bool, Refusal> {
        let Some(two) = self.held.get(..2) else { return Ok(false) };
        self.state = match two {
            b"--" => FormState::Epilogue(0),
            b"\r\n" => FormState::Head,
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
            FormPart::Chat => self.text_part(TextPart::Chat)?,
            FormPart::StopNode if matches!(self.usage, FormUse::Upsert) => self.text_part(TextPart::StopNode)?,
            FormPart::StopNode => return Err(head::unknown_part()),
            FormPart::Base64 if self.base64.is_some() => return Err(malformed("The body says base64 twice.")),
            FormPart::Base64 => FormState::Base64,
            FormPart::File { .. } if self.files == MOST_FILES => {
                return Err(malformed("The body holds more than 10 files."));
            }
            FormPart::File { name, media_type } => {
                self.files += 1;
                FormState::Telling { name, media_type }
            }
        };
        Ok(true)
    }

    fn text_part(&mut self, part: TextPart) -> Result<FormState, Refusal> {
        if self.texts.contains(&part) {
            return Err(malformed("The body names the chat or the node twice."));
        }
        self.texts.push(part);
        Ok(FormState::Text(part))
    }

    /// Tells what a part says. The chat is compared with the one in the path, if that has one, and does not go on.
    fn text(&mut self, part: TextPart, sink: &mut impl FormSink) -> Result<bool, Refusal> {
        let is_own = matches!(self.usage, FormUse::Upsert);
        let too_long = || if is_own { malformed("A part of text is too long.") } else { other_chat() };
        let Some(text) = self.short_part(too_long)? else { return Ok(false) };
        match &self.usage {
            FormUse::Attachments(chat) if text != chat.as_bytes() => return Err(other_chat()),
            FormUse::Attachments(_) => {}
            FormUse::Upsert => match std::str::from_utf8(&text) {
                Ok(text) if text.len() <= LONGEST_TEXT => sink.text(part, text),
                _ => return Err(too_long()),
            },
        }
        Ok(true)
    }

    /// Flowise takes any word for a yes.
    fn base64(&mut self, sink: &mut impl FormSink) -> Result<bool, Refusal> {
        let ill_formed = || malformed("The part base64 must be true or false.");
        let Some(word) = self.short_part(ill_formed)? else { return Ok(false) };
        let is_asked = match &*word {
            b"true" | b"1" => true,
            b"false" | b"0" | b"" => false,
            _ => return Err(ill_formed()),
        };
        self.base64 = Some(is_asked);
        if is_asked {
            sink.wants_bytes();
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
        self.state = FormState::Between;
        Ok(Some(part))
    }

    /// Holds a file's beginning until it tells its kind.
    fn telling(&mut self, sink: &mut impl FormSink) -> Result<bool, Refusal> {
        let end = memmem::find(&self.held, &self.delimiter);
        let safe = self.held.len().saturating_sub(self.delimiter.len() - 1);
        let beginning = match end {
            Some(end) => end.min(TELLING),
            None if safe >= TELLING => TELLING,
            None => return Ok(false),
        };
        let FormState::Telling { name, media_type } = std::mem::replace(&mut self.state, FormState::Content) else {
            return Ok(false);
        };
        let content = self.held.get(..beginning).unwrap_or_default();
        let refused = |sentence: &str| Rule::UploadKind.refuse(format!("{sentence} (file {})", shown(&name)));
        let stored = file_name::cleaned(&name).map_err(|sentence| refused(&sentence))?;
        let kind = check_file(&stored, &media_type, content).map_err(refused)?;
        self.runs = kind.is_text().then(|| ByteRuns::new(self.limit.runs, self.spent));
        sink.file(&stored, kind.media_type(&media_type));
        Ok(true)
    }

    fn content(&mut self, sink: &mut impl FormSink) -> Result<bool, Refusal> {
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
        sink.content(&content);
        if end.is_some() {
            self.held.advance(self.delimiter.len());
            self.state = FormState::Between;
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
