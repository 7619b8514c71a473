//! A prompt with examples: a prefix, each example by its own template, a suffix.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::message::Role;
use crate::engine::contract::prompt::{Form, Prompt};
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::text::template::{Template, counted};

/// The node `fewShotPromptTemplate`.
pub(super) struct FewShotPromptTemplate;

impl NodeKind for FewShotPromptTemplate {
    fn names(&self) -> &'static [&'static str] {
        &["fewShotPromptTemplate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let read = ["examples", "prefix", "suffix", "exampleSeparator"];
        inputs.fills(&read);
        // One template is made of them all.
        if read.iter().any(|name| inputs.refuse_settled(name)) {
            return None;
        }
        let examples = examples(inputs);
        let example = inputs.part_as("examplePrompt", Part::into_prompt, "a prompt template");
        if !inputs.has("examplePrompt") {
            inputs.refuse("examplePrompt", "an example prompt is required");
        }
        if example.as_ref().is_some_and(|example| example.elsewhere.is_some()) {
            inputs.refuse("examplePrompt", "expected a prompt whose words stand in the flow");
        }
        let prefix = inputs.text("prefix").unwrap_or_default();
        let suffix = inputs.text("suffix").unwrap_or_default();
        let separator = inputs.text("exampleSeparator").unwrap_or_default();
        if inputs.text("templateFormat").is_some_and(|format| format != "f-string") {
            inputs.refuse("templateFormat", "only f-string is supported, as in Flowise 3.1.4");
        }
        let (_, example) = example.as_ref().filter(|prompt| prompt.form == Form::Plain)?.turns.first()?;
        let mut parts = vec![prefix.clone()];
        for values in &examples? {
            match example.render(values) {
                Ok(text) => parts.push(text),
                Err(error) => {
                    inputs.refuse("examples", error);
                    return None;
                }
            }
        }
        parts.push(suffix.clone());
        let names = names(inputs, &prefix, &suffix)?;
        match Template::parse_plain(&parts.join(&separator)) {
            Ok(template) if template.names().all(|name| names.iter().any(|known| known == name)) => {
                let turns = vec![(Role::User, template)];
                Some(Part::Prompt(Arc::new(Prompt {
                    turns,
                    names,
                    given: PromptValues::default(),
                    form: Form::FewShot,
                    earlier: None,
                    elsewhere: None,
                })))
            }
            Ok(_) => {
                inputs.refuse("examples", "braces in them would be taken for variables");
                None
            }
            Err(error) => {
                inputs.refuse("suffix", error);
                None
            }
        }
    }
}

/// A JSON array of objects.
fn examples(inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<Map<String, Value>>> {
    let Some(examples) = inputs.json("examples") else { return Some(Vec::new()) };
    let fields = |example| if let Value::Object(fields) = example { Some(fields) } else { None };
    let Value::Array(examples) = examples else {
        inputs.refuse("examples", "expected a JSON array of objects");
        return None;
    };
    let examples: Option<Vec<_>> = examples.into_iter().map(fields).collect();
    if examples.is_none() {
        inputs.refuse("examples", "expected a JSON array of objects");
    }
    examples
}

/// The variable of the suffix or of the prefix: such a prompt takes the question and nothing else.
fn names(inputs: &mut Inputs<'_, '_, '_>, prefix: &str, suffix: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in counted(suffix).into_iter().chain(counted(prefix)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > 1 {
        let found = names.join(", ");
        inputs.refuse("suffix", format!("only one variable can be filled in, with the question; found {found}"));
        return None;
    }
    Some(names)
}
