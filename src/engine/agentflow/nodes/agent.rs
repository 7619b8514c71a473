//! The node that asks a model which may call tools.

use serde_json::{Map, Value, json};

use super::super::knowledge;
use super::super::structured;
use super::super::talk::{self, Talk};
use super::super::tools::{Ready, Slot};
use super::super::{Kind, Outcome, Step, Then, Visit};
use super::refuse_if_set;
use super::speaker::{Clock, Said, Speaker, add_thoughts, formed, pretty, tell_end};
use crate::engine::Task;
use crate::engine::failure::Failure;
use crate::engine::inputs::Inputs;
use crate::engine::message::{Message, ToolCall, ToolSpec};
use crate::engine::models::{Answered, Ask};
use crate::engine::part::{Document, Tool};

/// The node `agentAgentflow`.
pub(super) struct Agent;

impl Kind for Agent {
    fn name(&self) -> &'static str {
        "agentAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let speaker = Speaker::read("agent", inputs);
        let said = Speaker::read_rest("agent", inputs);
        let knowledge = knowledge::read("agentKnowledgeDocumentStores", inputs);
        refuse_if_set(
            inputs,
            &["agentKnowledgeVSEmbeddings"],
            "what is in a vector database is not in the export: the engine searches document stores",
        );
        let built_in = ["agentToolsBuiltInOpenAI", "agentToolsBuiltInGemini", "agentToolsBuiltInAnthropic"];
        refuse_if_set(inputs, &built_in, "the engine does not know tools that are built into a model");
        let listed = inputs.value("agentTools").and_then(|tools| tools.as_array().cloned()).unwrap_or_default();
        let tools: Vec<_> = listed
            .iter()
            .map(|tool| {
                let kind = tool.get("agentSelectedTool").and_then(Value::as_str).unwrap_or_default();
                let asks_first = tool.get("agentSelectedToolRequiresHumanInput") == Some(&Value::Bool(true));
                Slot::read(kind, tool.get("agentSelectedToolConfig"), asks_first, "agentTools", inputs)
            })
            .collect();
        let tools = tools.into_iter().collect::<Option<Vec<_>>>();
        Some(Box::new(Acts { speaker: speaker?, said, tools: tools?, knowledge: knowledge? }))
    }
}

#[derive(Debug)]
struct Acts {
    speaker: Speaker,
    said: Said,
    tools: Vec<Slot>,
    /// What searches document stores.
    knowledge: Vec<Ready>,
}

impl Step for Acts {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Outcome> {
        Box::pin(async move { self.act(visit).await.map_err(|failure| failure.within("Error in Agent node")) })
    }
}

/// An agent at work.
struct Work<'a> {
    agent: &'a Acts,
    visit: &'a Visit<'a>,
    tools: Vec<Ready>,
    specs: Vec<ToolSpec>,
    talk: Talk,
    /// Whether its tokens go to the client as they come.
    streams: bool,
    is_formed: bool,
    used: Vec<Value>,
    sources: Vec<Document>,
    /// Tokens that calls of tools took, counted as Flowise does.
    tokens: u64,
    thoughts: Vec<String>,
    waits: bool,
}

impl Acts {
    async fn act(&self, visit: &Visit<'_>) -> Result<Outcome, Failure> {
        let mut tools: Vec<Ready> = self.tools.iter().flat_map(|slot| slot.tools(visit.scope)).collect();
        tools.extend_from_slice(&self.knowledge);
        let available: Vec<Value> = tools.iter().map(Ready::shown).collect();
        let schema = self.said.schema(visit)?;
        let mut work = Work {
            agent: self,
            visit,
            specs: specs(&tools),
            tools,
            talk: self.speaker.talk(visit, true).await?,
            streams: visit.is_last && self.speaker.streams && schema.is_none(),
            is_formed: schema.is_some(),
            used: Vec::new(),
            sources: Vec::new(),
            tokens: 0,
            thoughts: Vec::new(),
            waits: false,
        };
        let clock = Clock::start();
        let mut answered = if let Some(answer) = visit.answer {
            work.resume(answer).await?
        } else {
            let first = work.ask().await?;
            if first.calls.is_empty() {
                if !work.streams && visit.is_last && !work.is_formed {
                    visit.run.sink.bare_token(&first.text);
                }
                first
            } else {
                work.call_all(first).await?
            }
        };
        work.tell_used();
        let time = clock.stop();
        let mut text = answered.text.clone();
        let mut fields = Map::new();
        if let Some(schema) = &schema {
            let asked =
                [Message::user(format!("Convert the following response to the structured output format: {text}"))];
            let ask = Ask { schema: Some((structured::NAME, schema)), ..Ask::of(&asked) };
            answered = visit.run.ask(&*self.speaker.model, ask).await?;
            (fields, _) = formed(&answered)?;
            text = format!("```json\n{}\n```", pretty(&Value::Object(fields.clone())));
            if visit.is_last {
                visit.run.sink.bare_token(&text);
            }
        }
        let mut output = Map::new();
        output.insert("content".to_owned(), text.as_str().into());
        output.insert("timeMetadata".to_owned(), time);
        work.describe(&mut output, &answered, available, &fields);
        if work.streams {
            tell_end(visit, &answered);
        }
        let for_state = if schema.is_some() { pretty(&Value::Object(fields)) } else { text.clone() };
        let state = self.said.changes.applied(visit, &for_state);
        let mut turns = self.speaker.remembered(visit);
        let mut own = visit.turn("agentReturnResponseAs", &text);
        if let (Some(own), false) = (own.as_object_mut(), work.used.is_empty()) {
            own.insert("additional_kwargs".to_owned(), json!({ "usedTools": work.used }));
        }
        turns.push(own);
        let input = self.speaker.shown(visit, work.talk.shown);
        let then = if work.waits { Then::Wait } else { Then::Next };
        Ok(Outcome::new(input, Value::Object(output)).with_state(state).saying(turns).then(then))
    }
}

fn specs(tools: &[Ready]) -> Vec<ToolSpec> {
    tools.iter().map(|ready| ready.tool.spec().clone()).collect()
}

fn total(answered: &Answered) -> u64 {
    answered.usage_metadata.get("total_tokens").and_then(Value::as_u64).unwrap_or_default()
}

impl Work<'_> {
    async fn ask(&mut self) -> Result<Answered, Failure> {
        let tokens = self.streams.then_some(self.visit.run.sink);
        let ask = Ask { tools: &self.specs, ..Ask::of(&self.talk.messages).telling_bare(tokens) };
        let answered = self.visit.run.ask(&*self.agent.speaker.model, ask).await?;
        if !answered.thinking.is_empty() {
            self.thoughts.push(answered.thinking.clone());
        }
        Ok(answered)
    }

    /// Calls what a model wants to be called, and tells it the results, until it answers.
    async fn call_all(&mut self, mut answered: Answered) -> Result<Answered, Failure> {
        loop {
            self.visit.run.budget().has_tool_calls(answered.calls.len())?;
            self.tokens += total(&answered);
            self.visit.run.sink.event("calledTools", &talk::called(&answered.calls));
            let at = self.talk.messages.len();
            self.talk.answer(&answered);
            for call in answered.calls.clone() {
                if self.asks_first(&call.name) {
                    return Ok(self.wait(at, answered, &call));
                }
                self.call(&call).await?;
            }
            if let Some(direct) = self.direct(&answered.calls) {
                return Ok(direct);
            }
            answered = self.go_on().await?;
            if answered.calls.is_empty() {
                return Ok(answered);
            }
        }
    }

    /// What the model says to the results.
    async fn go_on(&mut self) -> Result<Answered, Failure> {
        let answered = self.ask().await?;
        if !self.streams && self.visit.is_last && !self.is_formed {
            self.visit.run.sink.bare_token(&answered.text);
        }
        self.tokens += total(&answered);
        Ok(answered)
    }

    fn find(&self, name: &str) -> Option<&Ready> {
        self.tools.iter().find(|ready| ready.tool.spec().name == name)
    }

    /// Whether the user is asked before that tool is called; nobody is inside an iteration.
    fn asks_first(&self, name: &str) -> bool {
        self.visit.iteration.is_none() && self.find(name).is_some_and(|ready| ready.asks_first)
    }

    async fn call(&mut self, call: &ToolCall) -> Result<(), Failure> {
        let Some(ready) = self.find(&call.name) else {
            // Providers want an answer to every call.
            self.talk.result(call, &format!("There is no tool {}.", call.name), &[]);
            return Ok(());
        };
        let tool: std::sync::Arc<dyn Tool> = std::sync::Arc::clone(&ready.tool);
        match self.visit.run.call(&*tool, &call.arguments).await {
            Ok(result) => {
                self.talk.result(call, &result.text, &result.sources);
                self.sources.extend(result.sources);
                self.used.push(json!({ "tool": call.name, "toolInput": call.arguments, "toolOutput": result.text }));
                Ok(())
            }
            Err(failure) => {
                self.used.push(json!({
                    "tool": call.name, "toolInput": call.arguments, "toolOutput": "", "error": failure.to_string(),
                }));
                self.visit.run.sink.event("usedTools", &self.used.clone().into());
                Err(failure)
            }
        }
    }

    /// The result of a tool that is the answer.
    fn direct(&self, calls: &[ToolCall]) -> Option<Answered> {
        let [call] = calls else { return None };
        self.find(&call.name).filter(|ready| ready.tool.returns_directly())?;
        let text = self.used.last()?.get("toolOutput")?.as_str()?.to_owned();
        if !self.is_formed {
            self.visit.run.sink.bare_token(&text);
        }
        Some(Answered { text, ..Answered::default() })
    }

    /// Asks the user before a tool is called.
    fn wait(&mut self, at: usize, mut answered: Answered, call: &ToolCall) -> Answered {
        let details = pretty(&talk::shown_call(call));
        answered.text = format!("{}\nAttempting to use tool:\n```json\n{details}\n```", answered.text);
        if !self.is_formed {
            self.visit.run.sink.bare_token(&answered.text);
        }
        // What the model said, and what is remembered of it.
        if let Some(message) = self.talk.messages.get_mut(at) {
            message.content = crate::engine::message::Content::Text(answered.text.clone());
        }
        if let Some(shown) = self.talk.shown.get_mut(at).and_then(Value::as_object_mut) {
            shown.insert("content".to_owned(), answered.text.as_str().into());
        }
        self.waits = true;
        answered
    }

    /// Goes on where the user was asked, with the tool or without it.
    async fn resume(&mut self, answer: &Value) -> Result<Answered, Failure> {
        let action = self.visit.runtime.last_output().and_then(|output| output.get("humanInputAction"));
        let messages = action.and_then(|action| action.get("data")?.get("input")?.get("messages")?.as_array()).cloned();
        let Some((last, before)) = messages.as_deref().and_then(<[Value]>::split_last) else {
            return Ok(Answered::default());
        };
        self.talk = Talk::default();
        self.talk.recall(before, self.visit.run.request);
        let asked = talk::message(last, self.visit.run.request);
        let counted = last.get("usage_metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        let answered = Answered {
            text: asked.content.plain(),
            calls: asked.calls,
            usage_metadata: counted,
            ..Answered::default()
        };
        if answered.calls.is_empty() {
            return Ok(answered);
        }
        self.tokens += total(&answered);
        self.visit.run.sink.event("calledTools", &talk::called(&answered.calls));
        if answer.get("type").and_then(Value::as_str) == Some("proceed") {
            self.talk.recall([last], self.visit.run.request);
            for call in &answered.calls {
                self.call(call).await?;
            }
            if let Some(direct) = self.direct(&answered.calls) {
                return Ok(direct);
            }
        } else {
            self.drop_tools(&answered.calls);
        }
        let answered = self.go_on().await?;
        if answered.calls.is_empty() { Ok(answered) } else { self.call_all(answered).await }
    }

    /// Without what the user does not want to be called.
    fn drop_tools(&mut self, calls: &[ToolCall]) {
        let kinds: Vec<String> =
            calls.iter().filter_map(|call| self.find(&call.name)).map(|ready| ready.kind.clone()).collect();
        self.tools.retain(|ready| !kinds.contains(&ready.kind));
        self.specs = specs(&self.tools);
    }

    fn tell_used(&self) {
        if !self.visit.is_last {
            return;
        }
        if !self.used.is_empty() {
            self.visit.run.sink.event("usedTools", &self.used.clone().into());
        }
        if !self.sources.is_empty() {
            self.visit.run.sink.event("sourceDocuments", &talk::shown_sources(&self.sources));
        }
    }

    /// What clients see of the answer beside its text.
    fn describe(
        &self,
        output: &mut Map<String, Value>,
        answered: &Answered,
        available: Vec<Value>,
        fields: &Map<String, Value>,
    ) {
        if !self.is_formed {
            output.insert("calledTools".to_owned(), answered.calls.iter().map(talk::shown_call).collect());
            let mut usage = answered.usage_metadata.clone();
            if !usage.is_empty() || self.tokens > 0 {
                usage.insert("total_tokens".to_owned(), (total(answered) + self.tokens).into());
                usage.insert("tool_call_tokens".to_owned(), self.tokens.into());
                output.insert("usageMetadata".to_owned(), Value::Object(usage));
            }
            if !answered.response_metadata.is_empty() {
                output.insert("responseMetadata".to_owned(), Value::Object(answered.response_metadata.clone()));
            }
        }
        let fields = fields.iter().filter(|(_, value)| !value.is_null());
        output.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
        if !self.used.is_empty() {
            output.insert("usedTools".to_owned(), self.used.clone().into());
        }
        if !self.sources.is_empty() {
            output.insert("sourceDocuments".to_owned(), talk::shown_sources(&self.sources));
        }
        if !available.is_empty() {
            output.insert("availableTools".to_owned(), available.into());
        }
        if self.waits {
            output.insert("isWaitingForHumanInput".to_owned(), true.into());
        }
        add_thoughts(output, &self.thoughts.join("\n\n"));
    }
}
