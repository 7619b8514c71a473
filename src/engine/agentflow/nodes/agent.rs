//! The node that asks a model which may call tools.

mod approval;
mod calls;

use serde_json::{Map, Value, json};

use self::approval::ModelTurn;
use super::super::inputs::refuse_if_set;
use super::super::knowledge;
use super::super::structured;
use super::super::tools::{NodeTool, Ready};
use super::super::transcript::{self, ChatTranscript};
use super::speaker::{AnswerHandling, ModelCaller, Stopwatch, add_thoughts, formed, pretty, tell_end, tell_thoughts};
use crate::engine::agentflow::step::{NextStep, Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolSpec};
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::contract::node::Document;
use crate::predict::answer::EventName;

/// The node `agentAgentflow`.
pub(super) struct AgentNode;

impl StepKind for AgentNode {
    fn name(&self) -> &'static str {
        "agentAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let speaker = ModelCaller::read("agent", inputs);
        let said = ModelCaller::read_rest("agent", inputs);
        let knowledge = knowledge::read("agentKnowledgeDocumentStores", inputs);
        let databases = knowledge::read_databases("agentKnowledgeVSEmbeddings", inputs);
        let built_in = ["agentToolsBuiltInOpenAI", "agentToolsBuiltInGemini", "agentToolsBuiltInAnthropic"];
        refuse_if_set(inputs, &built_in, "the engine does not know tools that are built into a model");
        let listed = inputs.value("agentTools").and_then(|tools| tools.as_array().cloned()).unwrap_or_default();
        let tools: Vec<_> = listed
            .iter()
            .map(|tool| {
                let kind = tool.get("agentSelectedTool").and_then(Value::as_str).unwrap_or_default();
                let asks_first = asks_first(tool);
                NodeTool::read(kind, tool.get("agentSelectedToolConfig"), asks_first, "agentTools", inputs)
            })
            .collect();
        let tools = tools.into_iter().collect::<Option<Vec<_>>>();
        let knowledge = [knowledge?, databases?].concat();
        Some(Box::new(Acts { speaker: speaker?, said, tools: tools?, knowledge }))
    }
}

/// Whether a tool is called with the user's leave only.
pub(in crate::engine::agentflow) fn asks_first(tool: &Value) -> bool {
    tool.get("agentSelectedToolRequiresHumanInput").is_some_and(|asks| *asks == true || *asks == "true")
}

#[derive(Debug)]
struct Acts {
    speaker: ModelCaller,
    said: AnswerHandling,
    tools: Vec<NodeTool>,
    /// What searches document stores and databases.
    knowledge: Vec<Ready>,
}

impl Step for Acts {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move { self.act(visit).await.map_err(|failure| failure.within("Error in Agent node")) })
    }
}

/// An agent at work.
struct AgentRun<'a> {
    agent: &'a Acts,
    visit: &'a StepContext<'a>,
    tools: Vec<Ready>,
    specs: Vec<ToolSpec>,
    talk: ChatTranscript,
    /// Whether its tokens go to the client as they come.
    streams: bool,
    is_formed: bool,
    used: Vec<Value>,
    sources: Vec<Document>,
    /// Tokens that calls of tools took, counted as Flowise does.
    tokens: u64,
    thoughts: Vec<String>,
    turn: ModelTurn,
    waits: Option<Waits>,
}

/// What it stops for.
struct Waits {
    pending: Value,
    /// What the user decides on.
    calls: Value,
}

impl Acts {
    async fn act(&self, visit: &StepContext<'_>) -> Result<StepOutcome, Failure> {
        let mut tools = Vec::new();
        for slot in &self.tools {
            tools.extend(slot.tools(visit).await?);
        }
        tools.extend_from_slice(&self.knowledge);
        let available: Vec<Value> = tools.iter().map(Ready::shown).collect();
        let schema = self.said.schema(visit)?;
        let mut work = AgentRun {
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
            turn: ModelTurn::default(),
            waits: None,
        };
        let clock = Stopwatch::start();
        let mut answered = if let Some(answer) = visit.answer {
            work.resume(answer).await?
        } else {
            let first = work.ask().await?;
            if first.calls.is_empty() {
                if !work.streams && visit.is_last && !work.is_formed {
                    tell_thoughts(visit, &first);
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
        if let (Some(schema), None) = (&schema, &work.waits) {
            let asked =
                [Message::user(format!("Convert the following response to the structured output format: {text}"))];
            let ask = ModelRequest { schema: Some((structured::NAME, schema)), ..ModelRequest::of(&asked) };
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
        let for_state =
            if schema.is_some() && work.waits.is_none() { pretty(&Value::Object(fields)) } else { text.clone() };
        let state = self.said.changes.applied(visit, &for_state);
        let mut turns = self.speaker.remembered(visit);
        let mut own = visit.turn("agentReturnResponseAs", &text);
        if let (Some(own), false) = (own.as_object_mut(), work.used.is_empty()) {
            own.insert("additional_kwargs".to_owned(), json!({ "usedTools": work.used }));
        }
        turns.push(own);
        let input = self.speaker.given(visit, work.talk.shown);
        let then = work.waits.map_or(NextStep::Next, |Waits { pending, calls }| NextStep::Wait { pending, calls });
        Ok(StepOutcome::new(input, Value::Object(output)).with_state(state).saying(turns).then(then))
    }
}

fn specs(tools: &[Ready]) -> Vec<ToolSpec> {
    tools.iter().map(|ready| ready.tool.spec().clone()).collect()
}

fn total(answered: &ModelAnswer) -> u64 {
    answered.usage_metadata.get("total_tokens").and_then(Value::as_u64).unwrap_or_default()
}

impl AgentRun<'_> {
    fn tell_used(&self) {
        if !self.visit.is_last {
            return;
        }
        if !self.used.is_empty() {
            self.visit.run.sink.event(EventName::UsedTools, Value::from(self.used.clone()));
        }
        if !self.sources.is_empty() {
            self.visit.run.sink.event(EventName::SourceDocuments, transcript::shown_sources(&self.sources));
        }
    }

    /// What clients see of the answer beside its text.
    fn describe(
        &self,
        output: &mut Map<String, Value>,
        answered: &ModelAnswer,
        available: Vec<Value>,
        fields: &Map<String, Value>,
    ) {
        if !self.is_formed {
            output.insert("calledTools".to_owned(), answered.calls.iter().map(transcript::shown_call).collect());
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
            output.insert("sourceDocuments".to_owned(), transcript::shown_sources(&self.sources));
        }
        if !available.is_empty() {
            output.insert("availableTools".to_owned(), available.into());
        }
        if self.waits.is_some() {
            output.insert("isWaitingForHumanInput".to_owned(), true.into());
        }
        add_thoughts(output, &self.thoughts.join("\n\n"), self.visit.run.sink.take_thought());
    }
}
