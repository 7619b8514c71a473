//! What nodes for OpenAI's models set, and how it is sent.

use serde_json::{Map, Value};

use super::request::Style;
use crate::engine::compile::inputs::Inputs;
use crate::engine::models::connection::number;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Settings {
    temperature: Option<f64>,
    top_p: Option<f64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    most: Option<u64>,
    stop: Vec<String>,
    streams: bool,
    strict: bool,
    /// Flowise's settings of models that reason; `None`: of others.
    reasoning: Option<Reasoning>,
}

#[derive(Debug, Default)]
struct Reasoning {
    effort: Option<String>,
    summary: Option<String>,
}

impl Settings {
    /// What all the nodes have; `stop` and the penalties where a node has them.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Self {
        Self {
            temperature: inputs.number("temperature"),
            top_p: inputs.number("topP").filter(|top_p| *top_p != 0.0),
            frequency_penalty: inputs.number("frequencyPenalty").filter(|penalty| *penalty != 0.0),
            presence_penalty: inputs.number("presencePenalty").filter(|penalty| *penalty != 0.0),
            most: inputs.integer("maxTokens").filter(|most| *most > 0),
            stop: stop_words(inputs),
            streams: inputs.streams(),
            strict: false,
            reasoning: None,
        }
    }

    /// Reads what the author says about reasoning, for a model that Flowise takes for one that reasons: it takes
    /// neither a temperature nor stop words.
    pub(super) fn with_reasoning(self, inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Self {
        // The switch only shows the two others in the editor, and what other models have of them is not sent.
        inputs.ignore(&["reasoning"]);
        let reasoning = Reasoning { effort: inputs.text("reasoningEffort"), summary: inputs.text("reasoningSummary") };
        Self { reasoning: Some(reasoning).filter(|_| flowise_reasons(model)), ..self }
    }

    pub(super) fn with_strictness(self, inputs: &mut Inputs<'_, '_, '_>) -> Self {
        Self { strict: inputs.flag("strictToolCalling").unwrap_or(false), ..self }
    }

    /// Whether the newer of OpenAI's two APIs is used, as Flowise's library chooses.
    pub(super) fn wants_responses(&self, model: &str) -> bool {
        self.has_summary() || model.contains("gpt-5.2-pro") || model.contains("codex")
    }

    pub(super) fn has_summary(&self) -> bool {
        self.reasoning.as_ref().is_some_and(|reasoning| reasoning.summary.is_some())
    }

    pub(super) fn style(&self, model: &str) -> Style {
        Style { streams: self.streams, counts: true, strict: self.strict, developer: library_reasons(model) }
    }

    /// Into the body of chat completions.
    pub(super) fn of_completions(&self, model: &str) -> Map<String, Value> {
        let mut fields = self.common(model);
        for (name, penalty) in
            [("frequency_penalty", self.frequency_penalty), ("presence_penalty", self.presence_penalty)]
        {
            if let Some(penalty) = penalty {
                fields.insert(name.to_owned(), number(penalty));
            }
        }
        if !self.stop.is_empty() && self.reasoning.is_none() {
            fields.insert("stop".to_owned(), self.stop.clone().into());
        }
        let reasons = library_reasons(model);
        if let Some(effort) = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_ref())
            && reasons
        {
            fields.insert("reasoning_effort".to_owned(), effort.as_str().into());
        }
        if let Some(most) = self.most {
            let name = if reasons { "max_completion_tokens" } else { "max_tokens" };
            fields.insert(name.to_owned(), most.into());
        }
        fields
    }

    /// Into the body of the newer API, which knows neither penalties nor stop words.
    pub(super) fn of_responses(&self, model: &str) -> Map<String, Value> {
        let mut fields = self.common(model);
        fields.insert("text".to_owned(), Map::new().into());
        if let Some(most) = self.most {
            fields.insert("max_output_tokens".to_owned(), most.into());
        }
        if let Some(reasoning) = self.reasoning.as_ref().filter(|_| library_reasons(model)) {
            let set = [("effort", &reasoning.effort), ("summary", &reasoning.summary)];
            let set = set.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
            fields.insert("reasoning".to_owned(), Value::Object(set.collect()));
        }
        fields
    }

    fn common(&self, model: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("model".to_owned(), model.into());
        let temperature = self.temperature.filter(|_| self.reasoning.is_none());
        for (name, value) in [("temperature", temperature), ("top_p", self.top_p)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), number(value));
            }
        }
        fields
    }
}

fn stop_words(inputs: &mut Inputs<'_, '_, '_>) -> Vec<String> {
    let words = inputs.text("stopSequence").unwrap_or_default();
    words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// As Flowise tells models that reason by their names.
fn flowise_reasons(model: &str) -> bool {
    let is_o = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(['1', '3', '4']));
    is_o || model == "codex-mini" || (model.contains("gpt-5") && !model.contains("-chat"))
}

/// As Flowise's library does, on which the names of roles and fields depend.
fn library_reasons(model: &str) -> bool {
    let is_o = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    is_o || (model.starts_with("gpt-5") && !model.starts_with("gpt-5-chat"))
}
