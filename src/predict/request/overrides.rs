//! `overrideConfig`: what a client may set, by path and by JSON type, and what the gateway sets over it.
//!
//! Flowise filters strings and lists by its own list of enabled overrides, but lets objects past it, into every node. So
//! an allowed path takes a single value: a string, a number, a boolean or null. Only where the real input is a map does
//! it take one: `vars`, an agentflow's `startState`, and `promptValues`, whose values may stand under a node's id. A
//! state may also be written as the list that Flowise takes, and is sent as that.
//! Anything else that Flowise keys by node id is allowed by its whole path, such as `temperature.chatOpenAI_0`.

use serde_json::{Map, Value};

use super::super::json::{Json, Object, shown};
use super::Caller;
use super::text::TextBounds;
use crate::config::override_rules::{self, Protected};
use crate::config::{Chatflow, is_reserved};
use crate::wire::refusal::{Refusal, Rule};

/// An agentflow's state.
const STATE: &str = "startState";
/// Bytes of a key in it, and keys.
const LONGEST_KEY: usize = 256;
const MOST_KEYS: usize = 256;

/// `overrideConfig` with `variables` in it, every path allowed by the chatflow.
pub(super) fn checked<'a>(fields: &mut Object<'a>, bounds: &TextBounds<'_>) -> Result<Object<'a>, Refusal> {
    let mut overrides = object("overrideConfig", fields.take("overrideConfig"))?;
    let variables = object("variables", fields.take("variables"))?;
    if !variables.is_empty() {
        let mut vars = object("overrideConfig.vars", overrides.take("vars"))?;
        for (name, value) in variables.into_fields() {
            if vars.get(&name).is_some_and(|other| *other != value) {
                let message = format!("The fields variables.{0} and overrideConfig.vars.{0} disagree.", shown(&name));
                return Err(Rule::AmbiguousField.refuse(message));
            }
            vars.set(name, value);
        }
        overrides.set("vars", Json::Object(vars));
    }
    if let Some(Json::List(items)) = overrides.get_mut(STATE) {
        let state = state_of(std::mem::take(items))?;
        overrides.set(STATE, Json::Object(state));
    }
    let mut refused = Refused::default();
    let checked = check_fields(&overrides, &mut Vec::new(), bounds, &mut refused);
    // A client shall not have to take them out one by one.
    refused.refusal().map_or(checked, Err)?;
    Ok(overrides)
}

/// Flowise's list of keys and values as the map that it means: of a key that stands there twice, the last counts.
fn state_of(items: Vec<Json<'_>>) -> Result<Object<'_>, Refusal> {
    let ill_formed =
        || Refusal::field_type("overrideConfig.startState", "a list of {key: string, value}, or an object");
    let mut state = Object::default();
    for item in items {
        let Json::Object(mut item) = item else { return Err(ill_formed()) };
        let value = item.get_mut("value").map(|value| std::mem::replace(value, Json::Null));
        let (Some(Json::Text(key)), Some(value), 2) = (item.take("key"), value, item.iter().count() + 1) else {
            return Err(ill_formed());
        };
        if is_reserved(&key) {
            let message = format!("The field overrideConfig.startState.{key} is not allowed.");
            return Err(Rule::PrototypeField.refuse(message));
        }
        if key.len() > LONGEST_KEY || state.iter().count() >= MOST_KEYS {
            return Err(ill_formed());
        }
        state.set(key, value);
    }
    Ok(state)
}

/// Writes a state as the list that Flowise takes; over a map it throws (3.1.4).
pub(super) fn list_state(overrides: &mut Object<'_>) {
    let fields = match overrides.get_mut(STATE) {
        Some(Json::Object(state)) => std::mem::take(state).into_fields(),
        Some(Json::Given(Value::Object(state))) => Object::given(state).into_fields(),
        _ => return,
    };
    let item = |(key, value)| {
        let mut item = Object::default();
        item.set("key", Json::Text(key));
        item.set("value", value);
        Json::Object(item)
    };
    overrides.set(STATE, Json::List(fields.into_iter().map(item).collect()));
}

fn object<'a>(name: &str, value: Option<Json<'a>>) -> Result<Object<'a>, Refusal> {
    match value {
        None => Ok(Object::default()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(Refusal::field_type(name, "an object")),
    }
}

/// `at`: the path of the object whose fields these are. What is not allowed goes to `refused`; the first that is allowed
/// and not well-formed is the error.
fn check_fields<'j>(
    fields: &'j Object<'_>,
    at: &mut Vec<&'j str>,
    bounds: &TextBounds<'_>,
    refused: &mut Refused,
) -> Result<(), Refusal> {
    let mut checked = Ok(());
    for (name, value) in fields.iter() {
        at.push(name);
        let field = check_field(value, at, bounds, refused);
        at.pop();
        checked = checked.and(field);
    }
    checked
}

fn check_field<'j>(
    value: &'j Json<'_>,
    at: &mut Vec<&'j str>,
    bounds: &TextBounds<'_>,
    refused: &mut Refused,
) -> Result<(), Refusal> {
    // No path in here is a protected one: `override_rules` are asked when a configuration is loaded.
    let paths = &bounds.chatflow.override_config;
    let is_covered = paths.iter().any(|path| is_prefix(path, at));
    match value {
        // Towards a path that is allowed by itself, or in a map that is allowed as a whole.
        Json::Object(inner) if (is_covered && is_map(at)) || paths.iter().any(|path| leads_to(at, path)) => {
            check_fields(inner, at, bounds, refused)
        }
        _ if !is_covered => {
            refused.add(at);
            Ok(())
        }
        // An id, as strict as the chat's.
        _ if *at == ["sessionId"] => Ok(()),
        // Not a map where a flow's author meant one, and a map nowhere else.
        Json::Text(text) if !is_map(at) || is_below_map(at) => check_override_text(text, at, bounds),
        Json::Null | Json::Bool(_) | Json::Number(_) if !is_map(at) || is_below_map(at) => Ok(()),
        _ => {
            let expected = if is_map(at) && !is_below_map(at) { "an object" } else { "a single value" };
            let message = format!("The field {} must be {expected}.", spelled(at));
            Err(Rule::OverrideType.refuse(message))
        }
    }
}

/// Fields that are told by name; there may be hundreds.
const MOST_TOLD: usize = 10;

/// Fields that a client may not set.
#[derive(Default)]
struct Refused {
    /// Merely not allowed.
    unlisted: Vec<String>,
    /// What is attacked is told, and counted, apart: the rule and the sentence.
    protected: Vec<(Rule, String)>,
    /// How many more there are.
    more: usize,
}

impl Refused {
    fn add(&mut self, at: &[&str]) {
        if self.unlisted.len() + self.protected.len() >= MOST_TOLD {
            self.more += 1;
            return;
        }
        let field = spelled(at);
        match override_rules::protected(at) {
            None => self.unlisted.push(field),
            Some(protected) => {
                let sentence = format!("The field {field} may not be set: it holds {}.", protected.what());
                self.protected.push((rule(protected), sentence));
            }
        }
    }

    /// All of them in one refusal.
    fn refusal(self) -> Option<Refusal> {
        let Self { unlisted, protected, more } = self;
        let rule = protected.first().map(|(rule, _)| *rule);
        if rule.is_none() && unlisted.is_empty() {
            return None;
        }
        let mut sentences: Vec<String> = protected.into_iter().map(|(_, sentence)| sentence).collect();
        match unlisted.as_slice() {
            [] => {}
            [field] => sentences.push(format!("The field {field} may not be set for this chatflow (override_config).")),
            [fields @ .., last] => {
                let fields = fields.join(", ");
                let message =
                    format!("The fields {fields} and {last} may not be set for this chatflow (override_config).");
                sentences.push(message);
            }
        }
        if more > 0 {
            sentences.push(format!("{more} more may not be set either."));
        }
        Some(rule.unwrap_or(Rule::OverrideConfig).refuse(sentences.join(" ")))
    }
}

/// What is counted where such a field is sent.
fn rule(protected: Protected) -> Rule {
    match protected {
        Protected::Credentials => Rule::OverrideCredentials,
        Protected::Addresses => Rule::OverrideAddress,
        Protected::Code => Rule::OverrideCode,
        Protected::Files => Rule::OverrideFile,
        Protected::Tools => Rule::OverrideTools,
        Protected::Analytics => Rule::OverrideAnalytics,
        Protected::History => Rule::OverrideHistory,
    }
}

/// Flowise fills `{{…}}` in before it runs a node: `{{$vars.x}}` would read what no client shall.
fn check_override_text(text: &str, at: &[&str], bounds: &TextBounds<'_>) -> Result<(), Refusal> {
    if text.contains("{{") {
        let message = format!("The field {} may not hold {{{{.", spelled(at));
        return Err(Rule::OverrideTemplate.refuse(message));
    }
    if text.contains("FILE-STORAGE::") {
        let message = format!("The field {} may not name a file of the server.", spelled(at));
        return Err(Rule::FileReference.refuse(message));
    }
    bounds.measure(text).map_err(|run| bounds.refusal(&spelled(at), run))
}

/// Whether a map stands there in Flowise.
fn is_map(at: &[&str]) -> bool {
    matches!(at, ["vars" | "promptValues" | "startState"] | ["promptValues", _])
}

/// Whether a map stands above, so that there may be a value as well: `promptValues` by name or by node id.
fn is_below_map(at: &[&str]) -> bool {
    at.len() > 1
}

fn is_prefix(path: &[String], at: &[&str]) -> bool {
    path.len() <= at.len() && path.iter().zip(at).all(|(path, at)| path == at)
}

fn leads_to(at: &[&str], path: &[String]) -> bool {
    at.len() < path.len() && at.iter().zip(path).all(|(at, path)| at == path)
}

fn spelled(at: &[&str]) -> String {
    let mut text = "overrideConfig".to_owned();
    for name in at {
        text.push('.');
        text.push_str(&shown(name));
    }
    text
}

/// What the gateway sets, over anything a client sent: the token's variables, over them the chatflow's overrides and
/// variables, and over all the key's, or those of the person who calls. The operator wrote the last three, so a token
/// cannot change them.
pub(super) fn force<'a>(overrides: &mut Object<'a>, chatflow: &'a Chatflow, caller: &Caller<'a>) {
    set_vars(overrides, named(caller.token_vars));
    for (name, value) in &chatflow.force_override {
        overrides.set(name.as_str(), Json::Given(value));
    }
    set_vars(overrides, named(Some(&chatflow.vars)));
    set_vars(overrides, named(caller.person_vars));
    set_vars(overrides, caller.key_vars.iter().map(|(name, value)| (&**name, value)));
}

fn named(vars: Option<&Map<String, Value>>) -> impl Iterator<Item = (&str, &Value)> {
    vars.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn set_vars<'a>(overrides: &mut Object<'a>, forced: impl Iterator<Item = (&'a str, &'a Value)>) {
    let mut forced = forced.peekable();
    if forced.peek().is_none() {
        return;
    }
    let mut vars = match overrides.take("vars") {
        Some(Json::Object(vars)) => vars,
        Some(Json::Given(Value::Object(vars))) => Object::given(vars),
        _ => Object::default(),
    };
    for (name, value) in forced {
        vars.set(name, Json::Given(value));
    }
    overrides.set("vars", Json::Object(vars));
}
