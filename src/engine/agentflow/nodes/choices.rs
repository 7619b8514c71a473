//! Nodes that decide which way it goes on.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::runtime::turn;
use super::super::texts::PlainTexts;
use super::super::transcript::ChatTranscript;
use super::super::values::text_of;
use super::super::{pattern, plain};
use super::speaker::{ModelCaller, Stopwatch, add_usage, before, last, plainly};
use crate::engine::agentflow::step::{NextStep, Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::ModelRequest;
use crate::engine::text::javascript::{number_of, parse_float, shown_double};
use crate::engine::text::mustache::{JsonTemplate, Mustache};
use crate::engine::text::size::bytes_of;
use crate::wire::json;

/// The node `conditionAgentflow`.
pub(super) struct Condition;

const OPERATIONS: &[&str] = &[
    "contains",
    "notContains",
    "endsWith",
    "equal",
    "notEqual",
    "larger",
    "largerEqual",
    "smaller",
    "smallerEqual",
    "startsWith",
    "regex",
    "isEmpty",
    "notEmpty",
];

impl StepKind for Condition {
    fn name(&self) -> &'static str {
        "conditionAgentflow"
    }

    fn decides(&self) -> bool {
        true
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        if !inputs.has("conditions") {
            inputs.lacks("conditions");
            return None;
        }
        let conditions = inputs.json("conditions").unwrap_or_default();
        let is_known = |condition: &Value| {
            condition.get("operation").and_then(Value::as_str).is_some_and(|name| OPERATIONS.contains(&name))
        };
        let listed = conditions.as_array().map(Vec::as_slice);
        if listed.is_none_or(|conditions| !conditions.iter().all(is_known)) {
            inputs.refuse("conditions", "expected conditions with operations that the engine knows");
        }
        let conditions = listed.unwrap_or_default();
        let read = |(at, condition)| Comparison::read(at, condition, inputs);
        Some(Box::new(Compares(conditions.iter().enumerate().map(read).collect())))
    }
}

#[derive(Debug)]
struct Compares(Vec<Comparison>);

#[derive(Debug)]
struct Comparison {
    condition: JsonTemplate,
    /// What the author wrote is a pattern, and a value in it matches itself.
    pattern: Option<Mustache>,
}

impl Comparison {
    fn read(at: usize, condition: &Value, inputs: &mut Inputs<'_, '_, '_>) -> Self {
        let template = inputs.template_of(&["conditions", &at.to_string()], condition);
        let wanted =
            condition.get("value2").map(text_of).filter(|_| condition.get("operation") == Some(&"regex".into()));
        let pattern = wanted.map(|wanted| {
            inputs.mustache_in("conditions", &wanted).reworded(|text| pattern::as_meant(&plain::of(text)))
        });
        Self { condition: template, pattern }
    }

    /// # Errors
    /// Nobody knows.
    async fn holds(&self, condition: &Value, texts: &mut PlainTexts, visit: &StepContext<'_>) -> Result<bool, Failure> {
        let value = |name: &str| text_at(condition, name);
        if let Some(pattern) = &self.pattern {
            let text = texts.of(value("value1")).await?;
            return pattern::is_found(&text, pattern.pattern(visit.scope), visit.run).await;
        }
        let operation = value("operation");
        Ok(match condition.get("type").and_then(Value::as_str) {
            Some("number") => {
                let [one, other] = ["value1", "value2"].map(|name| or_zero(parse_float(&value(name))));
                numbers_compare(&operation, one, other)
            }
            Some("boolean") => compare(&operation, &value("value1"), &value("value2")),
            _ => {
                let (one, other) = (texts.of(value("value1")).await?, texts.of(value("value2")).await?);
                compare(&operation, &one, &other)
            }
        })
    }
}

impl Step for Compares {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let filled = self.0.iter().map(|one| one.condition.value(visit.scope));
            let (run, mut conditions, mut bytes) = (visit.run, Vec::with_capacity(self.0.len()), 0);
            for condition in filled {
                let condition = condition.map_err(Failure::flow)?;
                bytes += bytes_of(&condition);
                // They are told twice, as what was given and as what came of it.
                run.budget().has_room(2 * bytes)?;
                conditions.push(condition);
            }
            let input: Map<String, Value> = conditions
                .iter()
                .enumerate()
                .map(|(index, condition)| (index.to_string(), condition.clone()))
                .collect();
            let (mut found, mut texts) = (None, PlainTexts::default());
            for (at, (one, condition)) in self.0.iter().zip(&conditions).enumerate() {
                run.give_way().await;
                run.budget().in_time()?;
                if one.holds(condition, &mut texts, visit).await? {
                    found = Some(at);
                    break;
                }
            }
            if let Some(fields) = found.and_then(|at| conditions.get_mut(at)?.as_object_mut()) {
                fields.insert("isFulfilled".to_owned(), true.into());
            }
            let mut otherwise = json!({ "type": "string", "value1": "", "operation": "equal", "value2": "" });
            if let Some(fields) = otherwise.as_object_mut() {
                fields.insert("isFulfilled".to_owned(), found.is_none().into());
            }
            conditions.push(otherwise);
            let chosen = (0..conditions.len()).map(|at| at == found.unwrap_or(conditions.len() - 1)).collect();
            let outcome = StepOutcome::new(json!({ "conditions": input }), json!({ "conditions": conditions }));
            Ok(outcome.then(NextStep::Choose(chosen)))
        })
    }
}

fn text_at(condition: &Value, name: &str) -> String {
    condition.get(name).filter(|value| !value.is_null()).map(text_of).unwrap_or_default()
}

fn compare(operation: &str, one: &str, other: &str) -> bool {
    let as_number = |text: &str| or_zero(number_of(text));
    match operation {
        "contains" => one.contains(other),
        "notContains" => !one.contains(other),
        "endsWith" => one.ends_with(other),
        "startsWith" => one.starts_with(other),
        "equal" => one == other,
        "notEqual" => one != other,
        "larger" => as_number(one) > as_number(other),
        "largerEqual" => as_number(one) >= as_number(other),
        "smaller" => as_number(one) < as_number(other),
        "smallerEqual" => as_number(one) <= as_number(other),
        "isEmpty" => one.is_empty(),
        "notEmpty" => !one.is_empty(),
        _ => false,
    }
}

/// What is no number counts as 0.
fn or_zero(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number }
}

/// As [`compare`]: a number is never empty, and 0 has no digits that another could contain.
#[expect(clippy::float_cmp, reason = "equal is what JavaScript takes for equal")]
fn numbers_compare(operation: &str, one: f64, other: f64) -> bool {
    let text = |number: f64| if number == 0.0 { String::new() } else { shown_double(number) };
    match operation {
        "contains" => text(one).contains(&text(other)),
        "notContains" => !text(one).contains(&text(other)),
        "equal" => one == other,
        "notEqual" => one != other,
        "larger" => one > other,
        "largerEqual" => one >= other,
        "smaller" => one < other,
        "smallerEqual" => one <= other,
        "isEmpty" => false,
        "notEmpty" => true,
        _ => compare(operation, &shown_double(one), &shown_double(other)),
    }
}

/// The node `conditionAgentAgentflow`.
pub(super) struct ConditionAgent;

/// What Flowise tells the model, and an example of an answer.
const SYSTEM: &str = include_str!("condition_agent.txt");
const EXAMPLE: &str = r#"{"input": "Hello", "scenarios": ["user is asking about AI", "user is not asking about AI"], "instruction": "Your task is to check if the user is asking about AI."}"#;
const EXAMPLE_ANSWER: &str = "```json\n{\"output\": \"user is not asking about AI\"}\n```";

impl StepKind for ConditionAgent {
    fn name(&self) -> &'static str {
        "conditionAgentAgentflow"
    }

    fn decides(&self) -> bool {
        true
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let speaker = ModelCaller::read("conditionAgent", inputs);
        inputs.text("conditionAgentInstructions");
        inputs.text("conditionAgentInput");
        inputs.text("conditionAgentSystemPrompt");
        inputs.flag("conditionAgentOverrideSystemPrompt");
        let scenarios = inputs.value("conditionAgentScenarios");
        let is_scenario = |scenario: &Value| scenario.get("scenario").is_some_and(Value::is_string);
        let all = scenarios.as_ref().and_then(Value::as_array);
        if all.is_none_or(Vec::is_empty) {
            inputs.lacks("conditionAgentScenarios");
        } else if !all.is_some_and(|all| all.iter().all(is_scenario)) {
            inputs.refuse("conditionAgentScenarios", "expected a list of scenarios");
        }
        Some(Box::new(Chooses(Arc::new(speaker?))))
    }
}

#[derive(Debug)]
struct Chooses(Arc<ModelCaller>);

impl Step for Chooses {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(
            async move { self.choose(visit).await.map_err(|failure| failure.within("Error in Condition Agent node")) },
        )
    }
}

impl Chooses {
    async fn choose(&self, visit: &StepContext<'_>) -> Result<StepOutcome, Failure> {
        let scenarios: Vec<String> = visit
            .list("conditionAgentScenarios")
            .iter()
            .map(|scenario| scenario.get("scenario").map(text_of).unwrap_or_default())
            .collect();
        let instructions = visit.text("conditionAgentInstructions");
        let input = Some(visit.text("conditionAgentInput")).filter(|input| !input.is_empty());
        let input = input.unwrap_or_else(|| visit.said.unwrap_or_default().to_owned());
        let asked = format!(
            "{{\"input\": {input}, \"scenarios\": {}, \"instruction\": {instructions}}}",
            Value::from(scenarios.clone())
        );
        let mut talk = ChatTranscript::default();
        before(&mut talk, visit);
        self.recall(&mut talk, visit).await?;
        talk.say("user", &asked);
        let own = Some(visit.text("conditionAgentSystemPrompt")).filter(|own| !own.is_empty());
        let own = own.filter(|_| visit.flag("conditionAgentOverrideSystemPrompt"));
        let mut all = ChatTranscript::default();
        all.say("system", own.as_deref().unwrap_or(SYSTEM));
        all.say("user", EXAMPLE);
        all.say("assistant", EXAMPLE_ANSWER);
        all.messages.append(&mut talk.messages);
        let clock = Stopwatch::start();
        let answered = visit.run.ask(&*self.0.model, ModelRequest::of(&all.messages)).await?;
        let Some(said) = scenario(&answered.text) else {
            return Err(Failure::flow(format!(
                "Failed to parse a valid scenario from the LLM's response. Please check if the model is capable of \
                 following JSON output instructions. Raw LLM Response: \"{}\"",
                answered.text
            )));
        };
        let best = best(&scenarios, &said);
        let conditions: Vec<Value> = scenarios
            .iter()
            .enumerate()
            .map(|(at, scenario)| json!({ "output": scenario, "isFulfilled": at == best }))
            .collect();
        let mut output = Map::new();
        output.insert("conditions".to_owned(), conditions.into());
        output.insert("content".to_owned(), answered.text.as_str().into());
        output.insert("timeMetadata".to_owned(), clock.stop());
        add_usage(&mut output, &answered);
        if let Some(shown) = talk.shown.last_mut() {
            *shown = turn("user", &readable(&input, &scenarios, &instructions));
        }
        let first = visit
            .is_first()
            .then(|| self.0.images(visit).into_iter().chain([turn("user", visit.said.unwrap_or_default())]));
        let turns = first.into_iter().flatten().collect();
        let chosen = (0..scenarios.len()).map(|at| at == best).collect();
        let outcome = StepOutcome::new(json!({ "messages": talk.shown }), Value::Object(output)).saying(turns);
        Ok(outcome.then(NextStep::Choose(chosen)))
    }

    async fn recall(&self, talk: &mut ChatTranscript, visit: &StepContext<'_>) -> Result<(), Failure> {
        let request = visit.run.request;
        let images = self.0.images(visit).filter(|_| visit.is_first());
        if !visit.flag("conditionAgentEnableMemory") {
            talk.recall(&images, request);
            return Ok(());
        }
        let past = visit.runtime.past.iter().chain(&visit.runtime.history).map(Cow::Borrowed);
        let past: Vec<Cow<'_, Value>> = past.chain(images.map(Cow::Owned)).collect();
        match visit.text("conditionAgentMemoryType").as_str() {
            "windowSize" => talk.recall(plainly(last(&past, &visit.text("conditionAgentMemoryWindowSize"))), request),
            "conversationSummary" if !past.is_empty() => {
                talk.say("assistant", &self.0.summary(&past, visit).await?);
            }
            "conversationSummaryBuffer" => self.0.recall_or_sum_up(talk, &past, visit).await?,
            _ => talk.recall(plainly(&past), request),
        }
        Ok(())
    }
}

/// The question as clients see it.
fn readable(input: &str, scenarios: &[String], instructions: &str) -> String {
    let listed: Vec<String> =
        (1..).zip(scenarios).map(|(number, scenario): (usize, &String)| format!("{number}. {scenario}")).collect();
    format!("### Input\n{input}\n\n### Scenarios\n{}\n\n### Instruction\n{instructions}", listed.join("\n"))
}

/// The scenario that a model names, in JSON with or without a fence around it.
fn scenario(text: &str) -> Option<String> {
    let text = text.trim();
    let start = ["```json", "```", "``", "`"].iter().find_map(|fence| Some(text.find(fence)? + fence.len()));
    let start = start.or_else(|| text.find('{'))?;
    let end = ["```", "``", "`"].iter().find_map(|fence| text.rfind(fence)).or_else(|| Some(text.rfind('}')? + 1))?;
    let named: Value = json::read_str(text.get(start..end)?.trim()).ok()?;
    named.get("output")?.as_str().filter(|output| !output.is_empty()).map(str::to_owned)
}

/// The scenario that is meant; the last one if none is.
fn best(scenarios: &[String], said: &str) -> usize {
    let said = said.to_lowercase();
    let said = said.trim();
    let lower: Vec<String> = scenarios.iter().map(|scenario| scenario.to_lowercase()).collect();
    let find = |is: &dyn Fn(&str) -> bool| lower.iter().position(|scenario| is(scenario));
    find(&|scenario| scenario == said)
        .or_else(|| find(&|scenario| scenario.starts_with(said)))
        .or_else(|| find(&|scenario| scenario.contains(said) || said.contains(scenario)))
        .unwrap_or(scenarios.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_in_what_models_say() {
        assert_eq!(scenario("```json\n{\"output\": \"General\"}\n```").as_deref(), Some("General"));
        assert_eq!(scenario("Sure: {\"output\": \"General\"}").as_deref(), Some("General"));
        assert_eq!(scenario("General"), None);
        assert_eq!(scenario("{\"output\": \"\"}"), None);
        let scenarios = ["AI related".to_owned(), "General".to_owned(), "Else".to_owned()];
        assert_eq!(["general", "ai", "it is general talk", "?"].map(|said| best(&scenarios, said)), [1, 0, 1, 2]);
    }
}
