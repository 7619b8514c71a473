//! Failures that an answer tells beside its text: of tools that were called, and of an agentflow's steps.
//!
//! The answer may be a success otherwise, in one piece or as a stream. Flowise puts into it what a tool threw, with
//! stacks, addresses and keys. Such words become a sentence, like those of any other failure; what a tool honestly gave
//! does not, and everything else passes as it comes. Nothing gets longer or shorter, since the length may have been told
//! already: behind a sentence there are spaces.

mod place;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use self::place::{OpenString, Places, TELLING};
use crate::redact::{Redactor, Sentence};
use crate::wire::json;

/// Bytes of a failure's words that are waited for.
const LONGEST_HELD: usize = 64 * 1024;
/// What a tool gives is no failure if it is longer than this.
const LONGEST_GIVEN: usize = 8 * 1024;
/// Bytes of what a tool gives that show whether it begins as failures do.
const BEGINNING: usize = 80;
/// Without one of these names there is no failure.
static FAILED: LazyLock<[memmem::Finder<'static>; 2]> =
    LazyLock::new(|| ["\"error\"", "\"toolOutput\""].map(memmem::Finder::new));
/// What a line of a stream begins with that has a record in it.
const DATA: &[u8] = b"data:";

/// See the module.
pub(super) struct FailureScrubber {
    redactor: Arc<Redactor>,
    is_stream: bool,
    line: LinePlace,
    places: Places,
    string: Option<OpenString>,
    /// The next byte of the string stands for itself.
    is_escaped: bool,
    held: Vec<u8>,
}

/// Where in a line the next byte stands; an answer in one piece is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinePlace {
    /// Behind so many bytes of `data:`.
    Start(usize),
    Json,
    /// Nothing is told in the rest of it.
    Rest,
}

/// What goes on of a piece.
struct ShownPiece<'p> {
    piece: &'p Bytes,
    /// What comes before has gone, or is held.
    from: usize,
    made: Vec<u8>,
}

impl ShownPiece<'_> {
    fn pass(&mut self, to: usize) {
        self.made.extend_from_slice(self.piece.get(self.from..to).unwrap_or_default());
        self.from = to;
    }
}

impl FailureScrubber {
    pub(super) fn of_answer(redactor: Arc<Redactor>) -> Self {
        Self::new(redactor, false)
    }

    /// All of an answer, looked through only if there may be failures in it.
    pub(super) fn whole(redactor: &Arc<Redactor>, answer: Bytes) -> Bytes {
        if FAILED.iter().all(|name| name.find(&answer).is_none()) {
            return answer;
        }
        let mut scrubber = Self::of_answer(Arc::clone(redactor));
        let shown = scrubber.take(answer);
        if scrubber.is_empty() { shown } else { [shown, scrubber.end()].concat().into() }
    }

    pub(super) fn of_stream(redactor: Arc<Redactor>) -> Self {
        Self::new(redactor, true)
    }

    fn new(redactor: Arc<Redactor>, is_stream: bool) -> Self {
        Self {
            redactor,
            is_stream,
            line: if is_stream { LinePlace::Start(0) } else { LinePlace::Json },
            places: Places::new(is_stream),
            string: None,
            is_escaped: false,
            held: Vec::new(),
        }
    }

    /// What of a piece goes on now: all of it, but for words that have not ended.
    pub(super) fn take(&mut self, piece: Bytes) -> Bytes {
        let mut shown = ShownPiece { piece: &piece, from: 0, made: Vec::new() };
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            at += match (self.line, self.string) {
                (LinePlace::Start(seen), _) => self.begin_line(rest, seen),
                (LinePlace::Rest, _) => self.skip_line(rest),
                (LinePlace::Json, Some(string)) => self.read_string(string, rest, at, &mut shown),
                (LinePlace::Json, None) => self.read_mark(rest, at, &mut shown),
            };
        }
        if shown.from == 0 && shown.made.is_empty() {
            return piece;
        }
        shown.pass(piece.len());
        shown.made.into()
    }

    /// What is still held where nothing follows: words without an end.
    pub(super) fn end(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        match self.string.take() {
            Some(OpenString::Failure) => fitted(&Sentence::failed(), held.len()).into(),
            _ => held.into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Of the bytes that follow `seen` ones of `data:`.
    fn begin_line(&mut self, rest: &[u8], seen: usize) -> usize {
        let wanted = DATA.get(seen..).unwrap_or_default();
        let same = rest.iter().zip(wanted).take_while(|(byte, wanted)| byte == wanted).count();
        if same == wanted.len() {
            // Most events are tokens.
            self.line = if tells(rest.get(same..).unwrap_or_default()) { LinePlace::Json } else { LinePlace::Rest };
            self.places.begin();
        } else if same == rest.len() {
            self.line = LinePlace::Start(seen + same);
        } else {
            self.line = LinePlace::Rest;
        }
        same
    }

    fn skip_line(&mut self, rest: &[u8]) -> usize {
        let Some(end) = memchr::memchr(b'\n', rest) else { return rest.len() };
        self.line = LinePlace::Start(0);
        end + 1
    }

    /// A byte outside of strings.
    fn read_mark(&mut self, rest: &[u8], at: usize, shown: &mut ShownPiece<'_>) -> usize {
        match rest.first() {
            Some(b'"') => {
                let string = self.places.begin_string();
                self.string = Some(string);
                if matches!(string, OpenString::Failure | OpenString::Given) {
                    shown.pass(at);
                    shown.from = at + 1;
                    self.held.push(b'"');
                }
            }
            Some(b'\n') if self.is_stream => self.line = LinePlace::Start(0),
            Some(byte) => self.places.mark(*byte),
            None => {}
        }
        1
    }

    fn read_string(&mut self, string: OpenString, rest: &[u8], at: usize, shown: &mut ShownPiece<'_>) -> usize {
        let (length, is_ended) = self.string_end(rest);
        let part = rest.get(..length).unwrap_or_default();
        self.string = if is_ended { None } else { Some(string) };
        match string {
            OpenString::Passing => {}
            OpenString::Name => {
                self.places.name(part.strip_suffix(b"\"").unwrap_or(part));
                if is_ended && !self.places.end_name() && self.is_stream {
                    self.line = LinePlace::Rest;
                }
            }
            OpenString::Blank => {
                shown.made.resize(shown.made.len() + length, b' ');
                shown.from = at + length;
            }
            OpenString::Failure | OpenString::Given => {
                self.held.extend_from_slice(part);
                shown.from = at + length;
                if is_ended {
                    shown.made.extend_from_slice(&self.told(string));
                } else {
                    self.let_go(string, shown);
                }
            }
        }
        length
    }

    /// Bytes up to the end of the string, and whether that has come.
    fn string_end(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = usize::from(std::mem::take(&mut self.is_escaped));
        while let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr3(b'"', b'\\', b'\n', rest)) {
            match rest.get(at + found) {
                Some(b'"') => return (at + found + 1, true),
                // A record ends with its line, whatever is open in it.
                Some(b'\n') if self.is_stream => return (at + found, true),
                Some(b'\n') => at += found + 1,
                _ => at += found + 2,
            }
        }
        self.is_escaped = at > rest.len();
        (rest.len(), false)
    }

    /// Holds no more than need be of a string that goes on.
    fn let_go(&mut self, string: OpenString, shown: &mut ShownPiece<'_>) {
        let is_long = |longest: usize| self.held.len() > longest;
        let given = || String::from_utf8_lossy(self.held.get(1..BEGINNING).unwrap_or_default());
        if string == OpenString::Failure && is_long(LONGEST_HELD) {
            shown.made.extend_from_slice(&fitted(&Sentence::failed(), self.held.len()));
            self.string = Some(OpenString::Blank);
        } else if string == OpenString::Given
            && (is_long(LONGEST_GIVEN) || (is_long(BEGINNING) && !begins_as_failure(&given())))
        {
            shown.made.extend_from_slice(&self.held);
            self.string = Some(OpenString::Passing);
        } else {
            return;
        }
        self.held = Vec::new();
    }

    /// A string that was held, as it goes on.
    fn told(&mut self, string: OpenString) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let words = json::read::<String>(&held);
        let sentence = match &words {
            Ok(words) if words.trim().is_empty() => return held,
            Ok(words) if string == OpenString::Given && !is_failure(words) => return held,
            Ok(words) => self.redactor.sentence(words),
            Err(_) if string == OpenString::Given => return held,
            Err(_) => Sentence::failed(),
        };
        if words.is_ok_and(|words| words == sentence.as_str()) { held } else { fitted(&sentence, held.len()) }
    }
}

/// Whether a record may tell failures, as far as its beginning shows that.
fn tells(record: &[u8]) -> bool {
    let record = record.strip_prefix(b" ").unwrap_or(record);
    let name = record.strip_prefix(b"{\"event\":\"");
    let name = name.and_then(|name| name.get(..memchr::memchr(b'"', name)?));
    name.is_none_or(|name| TELLING.contains(&name))
}

/// Whether a tool gave the words of a failure, as some of Flowise's do that fail.
fn is_failure(given: &str) -> bool {
    given.len() <= LONGEST_GIVEN && begins_as_failure(given)
}

fn begins_as_failure(given: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let (kind, rest) = given.split_at(given.find(|c| !is_letter(c)).unwrap_or(given.len()));
    let is_named = (kind.ends_with("Error") || kind.ends_with("Exception")) && rest.starts_with(':');
    // "Error listing events: ...".
    let tells = (kind == "Error" && rest.starts_with(' ')) || given.starts_with("Failed to ");
    let line = given.lines().next().unwrap_or_default();
    let beginning = line.get(..line.floor_char_boundary(BEGINNING - 1)).unwrap_or_default();
    is_named || (tells && beginning.contains(": ")) || given.starts_with("Traceback (most recent call last)")
}

/// A sentence as JSON that takes just so much room, which is that of another string; what of it does not fit is missing.
fn fitted(sentence: &Sentence, room: usize) -> Vec<u8> {
    let mut words = sentence.as_str();
    let mut json = Value::from(words).to_string();
    while json.len() > room {
        let over = (json.len() - room).min(words.len());
        words = words.get(..words.floor_char_boundary(words.len() - over)).unwrap_or_default();
        json = Value::from(words).to_string();
    }
    let mut json = json.into_bytes();
    json.resize(room.max(json.len()), b' ');
    json
}

#[cfg(test)]
mod tests;
