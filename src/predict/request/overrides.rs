//! `overrideConfig`: what a client may set, by path and by JSON type, and what the gateway sets over it.
//!
//! Flowise filters strings and lists by its own list of enabled overrides, but lets objects past it, into every node. So
//! an allowed path takes a single value: a string, a number, a boolean or null. Only where the real input is a map does
//! it take one: `vars`, an agentflow's `startState`, and `promptValues`, whose values may stand under a node's id.
//! Anything else that Flowise keys by node id is allowed by its whole path, such as `temperature.chatOpenAI_0`.

use serde_json::{Map, Value};

use super::super::json::{Json, Object, shown};
use super::text::check_words;
use super::{Caller, ill_typed};
use crate::config::{Chatflow, override_rules};
use crate::wire::refusal::Refusal;

/// `overrideConfig` with `variables` in it, every path allowed by the chatflow.
pub(super) fn checked<'a>(fields: &mut Object<'a>, chatflow: &Chatflow) -> Result<Object<'a>, Refusal> {
    let mut overrides = object("overrideConfig", fields.take("overrideConfig"))?;
    let variables = object("variables", fields.take("variables"))?;
    if !variables.is_empty() {
        let mut vars = object("overrideConfig.vars", overrides.take("vars"))?;
        for (name, value) in variables.into_fields() {
            if vars.get(&name).is_some_and(|other| *other != value) {
                let message = format!("The fields variables.{0} and overrideConfig.vars.{0} disagree.", shown(&name));
                return Err(Refusal::Invalid("ambiguous_field", message.into()));
            }
            vars.set(name, value);
        }
        overrides.set("vars", Json::Object(vars));
    }
    let mut refused = Refused::default();
    let checked = check_fields(&overrides, &mut Vec::new(), chatflow, &mut refused);
    // A client shall not have to take them out one by one.
    refused.refusal().map_or(checked, Err)?;
    Ok(overrides)
}

fn object<'a>(name: &str, value: Option<Json<'a>>) -> Result<Object<'a>, Refusal> {
    match value {
        None => Ok(Object::default()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(ill_typed(name, "an object")),
    }
}

/// `at`: the path of the object whose fields these are. What is not allowed goes to `refused`; the first that is allowed
/// and not well-formed is the error.
fn check_fields<'j>(
    fields: &'j Object<'_>,
    at: &mut Vec<&'j str>,
    chatflow: &Chatflow,
    refused: &mut Refused,
) -> Result<(), Refusal> {
    let mut checked = Ok(());
    for (name, value) in fields.iter() {
        at.push(name);
        let field = check_field(value, at, chatflow, refused);
        at.pop();
        checked = checked.and(field);
    }
    checked
}

fn check_field<'j>(
    value: &'j Json<'_>,
    at: &mut Vec<&'j str>,
    chatflow: &Chatflow,
    refused: &mut Refused,
) -> Result<(), Refusal> {
    // No path in here is a protected one: `override_rules` are asked when a configuration is loaded.
    let paths = &chatflow.override_config;
    let is_covered = paths.iter().any(|path| is_prefix(path, at));
    match value {
        // Towards a path that is allowed by itself, or in a map that is allowed as a whole.
        Json::Object(inner) if (is_covered && is_map(at)) || paths.iter().any(|path| leads_to(at, path)) => {
            check_fields(inner, at, chatflow, refused)
        }
        _ if !is_covered => {
            refused.add(at);
            Ok(())
        }
        // An id, as strict as the chat's.
        _ if *at == ["sessionId"] => Ok(()),
        // Not a map where a flow's author meant one, and a map nowhere else.
        Json::Text(text) if !is_map(at) || is_below_map(at) => check_override_text(text, at, chatflow),
        Json::Null | Json::Bool(_) | Json::Number(_) if !is_map(at) || is_below_map(at) => Ok(()),
        _ => {
            let expected = if is_map(at) && !is_below_map(at) { "an object" } else { "a single value" };
            let message = format!("The field {} must be {expected}.", spelled(at));
            Err(Refusal::Invalid("override_type", message.into()))
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
    protected: Vec<(&'static str, String)>,
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
                self.protected.push((protected.rule(), sentence));
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
        let message = sentences.join(" ").into();
        Some(match rule {
            Some(rule) => Refusal::Invalid(rule, message),
            None => Refusal::Invalid("override_config", message),
        })
    }
}

/// Flowise fills `{{…}}` in before it runs a node: `{{$vars.x}}` would read what no client shall.
fn check_override_text(text: &str, at: &[&str], chatflow: &Chatflow) -> Result<(), Refusal> {
    if text.contains("{{") {
        let message = format!("The field {} may not hold {{{{.", spelled(at));
        return Err(Refusal::Invalid("override_template", message.into()));
    }
    if text.contains("FILE-STORAGE::") {
        let message = format!("The field {} may not name a file of the server.", spelled(at));
        return Err(Refusal::Invalid("file_reference", message.into()));
    }
    // Most texts are too short to need their path spelled out.
    if text.len() > chatflow.max_word_chars { check_words(&spelled(at), text, chatflow) } else { Ok(()) }
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
/// variables, and over all the key's. The operator wrote the last three, so a token cannot change them.
pub(super) fn force<'a>(overrides: &mut Object<'a>, chatflow: &'a Chatflow, caller: &Caller<'a>) {
    set_vars(overrides, named(caller.token_vars));
    for (name, value) in &chatflow.force_override {
        overrides.set(name.as_str(), Json::Given(value));
    }
    set_vars(overrides, named(Some(&chatflow.vars)));
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
