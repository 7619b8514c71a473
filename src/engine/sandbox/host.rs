//! What a script's context may ask of its host: a few functions that take and give texts. None of them keeps a value of
//! the script's.

#![expect(clippy::needless_pass_by_value, reason = "a script's values come to functions by value")]

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::{hmac, rand};
use rquickjs::{ArrayBuffer, Ctx, Exception, Function, Object, Result};
use tokio::sync::mpsc;

use super::meter::Meter;
use super::sources::{is_builtin, source};
use super::{ScriptError, ScriptEvent, ScriptJob, ScriptQuestion, ScriptValue};

/// Questions of one script.
const MOST_QUESTIONS: u32 = 200;
/// Lines on the console, and bytes of one.
const MOST_LINES: u32 = 100;
const LONGEST_LINE: usize = 2000;
/// Bytes that a script may give.
const MOST_OUTPUT: usize = 4 << 20;
/// Bytes of randomness at once.
const MOST_RANDOM: usize = 64 << 10;

/// One script's side of the host.
#[derive(Debug)]
pub(super) struct Host {
    told: mpsc::UnboundedSender<ScriptEvent>,
    modules: Arc<[Box<str>]>,
    /// Bytes that may be on their way to be sent.
    room: usize,
    questions: Cell<u32>,
    /// Questions without an answer, and what they send.
    open: RefCell<Vec<(u32, usize)>>,
    lines: Cell<u32>,
    meter: Rc<Meter>,
    settled: RefCell<Option<std::result::Result<ScriptValue, ScriptError>>>,
}

impl Host {
    pub(super) fn new(told: mpsc::UnboundedSender<ScriptEvent>, job: &ScriptJob, meter: Rc<Meter>) -> Self {
        let (questions, open, lines, settled) = Default::default();
        let (modules, room) = (Arc::clone(&job.modules), job.bounds.memory);
        Self { told, modules, room, questions, open, lines, meter, settled }
    }

    /// Whether the script waits for an answer.
    pub(super) fn is_asking(&self) -> bool {
        !self.open.borrow().is_empty()
    }

    pub(super) fn answered(&self, id: u32) {
        self.open.borrow_mut().retain(|(open, _)| *open != id);
    }

    pub(super) fn has_settled(&self) -> bool {
        self.settled.borrow().is_some()
    }

    /// What came of the script, once.
    pub(super) fn take_settled(&self) -> Option<std::result::Result<ScriptValue, ScriptError>> {
        self.settled.borrow_mut().take()
    }

    /// Ends the script with what went wrong in the shims.
    pub(super) fn fail(&self, words: String) {
        self.settle("error", words);
    }

    fn allows(&self, name: &str) -> bool {
        is_builtin(name) || self.modules.iter().any(|module| **module == *name)
    }

    fn ask(&self, ctx: &Ctx<'_>, question: ScriptQuestion) -> Result<u32> {
        let id = self.questions.get();
        if id >= MOST_QUESTIONS {
            return Err(Exception::throw_range(ctx, "too many requests of one script"));
        }
        let size = question.body.len() + question.head.len();
        let mut open = self.open.borrow_mut();
        if open.iter().map(|(_, size)| size).sum::<usize>() + size > self.room {
            return Err(Exception::throw_range(ctx, "too much is being sent at once"));
        }
        self.questions.set(id + 1);
        open.push((id, size));
        let _ = self.told.send(ScriptEvent::Asks { id, question });
        Ok(id)
    }

    fn say(&self, level: String, mut text: String) {
        let lines = self.lines.get();
        if lines < MOST_LINES {
            self.lines.set(lines + 1);
            text.truncate(text.floor_char_boundary(LONGEST_LINE));
            let _ = self.told.send(ScriptEvent::Says { level, text });
        }
    }

    /// The first counts.
    fn settle(&self, kind: &str, text: String) {
        let result = match kind {
            "error" => Err(ScriptError::Thrown(cut(text, LONGEST_LINE))),
            _ if text.len() > MOST_OUTPUT => Err(ScriptError::Output),
            "text" => Ok(ScriptValue::Text(text)),
            "json" => Ok(ScriptValue::Json(text)),
            _ => Ok(ScriptValue::Nothing),
        };
        self.settled.borrow_mut().get_or_insert(result);
    }

    /// As an object of a context.
    pub(super) fn object<'js>(self: &Rc<Self>, ctx: &Ctx<'js>) -> Result<Object<'js>> {
        let object = Object::new(ctx.clone())?;
        let own = Rc::clone(self);
        let ask = move |ctx: Ctx<'_>, kind: String, head: String, body: Option<String>, is_binary: bool| {
            let body = body.unwrap_or_default();
            let body = if is_binary { bytes_of(&body) } else { body.into_bytes() };
            own.ask(&ctx, ScriptQuestion { kind, head, body })
        };
        object.set("ask", Function::new(ctx.clone(), ask)?)?;
        let own = Rc::clone(self);
        object.set("log", Function::new(ctx.clone(), move |level: String, text: String| own.say(level, text))?)?;
        let own = Rc::clone(self);
        object.set("settle", Function::new(ctx.clone(), move |kind: String, text: String| own.settle(&kind, text))?)?;
        let own = Rc::clone(self);
        object.set("allows", Function::new(ctx.clone(), move |name: String| own.allows(&name))?)?;
        let own = Rc::clone(self);
        object.set("over", Function::new(ctx.clone(), move || own.meter.must_stop())?)?;
        object.set("load", Function::new(ctx.clone(), load)?)?;
        object.set("encode", Function::new(ctx.clone(), encode)?)?;
        object.set("decode", Function::new(ctx.clone(), decode)?)?;
        object.set("random", Function::new(ctx.clone(), random)?)?;
        object.set("zone", Function::new(ctx.clone(), zone)?)?;
        object.set("digest", Function::new(ctx.clone(), digested)?)?;
        Ok(object)
    }
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// A shim, as a function. Only names that are known lead to code.
fn load(ctx: Ctx<'_>, name: String) -> Result<Function<'_>> {
    match source(&name) {
        Some(source) => ctx.eval(source),
        None => Err(Exception::throw_message(&ctx, "there is no such module")),
    }
}

fn encode(ctx: Ctx<'_>, text: String) -> Result<ArrayBuffer<'_>> {
    ArrayBuffer::new_copy(ctx, text.as_bytes())
}

fn decode(letters: String) -> String {
    String::from_utf8_lossy(&bytes_of(&letters)).into_owned()
}

/// Hexadecimal digits of so many random bytes.
fn random(ctx: Ctx<'_>, size: usize) -> Result<String> {
    let mut bytes = vec![0; size.min(MOST_RANDOM)];
    rand::fill(&mut bytes).map_err(|_| Exception::throw_message(&ctx, "no randomness"))?;
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

/// Seconds east of UTC of a zone at a time in milliseconds; `None`: there is no such zone.
fn zone(name: String, time: f64) -> Option<i32> {
    #[expect(clippy::cast_possible_truncation, reason = "no date is as far away")]
    let time = jiff::Timestamp::from_millisecond(time as i64).ok()?;
    let zone =
        if name.eq_ignore_ascii_case("utc") { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::get(&name).ok()? };
    Some(zone.to_offset(time).seconds())
}

/// Of letters up to U+00FF, as such letters.
fn digested(ctx: Ctx<'_>, name: String, key: Option<String>, data: String) -> Result<String> {
    let data = bytes_of(&data);
    let unknown = || Exception::throw_message(&ctx, "Digest method not supported");
    if let Some(key) = key {
        let algorithm = match &*name {
            "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => hmac::HMAC_SHA256,
            "sha384" => hmac::HMAC_SHA384,
            "sha512" => hmac::HMAC_SHA512,
            _ => return Err(unknown()),
        };
        return Ok(letters_of(hmac::sign(&hmac::Key::new(algorithm, &bytes_of(&key)), &data).as_ref()));
    }
    let algorithm = match &*name {
        "md5" => return Ok(letters_of(&md5::compute(&data).0)),
        "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &SHA256,
        "sha384" => &SHA384,
        "sha512" => &SHA512,
        _ => return Err(unknown()),
    };
    Ok(letters_of(digest(algorithm, &data).as_ref()))
}

fn bytes_of(letters: &str) -> Vec<u8> {
    letters.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

fn letters_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
