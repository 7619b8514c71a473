//! What one flow sets in the inputs of another that it runs, by the rules for what clients set: names are the author's, and
//! what a client may never set, credentials, addresses, code and the like, the author writes out.

use serde_json::{Map, Value};

use super::Inputs;
use crate::config::override_rules::protected;
use crate::engine::contract::failure::Failure;
use crate::engine::text::javascript::is_falsy;
use crate::engine::text::mustache::{JsonTemplate, Mustache, Names};
use crate::engine::text::overrides::{FilledPaths, Overrides};

/// Below these stand names that no node's input has, and the flow that is run reads whatever stands there as its own.
const NAMED: [&str; 2] = ["promptValues", "startState"];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Overriding {
    /// `None`: nothing.
    config: Option<JsonTemplate>,
    /// Where something is filled in.
    filled: Vec<Vec<String>>,
}

impl Overriding {
    pub(crate) fn read(name: &str, inputs: &mut Inputs<'_, '_, '_>) -> Self {
        let Some(config) = inputs.json_template(name) else { return Self::default() };
        if let Some(reference) = config.mustache() {
            let reference = reference.written();
            inputs.refuse(
                name,
                format!("the names of what is set must be written out: {reference} may stand for values"),
            );
            return Self::default();
        }
        if !matches!(config, JsonTemplate::Fields(_) | JsonTemplate::Fixed(Value::Object(_))) {
            inputs.refuse(name, "expected a JSON object");
            return Self::default();
        }
        let (mut filled, mut problems) = (Vec::new(), Vec::new());
        config.references(&mut Vec::new(), &mut |path, reference| {
            problems.extend(problem(path, reference));
            filled.push(path.to_vec());
        });
        for problem in problems {
            inputs.refuse(name, problem);
        }
        Self { config: Some(config), filled }
    }

    pub(crate) fn filled(&self, names: &dyn Names) -> Result<Overrides, Failure> {
        let Some(config) = &self.config else { return Ok(Overrides::default()) };
        let Value::Object(mut values) = config.value(names).map_err(Failure::flow)? else {
            return Ok(Overrides::default());
        };
        // As Flowise, which leaves an input as it is then.
        values.retain(|_, value| !is_falsy(value));
        for path in &self.filled {
            let Some(value) = at_mut(&mut values, path).filter(|value| has_names(value)) else { continue };
            if !is_named(path) {
                return Err(Failure::flow(format!("{} is set to a value with names of its own", path.join("."))));
            }
            *value = value.to_string().into();
        }
        Ok(Overrides { values, settled: FilledPaths::at(self.filled.clone()) })
    }
}

/// Why nothing may be filled in there.
fn problem(path: &[String], reference: &JsonTemplate) -> Option<String> {
    let place = path.join(".");
    if let Some(reason) = protected(path) {
        return Some(format!("{place}: {} must be written out; no value can be filled in", reason.what()));
    }
    // The other flow would read it.
    let written = reference.mustache().filter(|text| text.alone().is_none()).map(Mustache::written);
    if written.is_some_and(|text| text.trim_start().starts_with(['{', '['])) {
        return Some(format!("{place}: write JSON out, not as a text, to fill in values"));
    }
    let is_open = is_named(path) && !is_value(path);
    is_open.then(|| format!("{place}: the names of what is set must be written out; {{{{...}}}} may stand for values"))
}

fn is_named(path: &[String]) -> bool {
    path.first().is_some_and(|first| NAMED.contains(&first.as_str()))
}

/// Whether a place is a value, and neither a name nor what has names: below a name, or the `value` in a list.
fn is_value(path: &[String]) -> bool {
    let is_number = |step: &String| step.bytes().all(|byte| byte.is_ascii_digit());
    match path.iter().position(is_number) {
        // A list, for all nodes or for one.
        Some(at @ 1..=2) => path.get(at + 1).is_some_and(|step| step == "value"),
        _ => path.len() > 1,
    }
}

fn at_mut<'v>(values: &'v mut Map<String, Value>, path: &[String]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(values.get_mut(first)?, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        value => value.get_mut(step),
    })
}

fn has_names(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(has_names),
        _ => false,
    }
}
