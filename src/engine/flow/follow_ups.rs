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
mod tests {
    use super::*;
    use crate::engine::flow::CompiledFlow;
    use crate::engine::testing::{answer, flow_at, predict, server};

    /// A flow that answers by the test's model, with these settings; its requests go to that server.
    fn flow(settings: &Value, origin: &str) -> Result<CompiledFlow, String> {
        let mut export = json!({ "nodes": [
            { "id": "m", "data": { "name": "testModel", "inputs": {} } },
            { "id": "p", "data": { "name": "promptTemplate", "inputs": { "template": "{question}" } } },
            { "id": "c", "data": { "name": "llmChain", "inputs": { "model": "{{m.data.instance}}", "prompt": "{{p.data.instance}}" } } },
        ], "edges": [{ "source": "m", "target": "c" }, { "source": "p", "target": "c" }] });
        export["followUpPrompts"] = settings.to_string().into();
        let secrets = [
            ("openAIApi", "openAIApiKey", "sk-open"),
            ("of-anthropic", "anthropicApiKey", "sk-ant"),
            ("azureOpenAIApi", "azureOpenAIApiKey", "sk-az"),
            ("azureOpenAIApi", "azureOpenAIApiInstanceName", "in"),
            ("azureOpenAIApi", "azureOpenAIApiDeploymentName", "de"),
            ("azureOpenAIApi", "azureOpenAIApiVersion", "2024-02-01"),
        ];
        flow_at(origin.strip_prefix("http://").unwrap().parse().unwrap(), &secrets, &export)
    }

    fn settings(provider: &str, config: &Value) -> Value {
        json!({ "status": true, "selectedProvider": provider, provider: config })
    }

    /// What the provider heard, and what the answer has.
    fn asked(settings: &Value, status: &str, told: &Value) -> (String, Value, Vec<String>) {
        let (origin, received) = server(&[&answer(status, "", &told.to_string())]);
        let flow = flow(settings, &origin).unwrap();
        let predicted = predict(&flow, &json!({ "question": "q" }), &["Tea is hot.".into()]);
        let reply = predicted.reply.unwrap();
        assert_eq!(reply.said, ReplyContent::Text("Tea is hot.".into()));
        let sent = received.try_recv().unwrap();
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap(), reply.follow_ups)
    }

    #[test]
    fn openai_is_made_to_call_for_questions() {
        let config = json!({ "credentialId": "x", "modelName": "gpt-4o-mini", "prompt": "After {history} ask {history}",
            "temperature": "0.9" });
        let arguments = json!({ "questions": ["Why?", "How?"] }).to_string();
        let call = json!({ "id": "1", "type": "function", "function": { "name": "extract", "arguments": arguments } });
        let delta = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "1", "type": "function",
            "function": call["function"] }] } }] });
        let (origin, received) = server(&[&answer("200 OK", "", &format!("data: {delta}\n\ndata: [DONE]\n\n"))]);
        let flow = flow(&settings("chatOpenAI", &config), &origin).unwrap();
        let predicted = predict(&flow, &json!({ "question": "q" }), &["Tea is hot.".into()]);
        assert_eq!(predicted.reply.unwrap().follow_ups, ["Why?", "How?"]);
        let sent = received.try_recv().unwrap();
        assert!(sent.contains("authorization: Bearer sk-open\r\n"), "{sent}");
        let body: Value = serde_json::from_str(sent.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["messages"], json!([{ "role": "user", "content": "After Tea is hot. ask {history}" }]));
        assert_eq!((&body["model"], &body["temperature"]), (&json!("gpt-4o-mini"), &json!(0.9)));
        assert_eq!(body["tools"][0]["function"]["name"], "extract");
        assert_eq!(body["tools"][0]["function"]["parameters"], schema());
        assert_eq!(body["tool_choice"]["function"]["name"], "extract");
        // The answer's own tokens alone are told.
        let tokens: Vec<_> = predicted.events.iter().filter(|(name, _)| name == "token").collect();
        assert_eq!(tokens.len(), 3, "{tokens:?}");
        // The widget is told to show them.
        assert_eq!(flow.info.chatbot[FOLLOW_UPS], json!({ "status": true }));
    }

    #[test]
    fn ollama_keeps_to_a_form_and_azure_is_told_in_words() {
        let config = json!({ "modelName": "llama3.2", "prompt": "{history}?", "baseUrl": "", "temperature": 0.7 });
        let said = json!({ "questions": ["a", "b", "c"] }).to_string();
        let told = json!({ "message": { "role": "assistant", "content": said }, "done": true });
        let (head, body, questions) = asked(&settings("ollama", &config), "200 OK", &told);
        assert!(head.starts_with("POST /api/chat HTTP/1.1\r\n"), "{head}");
        assert_eq!((&body["format"], body.get("tools")), (&form(), None));
        assert_eq!(body["messages"], json!([{ "role": "user", "content": "Tea is hot.?" }]));
        assert_eq!(questions, ["a", "b", "c"]);
        let config = json!({ "modelName": "gpt-4o", "prompt": "{{x}} {history} {history}", "temperature": 0.7 });
        let (_, body, questions) = asked(&settings("azureChatOpenAI", &config), "500 Oops", &json!({}));
        let prompt = body["messages"][0]["content"].as_str().unwrap();
        assert!(prompt.starts_with("\n                    {x} Tea is hot. Tea is hot.\n"), "{prompt}");
        assert!(prompt.contains("\"description\":\"Generate Follow Up Prompts\""), "{prompt}");
        assert_eq!(body.get("tools"), None);
        // An answer stays one without them.
        assert!(questions.is_empty());
    }

    #[test]
    fn what_is_not_set_refuses_no_flow() {
        let config = json!({ "modelName": "claude", "prompt": "{history}", "credentialId": "of-anthropic" });
        let (head, body, _) = asked(&settings("chatAnthropic", &config), "400 No", &json!({}));
        assert!(head.contains("x-api-key: sk-ant"), "{head}");
        assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "extract" }));
        let nowhere = "http://127.0.0.1:9";
        let loaded = |value: &Value| flow(value, nowhere).map(|flow| flow.missing.len());
        assert_eq!(loaded(&settings("chatOpenAI", &json!({ "prompt": "", "modelName": "" }))), Ok(2));
        // Nobody's settings, or switched off.
        let off = json!({ "status": false, "selectedProvider": "chatOpenAI", "chatOpenAI": { "modelName": "" } });
        for none in [json!({}), off, json!({ "status": true }), json!("x")] {
            assert_eq!(loaded(&none), Ok(0), "{none}");
        }
        let told = loaded(&settings("chatUnknown", &json!({}))).unwrap_err();
        assert!(told.contains("Follow-up Prompts") && told.contains("chatUnknown"), "{told}");
    }
}
