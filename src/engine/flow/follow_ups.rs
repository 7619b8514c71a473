//! What might be asked next, made by a model after each answer, where the flow's author has switched it on (*Follow-up
//! Prompts*). An answer is not worse for want of it: where the model fails, there is none.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::engine::compile::Compiler;
use crate::engine::compile::export::{Export, ExportNode};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{OutputParser, Reply, ReplyContent};
use crate::engine::contract::run::Run;
use crate::engine::models::ollama::FormedOllama;
use crate::wire::json::read_str;

/// The place in an export, and the name of what stands for it among the flow's nodes.
const FOLLOW_UPS: &str = "followUpPrompts";
const LABEL: &str = "Follow-up Prompts";
/// The place of the answer in the author's words.
const HISTORY: &str = "{history}";
const PROVIDERS: [&str; 7] =
    ["chatOpenAI", "chatAnthropic", "azureChatOpenAI", "chatGoogleGenerativeAI", "chatMistralAI", "groqChat", "ollama"];
const FORM: &str = "z.object({ questions: z.array(z.string()) }).describe('Generate Follow Up Prompts')";
const OLLAMA: &str = "http://127.0.0.1:11434";
/// Questions of one answer, and letters of one.
const MOST: usize = 20;
const LONGEST: usize = 2_000;

/// See the module.
#[derive(Debug)]
pub(super) struct FollowUps {
    model: Arc<dyn ChatModel>,
    prompt: String,
    /// Where the model is told in words what its answer looks like.
    parser: Option<Arc<dyn OutputParser>>,
    is_formed: bool,
}

/// The author's settings, if they are switched on. They are in a place of their own beside the flow; older versions had
/// them among those of the widget.
pub(super) fn settings(export: &Export) -> Option<Map<String, Value>> {
    let of_widget = || export.chatbot_config.as_ref()?.get(FOLLOW_UPS)?.as_object();
    let settings = export.follow_up_prompts.as_ref().or_else(of_widget)?;
    let is_on = settings.get("status").is_some_and(|status| *status == true || *status == "true");
    let provider = settings.get("selectedProvider")?.as_str()?;
    (is_on && settings.get(provider).is_some_and(Value::is_object)).then(|| settings.clone())
}

/// What stands for them among the flow's nodes.
pub(super) fn node() -> ExportNode {
    ExportNode::of_flow(FOLLOW_UPS, LABEL)
}

/// As the answer's schema is told to models.
fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "questions": { "type": "array", "items": { "type": "string" } } },
        "required": ["questions"],
        "additionalProperties": false,
        "description": "Generate Follow Up Prompts",
        "$schema": "http://json-schema.org/draft-07/schema#",
    })
}

/// The same for Ollama, which makes its models keep to it.
fn form() -> Value {
    let description = "Three follow-up questions based on the conversation history";
    let questions = json!({ "type": "array", "items": { "type": "string" }, "minItems": 3, "maxItems": 3,
        "description": description });
    json!({ "type": "object", "properties": { "questions": questions }, "required": ["questions"],
        "additionalProperties": false })
}

impl FollowUps {
    /// Of a flow that is compiled; what is missing is told of it.
    pub(super) fn read(compiler: &mut Compiler<'_>) -> Option<Arc<Self>> {
        let settings = settings(compiler.export)?;
        let provider = settings.get("selectedProvider")?.as_str()?;
        let node = node();
        let own = settings.get(provider)?.as_object().cloned()?;
        let mut inputs = Inputs::new(&node, own, compiler);
        if !PROVIDERS.contains(&provider) {
            inputs.refuse("selectedProvider", format!("{provider} makes no follow-up prompts in Flowise 3.1.4"));
            return None;
        }
        let prompt = inputs.required_text("prompt");
        let model_name = inputs.required_text("modelName");
        let mut config = Map::from_iter([("modelName".to_owned(), model_name.unwrap_or_default().into())]);
        let credential = inputs.text("credentialId").map(|id| ("FLOWISE_CREDENTIAL_ID".to_owned(), id.into()));
        config.extend(credential);
        config.extend(inputs.number("temperature").map(|number| ("temperature".to_owned(), number.into())));
        let is_formed = provider == "ollama";
        let model = if is_formed {
            let url = inputs.text("baseUrl").unwrap_or_else(|| OLLAMA.to_owned());
            config.insert("baseUrl".to_owned(), url.into());
            inputs.part_inside(&FormedOllama(form()), provider, config).and_then(Part::into_model)
        } else {
            inputs.model_inside(provider, config)
        };
        // Flowise tells this one in words.
        let parser = if provider == "azureChatOpenAI" { Some(parser(&mut inputs)?) } else { None };
        if inputs.is_unset() {
            return None;
        }
        Some(Arc::new(Self { model: model?, prompt: prompt?, parser, is_formed }))
    }

    /// Puts into an answer what might be asked next.
    pub(super) async fn add(&self, reply: &mut Reply, run: &Run<'_>) -> Result<(), Failure> {
        let said = reply.said.remembered();
        if said.is_empty() {
            return Ok(());
        }
        match self.asked(&said, run).await {
            Ok(questions) => reply.follow_ups = questions,
            Err(Failure::Aborted) => return Err(Failure::Aborted),
            Err(failure) => {
                let words = run.told(&failure);
                tracing::warn!(flow = run.flow, error = %words, "no follow-up prompts could be made");
            }
        }
        Ok(())
    }

    async fn asked(&self, said: &str, run: &Run<'_>) -> Result<Vec<String>, Failure> {
        let (prompt, schema) = (self.prompted(said), schema());
        let messages = [Message::user(prompt)];
        let is_called = self.parser.is_none() && !self.is_formed;
        let ask = ModelRequest { schema: is_called.then_some(("extract", &schema)), ..ModelRequest::of(&messages) };
        let text = run.ask(&*self.model, ask).await?.text;
        let value = match &self.parser {
            Some(parser) => match parser.parse(&text).map_err(Failure::flow)? {
                ReplyContent::Json(value) => value,
                ReplyContent::Text(_) => Value::Null,
            },
            None => read_str(&text).map_err(|_| Failure::flow("the model's answer is no JSON"))?,
        };
        let questions = value.get("questions").and_then(Value::as_array).into_iter().flatten().take(MOST);
        let questions = questions.filter_map(Value::as_str).map(|text| text.chars().take(LONGEST).collect());
        Ok(questions.collect())
    }

    fn prompted(&self, said: &str) -> String {
        let Some(parser) = &self.parser else { return self.prompt.replacen(HISTORY, said, 1) };
        // Here the author's words are a template, in which doubled braces are braces.
        let plain = |text: &str| text.replace("{{", "{").replace("}}", "}");
        let words: Vec<String> = self.prompt.split(HISTORY).map(plain).collect();
        let (indent, told) = (" ".repeat(20), parser.instructions());
        format!("\n{indent}{}\n{indent}{}\n{indent}{told}\n{}", words.join(said), " ".repeat(12), " ".repeat(16))
    }
}

fn parser(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn OutputParser>> {
    let kind = inputs.compiler.kinds.find("advancedStructuredOutputParser")?;
    let config = Map::from_iter([("exampleJson".to_owned(), FORM.into())]);
    inputs.part_inside(kind, "advancedStructuredOutputParser", config).and_then(Part::into_parser)
}

#[cfg(test)]
mod tests;
