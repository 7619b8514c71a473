//! The node that sends an HTTP request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Method};
use serde_json::{Map, Value, json};

use super::super::tools::has_fixed_origin;
use super::body::BodyTemplate;
use crate::config::Secret;
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::provider::address::Address;
use crate::engine::provider::{ProviderCall, ProviderResponse};
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::{Dialect, FieldTemplates, Mustache};
use crate::engine::text::percent::{located, pairs};
use crate::engine::text::size::bytes_of_json;
use crate::wire::json;

/// The node `httpAgentflow`.
pub(super) struct Http;

const PATIENCE: Duration = Duration::from_mins(2);

impl StepKind for Http {
    fn name(&self) -> &'static str {
        "httpAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let method = inputs.text("method").unwrap_or_else(|| "GET".to_owned());
        let method = match method.as_str() {
            "GET" => Some(Method::GET),
            "POST" => Some(Method::POST),
            "PUT" => Some(Method::PUT),
            "DELETE" => Some(Method::DELETE),
            "PATCH" => Some(Method::PATCH),
            _ => {
                inputs.refuse("method", "expected GET, POST, PUT, DELETE or PATCH");
                None
            }
        };
        let address = address(inputs);
        let who = credential(inputs);
        for name in ["headers", "queryParams"] {
            if inputs.value(name).is_some_and(|list| !list.is_array()) {
                inputs.refuse(name, "expected a list of keys and values");
            }
        }
        let headers = headers(inputs);
        let query = inputs.fields("queryParams").unwrap_or_default();
        let kind = inputs.text("bodyType");
        let body = if method == Some(Method::GET) {
            Some(BodyTemplate::None)
        } else {
            BodyTemplate::read(kind.as_deref(), &headers, inputs)
        };
        inputs.value("body");
        let known = |kind: &str| matches!(kind, "json" | "text" | "arraybuffer" | "base64");
        if inputs.text("responseType").is_some_and(|kind| !known(&kind)) {
            inputs.refuse("responseType", "expected json, text, arraybuffer or base64");
        }
        Some(Box::new(Sends { method: method?, address: address?, query, headers, who, body: body? }))
    }
}

fn address(inputs: &mut Inputs<'_, '_, '_>) -> Option<Address> {
    let url = inputs.required_text("url")?;
    if !has_fixed_origin("url", &url.as_str().into()) {
        inputs.refuse("url", "where the address leads must not depend on the request");
        return None;
    }
    // A part of an address is a part of one wherever it comes from, so it may always be filled in.
    let url = Mustache::parse(&url, Dialect::Agentflow);
    match Address::read(&url, &inputs.compiler.context.targets, PATIENCE) {
        Ok(address) => {
            inputs.look_at(&address.endpoint);
            Some(address)
        }
        Err(error) => {
            inputs.refuse_address("url", &url.written(), error);
            None
        }
    }
}

fn headers(inputs: &mut Inputs<'_, '_, '_>) -> Vec<(HeaderName, Mustache)> {
    let listed = inputs.fields("headers").unwrap_or_default();
    let mut headers = Vec::new();
    for (name, value) in listed.iter().filter(|(name, _)| name.fixed() != Some("")) {
        match name.fixed().and_then(|name| name.parse::<HeaderName>().ok()) {
            Some(name) => headers.push((name, value.clone())),
            None => inputs.refuse("headers", format!("{} is no header", name.written())),
        }
    }
    headers
}

/// The fields of the three kinds of credentials that such a node may have.
const FIELDS: [(&str, &str); 5] = [
    ("httpBasicAuth", "basicAuthUsername"),
    ("httpBasicAuth", "basicAuthPassword"),
    ("httpBearerToken", "token"),
    ("httpApiKey", "key"),
    ("httpApiKey", "value"),
];

/// Who asks, if a credential was chosen. One that the configuration does not have by its id is one of these by its name.
fn credential(inputs: &mut Inputs<'_, '_, '_>) -> Option<(HeaderName, HeaderValue)> {
    let is_chosen = inputs.has("credential")
        || inputs.has("FLOWISE_CREDENTIAL_ID")
        || inputs.node.data.credential.as_deref().is_some_and(|id| !id.is_empty());
    inputs.ignore(&["credential", "FLOWISE_CREDENTIAL_ID"]);
    if !is_chosen {
        return None;
    }
    let chosen = FIELDS.map(|(_, field)| inputs.chosen_field(field));
    let is_known = chosen.iter().any(Option::is_some);
    let fields = if is_known { chosen } else { FIELDS.map(|(name, field)| inputs.optional_credential(name, field)) };
    let [user, password, token, key, _] = fields.each_ref().map(Option::is_some);
    if !is_known && [user || password, token, key].iter().filter(|is_there| **is_there).count() > 1 {
        inputs.refuse("credential", "several are there by their names; it must be there by Flowise's id of it");
        return None;
    }
    match who(&fields) {
        Some(Ok(header)) => Some(header),
        Some(Err(problem)) => {
            inputs.refuse("credential", problem);
            None
        }
        // Whoever checks the flow is told what is missing.
        None => {
            let (name, field) = ("httpBearerToken", "token");
            inputs.credential(name, field);
            None
        }
    }
}

/// A user and a password, a token, or a header of its own, in this order.
fn who(fields: &[Option<Secret>; 5]) -> Option<Result<(HeaderName, HeaderValue), String>> {
    let [user, password, token, key, value] = fields.each_ref().map(|field| field.as_ref().map(Secret::expose));
    let (name, text) = if user.or(password).is_some() {
        let pair = format!("{}:{}", user.unwrap_or_default(), password.unwrap_or_default());
        (AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
    } else if let Some(token) = token {
        (AUTHORIZATION, format!("Bearer {token}"))
    } else {
        let (key, value) = (key?, value?);
        match key.parse() {
            Ok(name) => (name, value.to_owned()),
            Err(_) => return Some(Err("its key is no header".to_owned())),
        }
    };
    Some(secret_header(&text).map(|value| (name, value)))
}

#[derive(Debug)]
struct Sends {
    method: Method,
    address: Address,
    query: FieldTemplates,
    headers: Vec<(HeaderName, Mustache)>,
    /// Who asks, whatever the headers say.
    who: Option<(HeaderName, HeaderValue)>,
    body: BodyTemplate,
}

impl Step for Sends {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let received = self.send(visit).await?;
            let status = received.status;
            let data = match visit.text("responseType").as_str() {
                "base64" | "arraybuffer" => STANDARD.encode(&received.body).into(),
                "text" => text(&received.body),
                _ => {
                    visit.run.budget().has_room(bytes_of_json(&received.body))?;
                    json::read(&received.body).unwrap_or_else(|_| text(&received.body))
                }
            };
            let names = ["method", "bodyType", "responseType"];
            let asked: Map<String, Value> =
                names.iter().filter_map(|name| Some(((*name).to_owned(), visit.inputs.get(*name)?.clone()))).collect();
            let output = json!({ "http": {
                "data": data,
                "status": status.as_u16(),
                "statusText": status.canonical_reason().unwrap_or_default(),
                "headers": shown_headers(&received),
            } });
            Ok(StepOutcome::new(json!({ "http": asked }), output))
        })
    }
}

impl Sends {
    async fn send(&self, visit: &StepContext<'_>) -> Result<ProviderResponse, Failure> {
        let mut path = self.address.path.address(visit.scope).map_err(Failure::flow)?;
        let query = pairs(&self.query.filled(visit.scope));
        if !query.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&query);
        }
        let (kind, body) = self.body.filled(visit.scope).map_err(Failure::flow)?;
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let value = value.header(name, visit.scope).map_err(|error| Failure::flow(format!("{name}: {error}")))?;
            if !value.is_empty() && (kind.is_none() || *name != CONTENT_TYPE) {
                headers.push((name.clone(), value));
            }
        }
        if let Some((name, value)) = &self.who {
            headers.retain(|(known, _)| known != name);
            headers.push((name.clone(), value.clone()));
        }
        let has_type = headers.iter().any(|(name, _)| *name == CONTENT_TYPE);
        // Flowise's client takes a body for a form with POST, PUT and PATCH alone, and says nothing of one of DELETE.
        let has_usual = !has_type && self.method != Method::DELETE;
        headers.extend(kind.or_else(|| self.body.usual_type().filter(|_| has_usual)).map(|kind| (CONTENT_TYPE, kind)));
        let call =
            ProviderCall { method: self.method.clone(), path: &located(&path), headers: &headers, body: body.into() };
        self.address.endpoint.fetch(call, visit.run).await
    }
}

fn text(body: &[u8]) -> Value {
    String::from_utf8_lossy(body).into_owned().into()
}

/// What may be seen of an answer's head.
fn shown_headers(received: &ProviderResponse) -> Value {
    let headers = received.headers.iter().filter(|(name, _)| *name != http::header::SET_COOKIE);
    let shown = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())));
    Value::Object(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_says_who_asks() {
        let secret = |text: &str| (!text.is_empty()).then(|| Secret::new(text.to_owned()));
        let told = |fields: [&str; 5]| {
            let told = who(&fields.map(secret))?;
            Some(told.map(|(name, value)| format!("{name}: {} {}", value.to_str().unwrap(), value.is_sensitive())))
        };
        let ok = |text: &str| Some(Ok(format!("{text} true")));
        assert_eq!(told(["u", "p", "t", "k", "v"]), ok("authorization: Basic dTpw"));
        assert_eq!(told(["", "p", "", "", ""]), ok("authorization: Basic OnA="));
        assert_eq!(told(["", "", "t", "k", "v"]), ok("authorization: Bearer t"));
        assert_eq!(told(["", "", "", "X-Key", "v"]), ok("x-key: v"));
        assert_eq!(told(["", "", "", "X-Key", ""]), None);
        assert!(told(["", "", "", "X Key", "v"]).unwrap().is_err());
        assert!(told(["", "", "a\nb", "", ""]).unwrap().is_err());
    }
}
