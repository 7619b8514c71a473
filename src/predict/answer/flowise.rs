//! Flowise's own shape.

use std::borrow::Cow;
use std::io::Write as _;

use serde_json::Value;

use super::event::{AnswerEvent, AnswerValue};
use super::event_name::EventName;
use super::fields::AnswerFields;
use super::output::AnswerOutput;
use super::renderer::Renderer;
use crate::predict::events::{error_and_end, write_record};

/// See the module.
#[derive(Debug)]
pub(super) struct FlowiseRenderer;

impl Renderer for FlowiseRenderer {
    fn event(&mut self, event: &AnswerEvent<'_>, out: &mut Vec<u8>) {
        let AnswerEvent { name, data } = event;
        if *name == EventName::Thought {
            // The end of it, with the seconds that it took.
            out.extend_from_slice(b"message:\ndata:{\"event\":\"thinking\",\"data\":\"\",\"duration\":");
            out.extend_from_slice(data.to_text().as_bytes());
            out.extend_from_slice(b"}\n\n");
            return;
        }
        write_record(out, name.as_str(), data, data.length());
    }

    fn whole(&self, answer: AnswerFields<'_>, out: &mut AnswerOutput) -> serde_json::Result<()> {
        out.reserve(answer.length());
        let mut before: &[u8] = b"{";
        for (name, data) in answer.into_fields() {
            write(out, std::mem::replace(&mut before, b","))?;
            serde_json::to_writer(&mut *out, &name)?;
            write(out, b":")?;
            match data {
                // Each goes as soon as it is written.
                AnswerValue::Value(Cow::Owned(Value::Array(items))) if !items.is_empty() => {
                    let mut before: &[u8] = b"[";
                    for item in items {
                        write(out, std::mem::replace(&mut before, b","))?;
                        serde_json::to_writer(&mut *out, &item)?;
                    }
                    write(out, b"]")?;
                }
                data => serde_json::to_writer(&mut *out, &data)?,
            }
        }
        write(out, if before == b"{" { b"{}" } else { b"}" })
    }

    fn failure(&self, sentence: &str, _code: &str) -> String {
        error_and_end(sentence)
    }

    /// Without these a stream would not end visibly.
    fn needs(&self, event: EventName) -> bool {
        matches!(event, EventName::Error | EventName::End)
    }
}

fn write(out: &mut AnswerOutput, bytes: &[u8]) -> serde_json::Result<()> {
    out.write_all(bytes).map_err(serde_json::Error::io)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_written_as_values_are() {
        for value in [json!({}), json!({ "a": [], "b": [1, [2]], "c": { "d": "\"" }, "e": null, "f": "x" })] {
            let mut fields = AnswerFields::default();
            value.as_object().unwrap().iter().for_each(|(name, field)| fields.set(name.clone(), field.clone()));
            let mut out = AnswerOutput::new(Vec::new());
            FlowiseRenderer.whole(fields, &mut out).unwrap();
            assert_eq!(out.done(), value.to_string());
        }
    }
}
