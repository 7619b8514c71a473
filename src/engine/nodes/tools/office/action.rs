//! The tables' rows: what of a service is asked for an action, and what is told of its answer.

use std::borrow::Cow;
use std::fmt;

use http::Method;
use serde_json::Value;

use super::call::{ActionCall, ActionFuture};
use super::params::Params;
use crate::engine::text::javascript;
use crate::engine::text::percent::{STEP, form, pairs, steps};

/// An action of a service.
#[derive(Clone, Copy)]
pub(super) struct ServiceAction {
    /// As nodes name it; models know it as `list_drafts`.
    pub(super) name: &'static str,
    /// What failed, if it did.
    pub(super) doing: &'static str,
    pub(super) needs: Option<RequiredParams>,
    pub(super) handler: ActionHandler,
}

/// Names, each as `a|b`, and what is said where one of them is not set.
pub(super) type RequiredParams = (&'static [&'static str], &'static str);

#[derive(Clone, Copy)]
pub(super) enum ActionHandler {
    Asks(RequestShape, ActionOutput),
    /// More than one request, or none like the others.
    Works(for<'a> fn(&'a ActionCall<'a>) -> ActionFuture<'a>),
}

/// One request.
#[derive(Clone, Copy)]
pub(super) struct RequestShape {
    pub(super) verb: Verb,
    /// With places for values: `/drafts/{draftId|id}`.
    pub(super) path: &'static str,
    /// The path where a value is not set.
    pub(super) otherwise: Option<(&'static str, &'static str)>,
    pub(super) query: &'static [QueryParam],
    pub(super) body: Option<BodyMaker>,
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum BodyMaker {
    Made(fn(&Params) -> Value),
    /// What is wrong with the values goes into the answer.
    Tried(fn(&Params) -> Result<Value, String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// What a model is told.
#[derive(Clone, Copy)]
pub(super) enum ActionOutput {
    /// The answer.
    Answer,
    /// These words, with values in their places.
    Words(&'static str),
    /// What is read out of the answer.
    Read(fn(&str) -> Result<Value, String>),
    /// An object with the answer in it.
    Shaped(fn(Value, &Params) -> Value),
}

#[derive(Clone, Copy)]
pub(super) struct QueryParam {
    name: &'static str,
    from: Source,
}

/// What the value of a query's parameter is made of.
#[derive(Clone, Copy)]
enum Source {
    Set(&'static str),
    Given(&'static str),
    Always(&'static str),
    Or(&'static str, &'static str),
    Each(&'static str),
    Fixed(&'static str),
    Made(fn(&Params) -> Option<String>),
}

/// Where it counts as something.
pub(super) const fn set(name: &'static str) -> QueryParam {
    renamed(name, name)
}

pub(super) const fn renamed(name: &'static str, param: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Set(param) }
}

/// Wherever it is said, be it `false`.
pub(super) const fn given(name: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Given(name) }
}

pub(super) const fn always(name: &'static str, param: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Always(param) }
}

/// With what stands for it.
pub(super) const fn or(name: &'static str, other: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Or(name, other) }
}

/// One for each of a text with commas.
pub(super) const fn each(name: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Each(name) }
}

pub(super) const fn fixed(name: &'static str, value: &'static str) -> QueryParam {
    QueryParam { name, from: Source::Fixed(value) }
}

pub(super) const fn made(name: &'static str, from: fn(&Params) -> Option<String>) -> QueryParam {
    QueryParam { name, from: Source::Made(from) }
}

impl fmt::Debug for ServiceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ServiceAction {
    pub(super) const fn new(name: &'static str, doing: &'static str, verb: Verb, path: &'static str) -> Self {
        let ask = RequestShape { verb, path, otherwise: None, query: &[], body: None };
        Self { name, doing, needs: None, handler: ActionHandler::Asks(ask, ActionOutput::Answer) }
    }

    pub(super) const fn works(
        name: &'static str,
        doing: &'static str,
        work: for<'a> fn(&'a ActionCall<'a>) -> ActionFuture<'a>,
    ) -> Self {
        Self { name, doing, needs: None, handler: ActionHandler::Works(work) }
    }

    pub(super) const fn query(self, query: &'static [QueryParam]) -> Self {
        match self.handler {
            ActionHandler::Asks(ask, told) => {
                Self { handler: ActionHandler::Asks(RequestShape { query, ..ask }, told), ..self }
            }
            ActionHandler::Works(_) => self,
        }
    }

    pub(super) const fn body(self, body: fn(&Params) -> Value) -> Self {
        self.sends(BodyMaker::Made(body))
    }

    pub(super) const fn tried(self, body: fn(&Params) -> Result<Value, String>) -> Self {
        self.sends(BodyMaker::Tried(body))
    }

    const fn sends(self, body: BodyMaker) -> Self {
        match self.handler {
            ActionHandler::Asks(ask, told) => {
                Self { handler: ActionHandler::Asks(RequestShape { body: Some(body), ..ask }, told), ..self }
            }
            ActionHandler::Works(_) => self,
        }
    }

    /// Another path where that value is not set.
    pub(super) const fn unless(self, param: &'static str, path: &'static str) -> Self {
        match self.handler {
            ActionHandler::Asks(ask, told) => Self {
                handler: ActionHandler::Asks(RequestShape { otherwise: Some((param, path)), ..ask }, told),
                ..self
            },
            ActionHandler::Works(_) => self,
        }
    }

    pub(super) const fn told(self, told: ActionOutput) -> Self {
        match self.handler {
            ActionHandler::Asks(ask, _) => Self { handler: ActionHandler::Asks(ask, told), ..self },
            ActionHandler::Works(_) => self,
        }
    }

    pub(super) const fn needs(self, needs: RequiredParams) -> Self {
        Self { needs: Some(needs), ..self }
    }

    /// What is said if something is missing.
    pub(super) fn missing(&self, params: &Params) -> Option<&'static str> {
        let (needs, words) = self.needs?;
        needs.iter().any(|names| params.first(names).is_none()).then_some(words)
    }
}

/// A request as it goes out.
#[derive(Debug)]
pub(super) struct ServiceRequest {
    pub(super) verb: Verb,
    /// Below the service's own path, with its query.
    pub(super) path: String,
    /// What it is, and its text.
    pub(super) body: Option<(Cow<'static, str>, String)>,
}

pub(super) const JSON: &str = "application/json";

impl ServiceRequest {
    /// # Errors
    /// A value would lead elsewhere in the path, or cannot be sent.
    pub(super) fn of(ask: &RequestShape, params: &Params, ids: fn(&str) -> String) -> Result<Self, String> {
        let template = match ask.otherwise {
            Some((param, otherwise)) if !params.is_set(param) => otherwise,
            _ => ask.path,
        };
        let (place, asked) = template.split_once('?').unwrap_or((template, ""));
        let mut path =
            filled(place, params, |value| Some(ids(value)).filter(|id| !steps(id)).ok_or_else(|| STEP.to_owned()))?;
        if !asked.is_empty() {
            // Where signs that ids may have begin something else.
            path = format!("{path}?{}", filled(asked, params, |value| Ok(form(value)))?);
        }
        let query = query_of(ask.query, params);
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let body = match ask.body {
            None => None,
            Some(BodyMaker::Made(make)) => Some(make(params)),
            Some(BodyMaker::Tried(make)) => Some(make(params)?),
        };
        Ok(Self { verb: ask.verb, path, body: body.map(|body| (JSON.into(), javascript::json(&body))) })
    }
}

/// A template with values in its places.
pub(super) fn filled(
    template: &str,
    params: &Params,
    write: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, (names, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        out.push_str(before);
        let value = params.first(names).map_or_else(|| params.text(names), |value| javascript::shown(&value));
        out.push_str(&write(&value)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Values as browsers write forms.
pub(super) fn query_of(query: &[QueryParam], params: &Params) -> String {
    let values = |from: Source| match from {
        Source::Set(name) => params.set(name).map(|value| javascript::shown(&value)).into_iter().collect(),
        Source::Given(name) => params.given(name).map(|value| javascript::shown(&value)).into_iter().collect(),
        Source::Always(name) => vec![params.text(name)],
        Source::Or(name, other) => vec![javascript::shown(&params.or(name, other))],
        Source::Each(name) if params.is_set(name) => params.list(name),
        Source::Each(_) => Vec::new(),
        Source::Fixed(value) => vec![value.to_owned()],
        Source::Made(make) => make(params).into_iter().collect(),
    };
    let named = query.iter().flat_map(|param| values(param.from).into_iter().map(|value| (param.name, value)));
    pairs(&named.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::text::percent::{component, segment};

    fn params(value: Value) -> Params {
        let Value::Object(fields) = value else { panic!() };
        Params(fields)
    }

    #[test]
    fn values_stay_in_their_places() {
        const QUERY: &[QueryParam] =
            &[set("n"), given("f"), or("o", "O"), each("l"), made("m", |_| Some("a&b".to_owned()))];
        let ask = RequestShape {
            verb: Verb::Get,
            path: "/a/{x|y}/b",
            otherwise: Some(("z", "/c/{y}")),
            query: QUERY,
            body: None,
        };
        let path = |value: Value| ServiceRequest::of(&ask, &params(value), component).map(|asked| asked.path);
        let all = json!({ "x": "", "y": "q/../r?s#t", "z": 1, "n": 5.0, "f": false, "l": "1, 2" });
        assert_eq!(path(all).unwrap(), "/a/q%2F..%2Fr%3Fs%23t/b?n=5&f=false&o=O&l=1&l=2&m=a%26b");
        assert_eq!(path(json!({ "y": "1", "o": "p" })).unwrap(), "/c/1?o=p&m=a%26b");
        let top = RequestShape { verb: Verb::Get, path: "/a/{x}?$top={n}", otherwise: None, query: &[], body: None };
        let asked = ServiceRequest::of(&top, &params(json!({ "x": "1&2", "n": "5&$filter=a+b" })), segment).unwrap();
        assert_eq!(asked.path, "/a/1&2?$top=5%26%24filter%3Da%2Bb");
        for step in ["..", "."] {
            assert_eq!(path(json!({ "y": step, "z": 1 })).unwrap_err(), STEP);
        }
    }
}
