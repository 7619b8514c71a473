//! One line per request, written at its end: when the last byte is handed over, or the client is gone.
//!
//! No secrets, no bodies, no query. Written by hand into the worker's buffer, because it happens on every request.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use http::{Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::context::{Call, Context};
use super::environment::Environment;
use super::explanation;
use crate::config::LogFormat;
use crate::predict::report::Ending;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::traces::TraceScope;
use crate::unprintable::escaped;
use crate::wire::decimal::decimal;
use crate::wire::watched::{BodyWatch, Watched};

/// What nginx calls a request whose client left before the answer's head.
pub(super) const CLIENT_GONE: u16 = 499;

#[derive(Clone)]
pub(crate) struct AccessLogLayer(Rc<Environment>);

impl AccessLogLayer {
    pub(crate) fn new(environment: Rc<Environment>) -> Self {
        Self(environment)
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogged<S>;

    fn layer(&self, inner: S) -> AccessLogged<S> {
        AccessLogged { log: self.0.access_log.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct AccessLogged<S> {
    log: AccessLog,
    inner: S,
}

impl<S, B> Service<Call> for AccessLogged<S>
where
    S: Service<Call, Response = Response<B>, Error = Infallible>,
    B: Body<Data = bytes::Bytes>,
{
    type Response = Response<Watched<B, Line>>;
    type Error = Infallible;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let line = call.context.snapshot.config.log.access.then(|| LogEntry {
            log: self.log.clone(),
            context: Rc::clone(&call.context),
            status: CLIENT_GONE,
            bytes: 0,
            end: "client_gone",
        });
        AccessLogFuture { inner: self.inner.call(call), line: Some(Line(line)) }
    }
}

pin_project! {
    /// Holds the line until there is a body to move it into.
    pub(crate) struct AccessLogFuture<F> {
        #[pin]
        inner: F,
        line: Option<Line>,
    }
}

impl<F, B> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = bytes::Bytes>,
{
    type Output = Result<Response<Watched<B, Line>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(cx));
        let mut line = this.line.take().unwrap_or(Line::NONE);
        if let Some(entry) = &mut line.0 {
            entry.status = entry.context.status(response.status());
        }
        Poll::Ready(Ok(response.map(|body| Watched::new(body, line))))
    }
}

/// A line that writes itself when dropped; empty when the access log is off.
pub(crate) struct Line(Option<LogEntry>);

impl Line {
    pub(super) const NONE: Self = Self(None);
}

struct LogEntry {
    log: AccessLog,
    context: Rc<Context>,
    status: u16,
    bytes: u64,
    end: &'static str,
}

impl BodyWatch for Line {
    fn data(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.0 {
            entry.bytes += bytes as u64;
        }
    }

    fn ended(&mut self, complete: bool) {
        if let Some(entry) = &mut self.0 {
            entry.end = if complete { "complete" } else { "broken" };
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            let format = entry.context.snapshot.config.log.format;
            entry.log.line(|text| {
                // Writing to a Vec cannot fail.
                let _ = match format {
                    LogFormat::Json => entry.json(text),
                    LogFormat::Text => entry.text(text),
                };
            });
        }
    }
}

impl LogEntry {
    fn json(&self, text: &mut Vec<u8>) -> std::io::Result<()> {
        let context = &*self.context;
        text.extend_from_slice(br#"{"timestamp":""#);
        self.log.timestamp(text);
        text.extend_from_slice(br#"","level":"INFO","message":"request","request_id":""#);
        text.extend_from_slice(context.request_id.as_bytes());
        if let Some(trace) = context.trace_scope().and_then(TraceScope::sampled_trace) {
            text.extend_from_slice(br#"","trace_id":""#);
            text.extend_from_slice(trace.as_bytes());
        }
        text.extend_from_slice(br#"","client":""#);
        text.extend_from_slice(context.client_text.as_bytes());
        text.extend_from_slice(br#"","method":"#);
        quote(text, context.method.as_str());
        text.extend_from_slice(br#","path":"#);
        if let Some(path) = context.path.get() {
            quote(text, path);
        } else {
            let [literal, name] = context.plain_path().unwrap_or_default();
            text.push(b'"');
            text.extend_from_slice(literal.as_bytes());
            text.extend_from_slice(name.as_bytes());
            text.push(b'"');
        }
        for (before, value) in [
            (&br#","protocol":""#[..], self.protocol()),
            (br#"","route":""#, context.route_label().0),
            (br#"","chatflow":""#, context.chatflow_label()),
            (br#"","key":""#, context.key_label()),
        ] {
            text.extend_from_slice(before);
            text.extend_from_slice(value.as_bytes());
        }
        text.extend_from_slice(br#"","status":"#);
        decimal(text, u64::from(self.status), 1);
        text.extend_from_slice(br#","bytes":"#);
        decimal(text, self.bytes, 1);
        text.extend_from_slice(br#","duration_ms":"#);
        milliseconds(text, context.duration());
        if let Some(waited) = context.waited.get() {
            text.extend_from_slice(br#","waited_ms":"#);
            milliseconds(text, waited);
        }
        if let Some(first_byte) = context.first_byte.get() {
            text.extend_from_slice(br#","upstream_ms":"#);
            milliseconds(text, first_byte);
        }
        if let Some(refusal) = context.refusal.get() {
            write!(text, r#","code":"{}""#, refusal.code().name())?;
            if let Some(rule) = refusal.rule() {
                write!(text, r#","rule":"{}""#, rule.name())?;
            }
        }
        explanation::each(context, |name, value| {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            quote(text, value);
        });
        if let Some(report) = context.stream.get() {
            write!(text, r#","events":{}"#, report.events.get())?;
        }
        self.models(text);
        text.extend_from_slice(br#","end":""#);
        text.extend_from_slice(self.end().as_bytes());
        text.extend_from_slice(b"\"}\n");
        Ok(())
    }

    /// Of the models that the engine asked, if it did.
    fn models(&self, text: &mut Vec<u8>) {
        let report = self.context.models.get();
        let Some((report, model)) = report.and_then(|report| Some((report, report.model.get()?))) else { return };
        text.extend_from_slice(br#","model":"#);
        quote(text, model);
        for (before, value) in [
            (&br#","model_calls":"#[..], &report.calls),
            (br#","tokens_in":"#, &report.tokens_in),
            (br#","tokens_out":"#, &report.tokens_out),
        ] {
            text.extend_from_slice(before);
            decimal(text, value.get(), 1);
        }
        if let Some(first_token) = report.first_token.get() {
            text.extend_from_slice(br#","first_token_ms":"#);
            milliseconds(text, *first_token);
        }
    }

    fn text(&self, text: &mut Vec<u8>) -> std::io::Result<()> {
        let context = &*self.context;
        let path = match context.path.get() {
            Some(path) => path.escape_debug().collect(),
            None => context.plain_path().unwrap_or_default().concat(),
        };
        self.log.timestamp(text);
        write!(
            text,
            " INFO request {} {} {path} {} client={} chatflow={} key={} bytes={} duration_ms=",
            context.request_id.to_str().unwrap_or_default(),
            context.method,
            self.status,
            context.client,
            context.chatflow_label(),
            context.key_label(),
            self.bytes,
        )?;
        milliseconds(text, context.duration());
        write!(text, " end={}", self.end())?;
        if let Some(refusal) = context.refusal.get() {
            write!(text, " code={}", refusal.code().name())?;
        }
        explanation::each(context, |name, value| {
            // Writing to a Vec cannot fail.
            let _ = write!(text, " {name}={value:?}");
        });
        if let Some(report) = context.models.get().filter(|report| report.calls.get() > 0) {
            write!(text, " tokens_in={} tokens_out={}", report.tokens_in.get(), report.tokens_out.get())?;
        }
        if let Some(trace) = context.trace_scope().and_then(TraceScope::sampled_trace) {
            write!(text, " trace_id={trace}")?;
        }
        writeln!(text)
    }

    fn protocol(&self) -> &'static str {
        match self.context.version {
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_11 => "HTTP/1.1",
            _ => "HTTP/1.0",
        }
    }

    /// A stream says itself how it ended.
    fn end(&self) -> &'static str {
        let ending = self.context.stream.get().and_then(|report| report.ending.get());
        ending.map_or(self.end, Ending::name)
    }
}

/// With three decimals, in whole numbers: formatting a float takes five times as long.
fn milliseconds(text: &mut Vec<u8>, time: Duration) {
    decimal(text, time.as_secs().saturating_mul(1000) + u64::from(time.subsec_millis()), 1);
    text.push(b'.');
    decimal(text, u64::from(time.subsec_micros() % 1000), 3);
}

/// A JSON string; what a client sends may hold anything.
fn quote(text: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        text.push(b'"');
        text.extend_from_slice(value.as_bytes());
        text.push(b'"');
    } else {
        text.extend_from_slice(escaped(serde_json::to_string(value).unwrap_or_default()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn what_clients_send_is_one_text_that_moves_no_cursor() {
        for value in ["", "/api/v1", "a\"b\\c", "\u{9b}31m\u{202e}\u{7f}\n", "Grüße 😀", "\u{e0041}"] {
            let mut text = Vec::new();
            quote(&mut text, value);
            assert_eq!(serde_json::from_slice::<String>(&text).unwrap(), value);
            let text = String::from_utf8(text).unwrap();
            assert!(!text.chars().any(crate::unprintable::is_unprintable), "{text}");
        }
    }
}
