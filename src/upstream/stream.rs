//! An event stream on its way from Flowise to a client.
//!
//! Bytes pass as they come, one frame for each read: nothing is buffered, merged or compressed. Only an `error`
//! record is held until it is whole, as soon as it shows that it is one, because Flowise puts addresses and ids into
//! some. A stream that breaks off ends in an `error` event and `end`.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::abort::AbortGuard;
use super::failures::FailureScrubber;
use crate::client::ResponseBody;
use crate::predict::events::{
    ErrorAt, RecordScanner, error, error_and_end, error_text, speech_error, speech_error_text,
};
use crate::predict::report::{Ending, StreamReport};
use crate::predict::stream::EventSource;
use crate::redact::{Redactor, Sentence};

/// An `error` record longer than this is replaced by a general one.
const LONGEST_HELD: usize = 64 * 1024;

/// What an event stream needs of its surroundings.
pub(crate) struct StreamContext {
    pub(crate) report: Rc<StreamReport>,
    pub(crate) abort: Option<AbortGuard>,
    pub(crate) refused: KeyRefused,
    pub(crate) redactor: Arc<Redactor>,
    /// It is no answer but one read out.
    pub(crate) is_speech: bool,
}

/// Whom to tell that Flowise refuses the gateway's key.
pub(crate) struct KeyRefused {
    pub(crate) errors: prometheus::IntCounterVec,
    pub(crate) upstream: Arc<str>,
    pub(crate) chatflow: Box<str>,
}

impl KeyRefused {
    pub(crate) const SENTENCE: &str = "The chatflow's server refused the gateway.";

    pub(crate) fn tell(&self) {
        self.errors.with_label_values(&[&*self.upstream, "unauthorized"]).inc();
        tracing::error!(
            upstream = &*self.upstream,
            chatflow = &*self.chatflow,
            "Flowise refuses the gateway's key: check api_key of this chatflow or upstream"
        );
    }
}

/// See the module.
pub(crate) struct EventStream {
    incoming: ResponseBody,
    /// A piece read before the head was sent.
    first: Option<Bytes>,
    /// Of tools and steps; nothing is told of these in a speech.
    failures: Option<FailureScrubber>,
    scanner: RecordScanner,
    held: BytesMut,
    /// Part of the record that is held has been passed on.
    is_torn: bool,
    /// Bytes of `held` that have been passed on.
    passed: usize,
    report: Rc<StreamReport>,
    abort: Option<AbortGuard>,
    refused: KeyRefused,
    redactor: Arc<Redactor>,
    is_speech: bool,
    is_over: bool,
}

impl EventStream {
    pub(crate) fn new(incoming: ResponseBody, first: Option<Bytes>, context: StreamContext) -> Self {
        let StreamContext { report, abort, refused, redactor, is_speech } = context;
        Self {
            incoming,
            first,
            failures: (!is_speech).then(|| FailureScrubber::of_stream(Arc::clone(&redactor))),
            scanner: if is_speech { RecordScanner::of_speech() } else { RecordScanner::default() },
            held: BytesMut::new(),
            is_torn: false,
            passed: 0,
            report,
            abort,
            refused,
            redactor,
            is_speech,
            is_over: false,
        }
    }

    /// A piece from the upstream; what of it goes on now.
    fn take(&mut self, piece: Bytes) -> Option<Bytes> {
        let piece = match &mut self.failures {
            Some(failures) => failures.take(piece),
            None => piece,
        };
        let error_at = self.scanner.scan(&piece);
        self.report.events.set(self.scanner.events);
        self.report.see(&piece);
        if self.held.is_empty() {
            let at = match error_at {
                None => return Some(piece),
                Some(ErrorAt::Piece(at)) => at,
                Some(ErrorAt::Line(at)) => {
                    self.is_torn = true;
                    at
                }
                Some(ErrorAt::Earlier(start)) => {
                    self.is_torn = true;
                    self.passed = start.len();
                    self.held.extend_from_slice(&start);
                    0
                }
            };
            self.held.extend_from_slice(piece.get(at..).unwrap_or_default());
            let before = piece.slice(..at);
            return match (before.is_empty(), self.release()) {
                (false, None) => Some(before),
                (false, Some(after)) => Some([before, after].concat().into()),
                (true, after) => after,
            };
        }
        self.held.extend_from_slice(&piece);
        self.release()
    }

    /// What is held, cleaned, once it is whole.
    fn release(&mut self) -> Option<Bytes> {
        if self.scanner.is_between_records() {
            let clean = clean(&self.held.split(), &self.redactor, &self.report, &|| self.refused.tell());
            self.is_torn = false;
            let passed = std::mem::take(&mut self.passed).min(clean.len());
            return Some(clean.slice(passed..));
        }
        if self.held.len() > LONGEST_HELD {
            return Some(self.break_off(Ending::ErrorEvent, "The chatflow failed."));
        }
        None
    }

    /// The upstream's body is at its end.
    fn upstream_ended(&mut self) -> Option<Bytes> {
        if !self.scanner.saw_end {
            return Some(self.break_off(Ending::Truncated, "The answer broke off."));
        }
        self.is_over = true;
        self.report.ending.set(Some(if self.scanner.saw_error { Ending::ErrorEvent } else { Ending::Done }));
        if let Some(abort) = &mut self.abort {
            abort.disarm();
        }
        None
    }
}

impl EventSource for EventStream {
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.take(first).unwrap_or_default()));
        }
        Poll::Ready(match ready!(self.incoming.poll_data(cx)) {
            Some(Ok(data)) => Some(self.take(data).unwrap_or_default()),
            Some(Err(_)) if !self.scanner.saw_end => Some(self.break_off(Ending::Truncated, "The answer broke off.")),
            Some(Err(_)) | None => self.upstream_ended(),
        })
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn is_between_records(&self) -> bool {
        self.scanner.is_between_records()
    }

    fn break_off(&mut self, ending: Ending, message: &str) -> Bytes {
        self.is_over = true;
        self.report.ending.set(Some(ending));
        self.report.failed(message);
        // A cut-off record would swallow the error; this ends it.
        let mut text = String::new();
        if !self.scanner.is_between_records() && (self.held.is_empty() || self.is_torn) {
            text.push_str("\n\n");
        }
        if self.is_speech {
            for part in ["event: tts_error\ndata: ", &speech_error(message), "\n\n"] {
                text.push_str(part);
            }
        } else {
            text.push_str(&error_and_end(message));
        }
        if ending == Ending::Truncated
            && let Some(abort) = &mut self.abort
        {
            // Whatever ran there went down with the connection.
            abort.disarm();
        }
        Bytes::from(text)
    }
}

/// Errors made anew from their cleaned text; everything else as it is, and so is all that comes before an error's text.
fn clean(records: &[u8], redactor: &Redactor, report: &StreamReport, key_refused: &dyn Fn()) -> Bytes {
    let mut clean = Vec::with_capacity(records.len());
    for line in records.split_inclusive(|byte| *byte == b'\n') {
        let (start, json) = line.split_at(memchr::memchr(b'{', line).unwrap_or(line.len()));
        let text = error_text(line).map(|text| {
            if is_unauthorized(&text) {
                key_refused();
                return Sentence::own(KeyRefused::SENTENCE);
            }
            redactor.sentence(&text)
        });
        // What cannot be read cannot be cleaned.
        let unread = || json.starts_with(b"{\"event\":\"error\"").then(Sentence::failed);
        let is_speech = json.starts_with(b"{\"event\":\"tts_error\"");
        let sentence = if is_speech {
            let text = speech_error_text(line).map(|text| redactor.sentence(&text));
            Some(text.unwrap_or(Sentence::own("The speech failed.")))
        } else {
            text.or_else(unread)
        };
        match sentence {
            Some(sentence) => {
                let record = if is_speech { speech_error(sentence.as_str()) } else { error(sentence.as_str()) };
                report.failed(sentence.as_str());
                clean.extend_from_slice(start);
                clean.extend_from_slice(record.as_bytes());
                clean.push(b'\n');
            }
            None => clean.extend_from_slice(line),
        }
    }
    clean.into()
}

/// Whether that is Flowise saying that *our* key is wrong.
pub(crate) fn is_unauthorized(message: &str) -> bool {
    message.trim_end().ends_with("- Unauthorized") || message.trim() == "Unauthorized"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::events::record;

    #[test]
    fn only_error_records_are_made_anew() {
        let token = record("token", &"http://x/y".into());
        let error = record("error", &"connect ECONNREFUSED 127.0.0.1:1".into());
        let redactor = Redactor::default();
        let cleaned = clean(format!("{token}{error}").as_bytes(), &redactor, &StreamReport::default(), &|| {});
        let expected = format!("{token}{}", record("error", &"connect ECONNREFUSED [address]".into()));
        assert_eq!(cleaned, expected);
        let broken = clean(
            b"message:\ndata: {\"event\":\"error\",\"data\":http://x/y}\n\n",
            &redactor,
            &StreamReport::default(),
            &|| {},
        );
        assert_eq!(broken, "message:\ndata: {\"event\":\"error\",\"data\":\"The chatflow failed.\"}\n\n");
    }
}
