//! What one flow sets in the inputs of another that it runs, by the rules for what clients set: names are the author's, and
//! what a client may never set, credentials, addresses, code and the like, the author writes out.

use serde_json::Value;

use crate::config::override_rules::protected;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::text::mustache::{JsonTemplate, Names};
use crate::engine::text::settled::{Overrides, Settled};

/// Below these stand names that no node's input has, so a value may bring its own.
const FREE: [&str; 2] = ["promptValues", "startState"];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Overriding {
    /// `None`: nothing.
    config: Option<JsonTemplate>,
    /// Where something is filled in.
    filled: Vec<Vec<String>>,
}

impl Overriding {
    pub(super) fn read(name: &str, inputs: &mut Inputs<'_, '_, '_>) -> Self {
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

    pub(super) fn filled(&self, names: &dyn Names) -> Result<Overrides, Failure> {
        let Some(config) = &self.config else { return Ok(Overrides::default()) };
        let Value::Object(values) = config.value(names).map_err(Failure::flow)? else {
            return Ok(Overrides::default());
        };
        for path in self.filled.iter().filter(|path| !is_free(path)) {
            let at = |value: &Value, step: &String| match value {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?).cloned(),
                value => value.get(step).cloned(),
            };
            let (first, rest) =
                path.split_first().map_or((None, path.as_slice()), |(first, rest)| (values.get(first), rest));
            let value = rest.iter().try_fold(first.cloned().unwrap_or_default(), |value, step| at(&value, step));
            if value.is_some_and(|value| has_names(&value)) {
                return Err(Failure::flow(format!("{} is set to a value with names of its own", path.join("."))));
            }
        }
        Ok(Overrides { values, settled: Settled::at(self.filled.clone()) })
    }
}

/// Why nothing may be filled in there.
fn problem(path: &[String], reference: &JsonTemplate) -> Option<String> {
    let place = path.join(".");
    if let Some(reason) = protected(path) {
        return Some(format!("{place}: {} must be written out; no value can be filled in", reason.what()));
    }
    // The other flow would read it.
    let written = reference.mustache().filter(|text| text.alone().is_none())?.written();
    written
        .trim_start()
        .starts_with(['{', '['])
        .then(|| format!("{place}: write JSON out, not as a text, to fill in values"))
}

fn is_free(path: &[String]) -> bool {
    path.first().is_some_and(|first| FREE.contains(&first.as_str()))
}

fn has_names(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(has_names),
        _ => false,
    }
}
