//! The node that sends an HTTP request.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::super::address::{form, whole};
use super::super::tools::has_fixed_origin;
use super::super::values::shown as text_of;
use super::super::{Kind, Outcome, Step, Visit, lenient};
use crate::engine::Task;
use crate::engine::budget::bytes_of_json;
use crate::engine::failure::Failure;
use crate::engine::inputs::Inputs;
use crate::engine::provider::{Call, Received};
use crate::predict::chat_id;

/// The node `httpAgentflow`.
pub(super) struct Http;

const PATIENCE: Duration = Duration::from_mins(2);

impl Kind for Http {
    fn name(&self) -> &'static str {
        "httpAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let method = inputs.text("method").unwrap_or_else(|| "GET".to_owned());
        let method = match method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            "PATCH" => Method::PATCH,
            _ => {
                inputs.refuse("method", "expected GET, POST, PUT, DELETE or PATCH");
                return None;
            }
        };
        match inputs.value("url") {
            None => inputs.refuse("url", "an address is required"),
            Some(url) if !has_fixed_origin("url", &url) => {
                inputs.refuse("url", "where the address leads must not depend on the request");
            }
            Some(url) => {
                let sample = crate::engine::variables::replaced(&text_of(&url), |_| Some("0".to_owned()));
                match inputs.compiler.workshop.targets.outward(&sample, Some(PATIENCE)) {
                    Ok(endpoint) => inputs.look_at(&endpoint),
                    Err(error) => inputs.refuse("url", error),
                }
            }
        }
        if inputs.has("credential") {
            inputs.refuse("credential", "an export names no credential; set a header instead");
        }
        for name in ["headers", "queryParams"] {
            if inputs.value(name).is_some_and(|list| !list.is_array()) {
                inputs.refuse(name, "expected a list of keys and values");
            }
        }
        let known = |kind: &str| matches!(kind, "json" | "raw" | "formData" | "xWwwFormUrlencoded");
        if inputs.text("bodyType").is_some_and(|kind| !known(&kind)) {
            inputs.refuse("bodyType", "expected json, raw, formData or xWwwFormUrlencoded");
        }
        inputs.value("body");
        let known = |kind: &str| matches!(kind, "json" | "text" | "arraybuffer" | "base64");
        if inputs.text("responseType").is_some_and(|kind| !known(&kind)) {
            inputs.refuse("responseType", "expected json, text, arraybuffer or base64");
        }
        Some(Box::new(Sends(method)))
    }
}

#[derive(Debug)]
struct Sends(Method);

/// A body and its type.
struct Body {
    kind: Option<String>,
    bytes: Bytes,
}

impl Step for Sends {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Outcome> {
        Box::pin(async move {
            let received = self.send(visit).await?;
            let status = received.status;
            let data = match visit.text("responseType").as_str() {
                "base64" | "arraybuffer" => STANDARD.encode(&received.body).into(),
                "text" => text(&received.body),
                _ => {
                    visit.run.budget().has_room(bytes_of_json(&received.body))?;
                    serde_json::from_slice(&received.body).unwrap_or_else(|_| text(&received.body))
                }
            };
            if !status.is_success() {
                let message = ["message", "error"].iter().find_map(|name| data.get(*name)).map(text_of);
                let otherwise = || format!("Request failed with status code {}", status.as_u16());
                return Err(Failure::flow(message.unwrap_or_else(otherwise)));
            }
            let names = ["method", "url", "headers", "queryParams", "bodyType", "body", "responseType"];
            let asked: Map<String, Value> =
                names.iter().filter_map(|name| Some(((*name).to_owned(), visit.inputs.get(*name)?.clone()))).collect();
            let output = json!({ "http": {
                "data": data,
                "status": status.as_u16(),
                "statusText": status.canonical_reason().unwrap_or_default(),
                "headers": headers(&received),
            } });
            Ok(Outcome::new(json!({ "http": asked }), output))
        })
    }
}

impl Sends {
    async fn send(&self, visit: &Visit<'_>) -> Result<Received, Failure> {
        // Filled in here, where it is known to be an address.
        let written = visit.node.inputs.get("url").map(text_of).unwrap_or_default();
        let url = whole(&visit.scope.fill_address(&written));
        let endpoint = visit.workshop.targets.outward(&url, Some(PATIENCE)).map_err(Failure::flow)?;
        let query = form(&pairs(visit.inputs.get("queryParams")));
        // The endpoint has the path already.
        let own = url.split_once('?').map(|(_, own)| own.split('#').next().unwrap_or_default()).unwrap_or_default();
        let parts: Vec<&str> = [own, &query].into_iter().filter(|part| !part.is_empty()).collect();
        // Its end is not: an endpoint's base has no slash there.
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let slash = if path.ends_with('/') || path.matches('/').count() < 3 { "/" } else { "" };
        let mark = if parts.is_empty() { "" } else { "?" };
        let path = format!("{slash}{mark}{}", parts.join("&"));
        let body = if self.0 == Method::GET { Body { kind: None, bytes: Bytes::new() } } else { body(visit)? };
        let mut headers = Vec::new();
        for (name, value) in pairs(visit.inputs.get("headers")) {
            match (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => return Err(Failure::flow(format!("{name} is no header"))),
            }
        }
        let kind = body.kind.and_then(|kind| HeaderValue::from_str(&kind).ok());
        if let Some(kind) = kind {
            headers.retain(|(name, _)| name != http::header::CONTENT_TYPE);
            headers.push((http::header::CONTENT_TYPE, kind));
        }
        let call = Call { method: self.0.clone(), path: &path, headers: &headers, body: body.bytes };
        endpoint.fetch(call, visit.run).await
    }
}

fn text(body: &[u8]) -> Value {
    String::from_utf8_lossy(body).into_owned().into()
}

/// What may be seen of an answer's head.
fn headers(received: &Received) -> Value {
    let headers = received.headers.iter().filter(|(name, _)| *name != http::header::SET_COOKIE);
    let shown = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())));
    Value::Object(shown.collect())
}

fn body(visit: &Visit<'_>) -> Result<Body, Failure> {
    let none = Body { kind: None, bytes: Bytes::new() };
    let Some(written) = visit.inputs.get("body").filter(|body| !body.is_null() && **body != "") else {
        return Ok(none);
    };
    let json = || match written {
        Value::String(text) => lenient::parse(text)
            .map_err(|error| Failure::flow(format!("Invalid JSON format in body. Original error: {error}"))),
        value => Ok(value.clone()),
    };
    let (kind, text) = match visit.text("bodyType").as_str() {
        "json" => (Some("application/json".to_owned()), json()?.to_string()),
        "raw" => (Some("application/x-www-form-urlencoded".to_owned()), text_of(written)),
        "xWwwFormUrlencoded" => {
            let pairs = match json()? {
                Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), text_of(value))).collect(),
                list => pairs(Some(&list)),
            };
            (Some("application/x-www-form-urlencoded".to_owned()), form(&pairs))
        }
        "formData" => multipart(&pairs(Some(written))),
        _ => return Ok(none),
    };
    Ok(Body { kind, bytes: text.into() })
}

/// A list of keys and values, without those that lack one.
fn pairs(list: Option<&Value>) -> Vec<(String, String)> {
    let pair = |item: &Value| {
        let field = |name: &str| item.get(name).filter(|value| !value.is_null()).map(text_of).unwrap_or_default();
        let (key, value) = (field("key"), field("value"));
        (!key.is_empty() && !value.is_empty()).then_some((key, value))
    };
    list.and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect()
}

fn multipart(pairs: &[(String, String)]) -> (Option<String>, String) {
    let boundary = format!("flowgate-{}", chat_id::random().unwrap_or_default());
    let mut body = String::new();
    for (key, value) in pairs {
        let key = key.replace(['"', '\r', '\n'], "_");
        let _ = write!(body, "--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n");
    }
    let _ = write!(body, "--{boundary}--\r\n");
    (Some(format!("multipart/form-data; boundary={boundary}")), body)
}
