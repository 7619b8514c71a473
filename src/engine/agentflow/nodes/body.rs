//! Bodies of HTTP requests: what the author wrote, read when the flow is loaded, with places for values.

use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::super::values::shown as text_of;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::mustache::{Fields, JsonTemplate, Mustache, Names};
use crate::engine::text::percent::pairs;
use crate::predict::chat_id;

const FORM: &str = "application/x-www-form-urlencoded";

/// See the module.
#[derive(Debug)]
pub(super) enum Body {
    None,
    Json(JsonTemplate),
    /// Of the type that the author's header says.
    OtherJson(JsonTemplate),
    /// A form, as a list, or as JSON.
    Form(Fields),
    JsonForm(JsonTemplate),
    Multipart(Fields),
    Raw(Mustache, Raw),
}

/// What kind of text a raw body is: values are written in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    Text,
    Form,
    Markup,
}

impl Body {
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
        matches!(self, Self::Raw(..)).then(|| HeaderValue::from_static(FORM))
    }

    /// Its type, where that is not the author's, and its bytes.
    pub(super) fn filled(&self, names: &dyn Names) -> Result<(Option<HeaderValue>, String), String> {
        let form = |pairs: String| (Some(HeaderValue::from_static(FORM)), pairs);
        Ok(match self {
            Self::None => (None, String::new()),
            Self::Json(json) => {
                (Some(HeaderValue::from_static("application/json")), self::json(json, names)?.to_string())
            }
            Self::OtherJson(json) => (None, self::json(json, names)?.to_string()),
            Self::Form(fields) => form(pairs(&fields.filled(names))),
            Self::JsonForm(json) => form(match self::json(json, names)? {
                Value::Object(fields) => {
                    let field = |(name, value): (String, Value)| (name, text_of(&value));
                    pairs(&fields.into_iter().map(field).collect::<Vec<_>>())
                }
                list => pairs(&Fields::read(&list, None).filled(names)),
            }),
            Self::Multipart(fields) => multipart(&fields.filled(names)),
            Self::Raw(text, Raw::Form) => (None, text.form(names)),
            Self::Raw(text, Raw::Markup) => (None, text.markup(names)),
            Self::Raw(text, Raw::Text) => (None, text.text(names)),
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

/// A text that goes as it is, of the type that the author's header says; without one it is sent as a form.
fn raw(text: &str, headers: &[(HeaderName, Mustache)], inputs: &mut Inputs<'_, '_, '_>) -> Option<Body> {
    let kind = headers.iter().find(|(name, _)| *name == CONTENT_TYPE);
    let kind = kind.map(|(_, kind)| kind.written().to_ascii_lowercase());
    let template = inputs.mustache_in("body", text);
    if template.fixed().is_some() || template.alone().is_some() {
        return Some(Body::Raw(template, Raw::Text));
    }
    match kind.as_deref() {
        Some(kind) if kind.contains("json") => inputs.json_template("body").map(Body::OtherJson),
        Some(kind) if kind.contains("xml") || kind.contains("html") => Some(Body::Raw(template, Raw::Markup)),
        None if text.contains('=') => Some(Body::Raw(template, Raw::Form)),
        Some(kind) if kind.contains("urlencoded") => Some(Body::Raw(template, Raw::Form)),
        _ => Some(Body::Raw(template, Raw::Text)),
    }
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
