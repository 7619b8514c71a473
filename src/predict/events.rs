//! Flowise's event stream: how events are written, and a scanner that reads along without holding anything up.
//!
//! Grammar (Flowise 3.1.4): a record is `message:` LF `data:{"event":NAME,"data":VALUE}` LF LF, a comment is
//! `:heartbeat` LF LF, the last record is `end`.

mod records;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use records::{RecordAction, Records, data_of};

use crate::wire::json;

/// Sent after a silence, so that middleboxes keep the connection; event-stream parsers skip comments.
pub(crate) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The record that ends every stream.
pub(crate) const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

/// One record.
#[cfg(test)]
pub(crate) fn record(event: &str, data: &serde_json::Value) -> String {
    let mut text = Vec::new();
    write_record(&mut text, event, data, 0);
    String::from_utf8(text).unwrap()
}

/// Puts a record behind others; `around`: about how long its data is, since a text that grows is copied, and for a moment
/// twice as large.
pub(crate) fn write_record(out: &mut Vec<u8>, event: &str, data: &impl Serialize, around: usize) {
    out.reserve(40 + event.len() + around);
    for part in ["message:\ndata:{\"event\":\"", event, "\",\"data\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    // Neither values nor writing them to memory can fail.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"}\n\n");
}

/// The data of an `error` record.
pub(crate) fn error(message: &str) -> String {
    format!("{{\"event\":\"error\",\"data\":{}}}", serde_json::Value::from(message))
}

/// An error that the client shall see, and the end.
pub(crate) fn error_and_end(message: &str) -> String {
    format!("message:\ndata:{}\n\n{END}", error(message))
}

/// Bytes of a line that are looked at: enough for `data:{"event":"agentFlowExecutedData"`.
const LOOK: usize = 64;

/// Reads along with a stream, split anywhere.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a position in a stream")]
pub(crate) struct RecordScanner {
    line: [u8; LOOK],
    line_length: usize,
    record_has_data: bool,
    record_is_empty: bool,
    record: RecordKind,
    is_speech: bool,
    /// Complete records that carried data.
    pub(crate) events: u64,
    pub(crate) saw_end: bool,
    pub(crate) saw_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordKind {
    Other,
    End,
    Error,
}

impl Default for RecordScanner {
    fn default() -> Self {
        Self {
            line: [0; LOOK],
            line_length: 0,
            record_has_data: false,
            record_is_empty: true,
            record: RecordKind::Other,
            is_speech: false,
            events: 0,
            saw_end: false,
            saw_error: false,
        }
    }
}

/// Where an `error` record starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ErrorAt {
    /// At this place in the piece.
    Piece(usize),
    /// In an earlier piece, but its line of data at this place in this one.
    Line(usize),
    /// Its line of data in an earlier piece: these bytes of it.
    Earlier(Vec<u8>),
}

impl RecordScanner {
    /// For a stream of speech, which ends with `tts_end` or the like.
    pub(crate) fn of_speech() -> Self {
        Self { is_speech: true, ..Self::default() }
    }

    /// Takes the next piece; tells where the first `error` record that shows in it starts.
    pub(crate) fn scan(&mut self, piece: &[u8]) -> Option<ErrorAt> {
        let mut error_at = None;
        // Where the current record and line start in this piece; `None`: in an earlier one.
        let mut record_start = self.is_between_records().then_some(0);
        let mut line_start = (self.line_length == 0).then_some(0);
        let earlier = self.line_length;
        let mut rest = piece;
        while !rest.is_empty() {
            let line_end = memchr::memchr(b'\n', rest);
            let (line, after) = rest.split_at(line_end.map_or(rest.len(), |at| at + 1));
            self.take_line_part(line.strip_suffix(b"\n").unwrap_or(line));
            if self.record == RecordKind::Error && error_at.is_none() {
                error_at = Some(match (record_start, line_start) {
                    (Some(at), _) => ErrorAt::Piece(at),
                    (None, Some(at)) => ErrorAt::Line(at),
                    (None, None) => ErrorAt::Earlier(self.line.get(..earlier).unwrap_or_default().to_vec()),
                });
            }
            if line_end.is_some() {
                let next = piece.len() - after.len();
                line_start = Some(next);
                if self.end_line() {
                    record_start = Some(next);
                }
            }
            rest = after;
        }
        error_at
    }

    /// Whether a comment or a record of our own may be put in here.
    pub(crate) fn is_between_records(&self) -> bool {
        self.record_is_empty && self.line_length == 0
    }

    fn take_line_part(&mut self, part: &[u8]) {
        let room = self.line.get_mut(self.line_length.min(LOOK)..).unwrap_or_default();
        let taken = room.len().min(part.len());
        if let (Some(room), Some(part)) = (room.get_mut(..taken), part.get(..taken)) {
            room.copy_from_slice(part);
        }
        self.line_length += part.len();
        if taken > 0 {
            self.look_at_line();
        }
    }

    fn look_at_line(&mut self) {
        let seen = self.line.get(..self.line_length.min(LOOK)).unwrap_or_default();
        let Some(data) = seen.strip_prefix(b"data:") else { return };
        self.record_has_data = true;
        let data = data.strip_prefix(b" ").unwrap_or(data);
        if let Some(name) = data.strip_prefix(b"{\"event\":\"") {
            let is = |wanted: &[u8]| name.starts_with(wanted);
            if is(b"error\"") || is(b"tts_error\"") {
                self.record = RecordKind::Error;
            } else if is(b"end\"") || (self.is_speech && (is(b"tts_end\"") || is(b"tts_abort\""))) {
                self.record = RecordKind::End;
            }
        }
    }

    /// Whether that line ended a record.
    fn end_line(&mut self) -> bool {
        let is_blank = self.line_length == 0 || (self.line_length == 1 && self.line[0] == b'\r');
        self.line_length = 0;
        if !is_blank {
            self.record_is_empty = false;
            return false;
        }
        self.events += u64::from(self.record_has_data);
        self.saw_end |= self.record == RecordKind::End || (self.is_speech && self.record == RecordKind::Error);
        self.saw_error |= self.record == RecordKind::Error;
        self.record = RecordKind::Other;
        self.record_has_data = false;
        self.record_is_empty = true;
        true
    }
}

/// The data of a `tts_error` record.
pub(crate) fn speech_error(message: &str) -> String {
    format!("{{\"event\":\"tts_error\",\"data\":{{\"error\":{}}}}}", serde_json::Value::from(message))
}

/// The text of the first `error` record in `text`, if it holds one.
pub(crate) fn error_text(text: &[u8]) -> Option<String> {
    told(text, "error", |data| Some(data.as_str().map_or_else(|| data.to_string(), str::to_owned)))
}

/// The same of a `tts_error` record.
pub(crate) fn speech_error_text(text: &[u8]) -> Option<String> {
    told(text, "tts_error", |data| Some(data.get("error")?.as_str()?.to_owned()))
}

fn told(text: &[u8], event: &str, read: impl Fn(&serde_json::Value) -> Option<String>) -> Option<String> {
    text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:")).find_map(|json| {
        let value: serde_json::Value = json::read(json).ok()?;
        if value.get("event")?.as_str()? != event {
            return None;
        }
        read(value.get("data")?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> String {
        let mut text = String::from(":heartbeat\n\n");
        text.push_str(&record("start", &"".into()));
        text.push_str(&record("token", &"a \"end\" of data:{\"event\":\"end\"".into()));
        text.push_str(&record("token", &"x".repeat(500).into()));
        text.push_str(END);
        text
    }

    #[test]
    fn records_are_written_as_flowise_writes_them() {
        assert_eq!(record("token", &"a\nb".into()), "message:\ndata:{\"event\":\"token\",\"data\":\"a\\nb\"}\n\n");
        assert_eq!(error_text(error_and_end("no \"way\"").as_bytes()).as_deref(), Some("no \"way\""));
    }

    #[test]
    fn an_error_record_is_found_where_it_starts() {
        let before = record("start", &"".into());
        let text = before.clone() + &error_and_end("x");
        let mut scanner = RecordScanner::default();
        assert_eq!(scanner.scan(text.as_bytes()), Some(ErrorAt::Piece(before.len())));
        assert!(scanner.saw_error && scanner.saw_end);
    }

    #[test]
    fn an_error_record_is_found_wherever_it_is_split() {
        let text = error_and_end("x");
        let recognised = text.find("error\"").unwrap() + 6;
        let data = text.find("data:").unwrap();
        for split in 1..recognised {
            let mut scanner = RecordScanner::default();
            let (start, rest) = text.split_at(split);
            assert_eq!(scanner.scan(start.as_bytes()), None, "{split}");
            let expected = match split {
                _ if split < data => ErrorAt::Line(data - split),
                _ if split == data => ErrorAt::Line(0),
                _ => ErrorAt::Earlier(text[data..split].into()),
            };
            assert_eq!(scanner.scan(rest.as_bytes()), Some(expected), "{split}");
        }
    }

    proptest! {
        #[test]
        fn splits_change_nothing(cuts in prop::collection::vec(0..700_usize, 0..20)) {
            let text = stream();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut scanner = RecordScanner::default();
            for pair in cuts.windows(2) {
                scanner.scan(&text.as_bytes()[pair[0]..pair[1]]);
            }
            prop_assert_eq!(scanner.events, 4);
            prop_assert!(scanner.saw_end && !scanner.saw_error);
            prop_assert!(scanner.is_between_records());
        }
    }
}
