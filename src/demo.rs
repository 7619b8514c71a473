//! The responder behind `flowgate demo`: answers in Flowise's shapes without any model.
//!
//! It says what it is and repeats the question; nothing in it pretends to understand.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde_json::json;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::predict::chat_id;
use crate::predict::events::{END, error_and_end, record};
use crate::predict::report::{Ending, StreamReport, StreamSlot};
use crate::predict::request::Prediction;
use crate::wire::body::{Body, BodyError};

/// Between two tokens, so that a stream looks like one.
const PACE: Duration = Duration::from_millis(40);

/// The answer to a checked prediction.
pub(crate) fn answer(prediction: &Prediction, report: &StreamSlot, cut: &CancellationToken) -> Response<Body> {
    let fields: serde_json::Value = serde_json::from_slice(&prediction.body).unwrap_or_default();
    let question = fields.get("question").and_then(serde_json::Value::as_str).unwrap_or_default();
    let text = format!(
        "This is flowgate's demo responder, not a model. Your key was accepted, your request was checked, and this \
         answer took the same path as one from Flowise. You asked: {question}"
    );
    let message_id = chat_id::random().unwrap_or_default();
    if prediction.streaming {
        return stream(&text, &message_id, question, prediction, report, cut);
    }
    let body = json!({
        "text": text,
        "question": question,
        "chatId": prediction.ids.chat.client,
        "chatMessageId": message_id,
        "isStreamValid": false,
        "sessionId": prediction.ids.session.as_ref().unwrap_or(&prediction.ids.chat).client,
    });
    let mut response = Response::new(Body::Full(Bytes::from(body.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn stream(
    text: &str,
    message_id: &str,
    question: &str,
    prediction: &Prediction,
    report: &StreamSlot,
    cut: &CancellationToken,
) -> Response<Body> {
    let mut records = vec![record("start", &"".into())];
    records.extend(text.split_inclusive(' ').map(|word| record("token", &word.into())));
    let metadata = json!({
        "chatId": prediction.ids.chat.client,
        "chatMessageId": message_id,
        "question": question,
        "sessionId": prediction.ids.session.as_ref().unwrap_or(&prediction.ids.chat).client,
    });
    records.push(record("metadata", &metadata));
    records.push(END.to_owned());
    let body = Records {
        left: records.into_iter(),
        pace: Box::pin(tokio::time::sleep(Duration::ZERO)),
        report: report.begin(),
        cut: cut.clone(),
        is_over: false,
    };
    let mut response = Response::new(Body::streamed(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Records that are sent one by one.
struct Records {
    left: std::vec::IntoIter<String>,
    pace: Pin<Box<Sleep>>,
    report: Rc<StreamReport>,
    cut: CancellationToken,
    is_over: bool,
}

impl HttpBody for Records {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        std::task::ready!(this.pace.as_mut().poll(cx));
        let record = if this.cut.is_cancelled() {
            this.is_over = true;
            this.report.ending.set(Some(Ending::Drained));
            error_and_end("The gateway is shutting down.")
        } else {
            let Some(record) = this.left.next() else { return Poll::Ready(None) };
            if this.left.len() == 0 {
                this.is_over = true;
                this.report.ending.set(Some(Ending::Done));
            }
            record
        };
        this.report.events.set(this.report.events.get() + 1);
        this.pace.as_mut().reset(tokio::time::Instant::now() + PACE);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(record)))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
