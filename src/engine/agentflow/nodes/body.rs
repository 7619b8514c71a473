//! Bodies of HTTP requests: what the author wrote, read when the flow is loaded, with places for values.

use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::super::values::text_of;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::mustache::{Dialect, FieldTemplates, JsonTemplate, Mustache, Names};
use crate::engine::text::percent::pairs;
use crate::engine::text::size::bytes_of_json;
use crate::predict::chat_id;
use crate::wire::json::read_str;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// See the module.
#[derive(Debug)]
pub(super) enum BodyTemplate {
    None,
    Json(JsonTemplate),
    /// A raw text that is JSON, of the type that the author's header says.
    RawJson(JsonTemplate),
    /// A form, as a list, or as JSON.
    Form(FieldTemplates),
    JsonForm(JsonTemplate),
    Multipart(FieldTemplates),
    /// A text, and its type where the author says none.
    Raw(Mustache, Raw, Option<&'static str>),
}

/// What kind of text a raw body is: values are written in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    Text,
    /// All of it is the author's, or all of it is one value. Told to be JSON, it is sent as JSON.
    Whole,
    WholeJson,
    Form,
    Markup,
}

impl BodyTemplate {
    /// `None`: it cannot be read, which is told to the inputs.
    pub(super) fn read(
        kind: Option<&str>,
        headers: &[(HeaderName, Mustache)],
        inputs: &mut Inputs<'_, '_, '_>,
    ) -> Option<Self> {
        let Some(written) = inputs.value("body") else { return Some(Self::None) };
        Some(match kind {
            None => Self::None,
            Some("json") => Self::Json(inputs.json_template("body")?),
            Some("xWwwFormUrlencoded") if written.is_array() => Self::Form(inputs.fields("body")?),
            Some("xWwwFormUrlencoded") => Self::JsonForm(inputs.json_template("body")?),
            Some("formData") => Self::Multipart(inputs.fields("body")?),
            Some("raw") => raw(&text_of(&written), headers, inputs)?,
            Some(_) => {
                inputs.refuse("bodyType", "expected json, raw, formData or xWwwFormUrlencoded");
                return None;
            }
        })
    }

    /// Its type where the author says none.
    pub(super) fn usual_type(&self) -> Option<HeaderValue> {
        let kind = match self {
            Self::RawJson(_) => JSON,
            // As Flowise's client does it.
            Self::Raw(_, _, kind) => kind.unwrap_or(FORM),
            _ => return None,
        };
        Some(HeaderValue::from_static(kind))
    }

    /// Its type, where that is not the author's, and its bytes.
    pub(super) fn filled(&self, names: &dyn Names) -> Result<(Option<HeaderValue>, String), String> {
        let form = |pairs: String| (Some(HeaderValue::from_static(FORM)), pairs);
        Ok(match self {
            Self::None => (None, String::new()),
            Self::Json(json) => (Some(HeaderValue::from_static(JSON)), self::json(json, names)?.to_string()),
            Self::RawJson(json) => (None, self::json(json, names)?.to_string()),
            Self::Form(fields) => form(pairs(&fields.filled(names))),
            Self::JsonForm(json) => form(match self::json(json, names)? {
                Value::Object(fields) => {
                    let field = |(name, value): (String, Value)| (name, text_of(&value));
                    pairs(&fields.into_iter().map(field).collect::<Vec<_>>())
                }
                list => pairs(&FieldTemplates::read(&list, None).filled(names)),
            }),
            Self::Multipart(fields) => multipart(&fields.filled(names)),
            Self::Raw(text, Raw::Form, _) => (None, text.form(names)),
            Self::Raw(text, Raw::Markup, _) => (None, text.markup(names)),
            Self::Raw(text, Raw::WholeJson, _) => (None, as_json(text.text(names), names)),
            Self::Raw(text, Raw::Text | Raw::Whole, _) => (None, text.text(names)),
        })
    }
}

/// Where all of a body is one value, it is one that is JSON.
fn json(json: &JsonTemplate, names: &dyn Names) -> Result<Value, String> {
    match json.value(names)? {
        Value::String(_) if json.mustache().is_some() => Err("Invalid JSON format in body".to_owned()),
        value => Ok(value),
    }
}

/// A text as Flowise's client sends what is told to be JSON: as it is if it is some, and else as a text in JSON.
fn as_json(text: String, names: &dyn Names) -> String {
    let has_room = names.has_room(bytes_of_json(text.as_bytes()));
    if has_room && read_str::<Value>(&text).is_ok() { text.trim().to_owned() } else { Value::from(text).to_string() }
}

/// A text whose values are written as its place wants them: as the author's header says, or as it looks where that says
/// nothing. Without references it goes as Flowise sends it.
fn raw(text: &str, headers: &[(HeaderName, Mustache)], inputs: &mut Inputs<'_, '_, '_>) -> Option<BodyTemplate> {
    let kind = headers.iter().find(|(name, _)| *name == CONTENT_TYPE);
    let kind = kind.map(|(_, kind)| kind.written().to_ascii_lowercase());
    let says = |part: &str| kind.as_ref().is_some_and(|kind| kind.contains(part));
    if inputs.is_settled("body") {
        // Another flow may have filled in any part of it.
        let is_text = kind.as_ref().is_none_or(|kind| kind.starts_with(TEXT));
        return (is_text || !inputs.refuse_settled("body"))
            .then(|| BodyTemplate::Raw(Mustache::plain(text), Raw::Whole, Some(TEXT)));
    }
    let template = inputs.mustache_in("body", text);
    let (is_fixed, is_alone) = (template.fixed().is_some(), template.alone().is_some());
    if is_fixed || is_alone {
        let whole = if says(JSON) { Raw::WholeJson } else { Raw::Whole };
        return Some(BodyTemplate::Raw(template, whole, is_alone.then_some(TEXT)));
    }
    if says("json") {
        return inputs.json_template("body").map(BodyTemplate::RawJson);
    }
    let looks_like_markup = kind.is_none() && text.trim().starts_with('<') && text.trim().ends_with('>');
    if says("xml") || says("html") || looks_like_markup {
        return Some(BodyTemplate::Raw(template, Raw::Markup, Some(TEXT)));
    }
    if says("urlencoded") {
        return Some(BodyTemplate::Raw(template, Raw::Form, None));
    }
    let looks_like_json = text.trim_start().starts_with(['{', '[', '"']);
    if let Some(json) = looks_like_json.then(|| JsonTemplate::parse(text, Dialect::Agentflow).ok()).flatten() {
        return Some(BodyTemplate::RawJson(json));
    }
    if kind.is_none() && template.looks_like_form() {
        return Some(BodyTemplate::Raw(template, Raw::Form, None));
    }
    Some(BodyTemplate::Raw(template, Raw::Text, Some(TEXT)))
}

fn multipart(pairs: &[(String, String)]) -> (Option<HeaderValue>, String) {
    let boundary = format!("flowgate-{}", chat_id::random().unwrap_or_default());
    let mut body = String::new();
    for (key, value) in pairs {
        let key = key.replace(['"', '\r', '\n'], "_");
        let _ = write!(body, "--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n");
    }
    let _ = write!(body, "--{boundary}--\r\n");
    (HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}")).ok(), body)
}
