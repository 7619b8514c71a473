//! What a model says: what it is asked for, as far as that shows in what it is told.

use serde_json::{Map, Value, json};

/// What a model is asked, whoever's it is.
#[derive(Debug, Default)]
pub(super) struct Prompted {
    /// All that it is told, in one text.
    pub(super) text: String,
    /// What the user said last.
    pub(super) last: String,
    /// Names and schemas of what it may call.
    pub(super) tools: Vec<(String, Value)>,
    /// Whether it has called something before, or may call nothing now.
    pub(super) has_called: bool,
    /// The one that it must call.
    pub(super) bound: Option<String>,
    /// What its answer must look like.
    pub(super) schema: Option<Value>,
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    Calls(Vec<(String, Value)>),
}

/// Two items, for whoever wants a list.
pub(super) const WORDS: &str = "The stage answers, always.";

impl Prompted {
    pub(super) fn said(&self) -> Said {
        let call = |(name, schema): &(String, Value)| (name.clone(), example(schema, ""));
        if let Some(bound) = &self.bound {
            return Said::Calls(self.tools.iter().filter(|(name, _)| name == bound).map(call).collect());
        }
        if !self.tools.is_empty() && !self.has_called {
            // All that there is, so that each is tried.
            return Said::Calls(self.tools.iter().take(8).map(call).collect());
        }
        Said::Text(self.schema.as_ref().map_or_else(|| self.words(), |schema| example(schema, "").to_string()))
    }

    /// In the form that a prompt asks for by its words.
    fn words(&self) -> String {
        let has = |words: &str| self.text.contains(words);
        if let Some(scenario) = scenario(&self.last) {
            return format!("```json\n{}\n```", json!({ "output": scenario }));
        }
        if has("next_inputs") {
            let next = json!({ "input": "hello", "query": "hello" });
            return format!("```json\n{}\n```", json!({ "destination": "DEFAULT", "next_inputs": next }));
        }
        if has("subQuestion") {
            let tool = self.text.split("```json").last().and_then(|text| text.split('"').nth(1)).unwrap_or_default();
            return format!("```json\n{}\n```", json!([{ "subQuestion": "What?", "toolName": tool }]));
        }
        if has("<final_answer>") {
            return format!("<final_answer>{WORDS}</final_answer>");
        }
        if has("Final Answer:") {
            return format!("Thought: I know.\nFinal Answer: {WORDS}");
        }
        if has("\"action\"") || has("\"Final Answer\"") {
            return format!("```json\n{}\n```", json!({ "action": "Final Answer", "action_input": WORDS }));
        }
        if has("Are these two sentences similar") {
            return "No".to_owned();
        }
        if has("API documentation") || has("API Documentation") {
            return api(&self.text);
        }
        if let Some(schema) = schema_in(&self.text) {
            return format!("```json\n{}\n```", example(&schema, ""));
        }
        WORDS.to_owned()
    }
}

/// The first of those among which a model shall choose.
fn scenario(last: &str) -> Option<String> {
    let (_, scenarios) = last.split_once("\"scenarios\": ").filter(|_| last.contains("\"instruction\": "))?;
    let scenarios = serde_json::Deserializer::from_str(scenarios).into_iter::<Value>().next()?.ok()?;
    Some(scenarios.get(0)?.as_str()?.to_owned())
}

/// An address in a documentation, and what is sent there.
fn api(text: &str) -> String {
    let url = text.find("http").and_then(|at| text.get(at..)).unwrap_or_default();
    let url = url.split(|letter: char| letter.is_whitespace() || "\"',)".contains(letter)).next().unwrap_or_default();
    if text.contains("\"data\"") || text.contains("data:") {
        json!({ "url": url, "data": { "name": "tea" } }).to_string()
    } else {
        url.to_owned()
    }
}

/// The JSON Schema that a parser's instructions show.
fn schema_in(text: &str) -> Option<Value> {
    let starts = text.match_indices('{').map(|(at, _)| at);
    let read = |at: usize| {
        let mut values = serde_json::Deserializer::from_str(text.get(at..)?).into_iter::<Value>();
        values.next()?.ok().filter(|value| value.get("$schema").is_some())
    };
    starts.rev().find_map(read)
}

/// A value that a schema takes.
pub(super) fn example(schema: &Value, name: &str) -> Value {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let end = choices.iter().find(|choice| *choice == "FINISH");
        return end.or(choices.first()).cloned().unwrap_or_default();
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(several).and_then(|all| all.get(0)) {
            return example(first, name);
        }
    }
    let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match kind {
        Some("object") => {
            let fields = schema.get("properties").and_then(Value::as_object);
            let fields = fields.into_iter().flatten();
            Value::Object(fields.map(|(name, of)| (name.clone(), example(of, name))).collect::<Map<_, _>>())
        }
        Some("array") => json!([example(schema.get("items").unwrap_or(&Value::Null), name)]),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        None if schema.get("properties").is_some() => {
            let mut with = schema.clone();
            with["type"] = "object".into();
            example(&with, name)
        }
        // What a calculator, a search and a browser take alike.
        _ if name.to_ascii_lowercase().contains("url") => "https://page.example/one".into(),
        _ => "6*7".into(),
    }
}
