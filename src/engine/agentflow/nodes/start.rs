//! Where flows start.

use serde_json::{Map, Value};

use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::text::mustache::JsonTemplate;

/// The node `startAgentflow`.
pub(super) struct Start;

impl StepKind for Start {
    fn name(&self) -> &'static str {
        "startAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let has_form = match inputs.text("startInputType").as_deref() {
            // As Flowise, where nothing is said.
            None | Some("chatInput") => Some(false),
            Some("formInput") => Some(true),
            Some("webhookTrigger") => {
                inputs.refuse("startInputType", "the engine has no webhooks; flows start with a question or a form");
                None
            }
            Some("scheduleInput") => {
                inputs.refuse("startInputType", "the engine has no schedule; flows start with a question or a form");
                None
            }
            _ => {
                inputs.refuse("startInputType", "expected chatInput or formInput");
                None
            }
        };
        let is_state = |value: &Value| value.is_array() || value.is_object();
        let written = inputs.json("startState");
        if written.as_ref().is_some_and(|state| !is_state(state)) {
            inputs.refuse("startState", "expected a list of keys and values");
        }
        let state = state(written.as_ref(), inputs);
        let (forgets, keeps_state) = (inputs.flag("startEphemeralMemory"), inputs.flag("startPersistState"));
        // Of other kinds of start.
        let other =
            |name: &&String| ["form", "webhook", "schedule", "callback"].iter().any(|kind| name.starts_with(kind));
        let others: Vec<String> = inputs.node.data.inputs.keys().filter(other).cloned().collect();
        inputs.ignore(&others.iter().map(String::as_str).collect::<Vec<_>>());
        let (forgets, keeps_state) = (forgets.unwrap_or_default(), keeps_state.unwrap_or_default());
        Some(Box::new(Started { state, has_form: has_form?, forgets, keeps_state }))
    }
}

/// A list of keys and values, or an object. Of a key that stands there twice, the last counts.
fn state(written: Option<&Value>, inputs: &mut Inputs<'_, '_, '_>) -> Vec<(String, JsonTemplate)> {
    let listed = |(at, item): (usize, &Value)| {
        let (key, value) = (item.get("key")?.as_str()?, item.get("value")?);
        Some((key.to_owned(), inputs.template_of(&["startState", &at.to_string(), "value"], value)))
    };
    match written {
        Some(Value::Array(items)) => items.iter().enumerate().filter_map(listed).collect(),
        Some(Value::Object(fields)) => {
            let field =
                |(key, value): (&String, &Value)| (key.clone(), inputs.template_of(&["startState", key], value));
            fields.iter().map(field).collect()
        }
        _ => Vec::new(),
    }
}

#[derive(Debug)]
struct Started {
    state: Vec<(String, JsonTemplate)>,
    has_form: bool,
    forgets: bool,
    keeps_state: bool,
}

impl Step for Started {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let value = |(key, value): &(String, JsonTemplate)| Ok((key.clone(), value.value(visit.scope)?));
            let mut state =
                self.state.iter().map(value).collect::<Result<Map<_, _>, String>>().map_err(Failure::flow)?;
            if self.keeps_state {
                state.extend(visit.runtime.state.clone());
            }
            let (mut input, mut output) = (Map::new(), Map::new());
            if self.has_form {
                input.insert("form".to_owned(), described(visit));
                let is_kept = visit.runtime.form.as_object().is_some_and(|form| !form.is_empty());
                let form = if is_kept { Some(visit.runtime.form.clone()) } else { visit.said.map(Value::from) };
                output.extend(form.map(|form| ("form".to_owned(), form)));
            } else if let Some(said) = visit.said {
                input.insert("question".to_owned(), said.into());
                output.insert("question".to_owned(), said.into());
            }
            if self.forgets {
                output.insert("ephemeralMemory".to_owned(), true.into());
            }
            if self.keeps_state {
                output.insert("persistState".to_owned(), true.into());
            }
            Ok(StepOutcome::new(Value::Object(input), Value::Object(output)).with_state(state))
        })
    }
}

/// The form as its author describes it.
fn described(visit: &StepContext<'_>) -> Value {
    let named = [("title", "formTitle"), ("description", "formDescription"), ("inputs", "formInputTypes")];
    let field = |(name, input): (&str, &str)| Some((name.to_owned(), visit.inputs.get(input)?.clone()));
    Value::Object(named.into_iter().filter_map(field).collect())
}
