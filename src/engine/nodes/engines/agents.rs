//! `LlamaIndex`'s agents: a model that asks query engines until it has an answer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::questions::EngineTool;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Message, ToolCall, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::names::OfSettings;
use crate::engine::contract::node::{Chain, Reply, Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::Toolset;
use crate::engine::nodes::memory;
use crate::engine::text::mustache::Mustache;

/// A node of this family.
pub(super) struct LlamaAgent {
    names: &'static [&'static str],
    /// Whether its answer is told as it comes.
    streams: bool,
}

pub(super) static OPENAI_AGENT: LlamaAgent = LlamaAgent { names: &["openAIToolAgentLlamaIndex"], streams: true };
pub(super) static ANTHROPIC_AGENT: LlamaAgent = LlamaAgent { names: &["anthropicAgentLlamaIndex"], streams: false };

impl NodeKind for LlamaAgent {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let memory = memory::required(inputs);
        let system = inputs.mustache("systemMessage");
        let tools: Option<Toolset> = inputs.parts("tools").into_iter().map(tools_of).collect();
        if tools.is_none() {
            inputs.refuse("tools", "expected tools");
        }
        let agent = AsksEngines { model: model?, memory: memory?, system, tools: tools?, streams: self.streams };
        Some(Part::Chain(Arc::new(agent)))
    }
}

fn tools_of(part: Part) -> Option<Toolset> {
    if let Part::Tools(tools) = part {
        return Some(tools);
    }
    let engine = part.into_own::<EngineTool>()?;
    Some(Toolset::known([Arc::new(AskedEngine::of(engine)) as Arc<dyn Tool>]))
}

/// A query engine, as a model calls it.
#[derive(Debug)]
struct AskedEngine {
    spec: ToolSpec,
    engine: Arc<EngineTool>,
}

impl AskedEngine {
    fn of(engine: Arc<EngineTool>) -> Self {
        let query = json!({ "type": "string", "description": "The query to search for" });
        let parameters = json!({ "type": "object", "properties": { "query": query }, "required": ["query"] });
        let (name, description) = (engine.name.clone(), engine.description.clone());
        Self { spec: ToolSpec { name, description, parameters }, engine }
    }
}

impl Tool for AskedEngine {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let query = arguments.get("query").and_then(Value::as_str);
            let query = query.ok_or_else(|| Failure::flow("the query engine was asked nothing"))?;
            let text = self.engine.engine.answer(query, run, false).await?.said.into_text();
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

#[derive(Debug)]
struct AsksEngines {
    model: Arc<dyn ChatModel>,
    memory: Arc<Memory>,
    system: Option<Mustache>,
    tools: Toolset,
    streams: bool,
}

impl Chain for AsksEngines {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let system = self.system.as_ref().map(|system| Message::system(system.text(&OfSettings(run))));
            let mut messages: Vec<Message> = system.into_iter().collect();
            messages.extend(self.memory.spoken(run).await?);
            messages.push(Message::user(question));
            let tokens = (is_last && self.streams).then_some(run.sink);
            if let Some(sink) = tokens {
                sink.start_with_first_token();
            }
            let tools = self.tools.tools(run).await?;
            let specs: Vec<ToolSpec> = tools.iter().map(|tool| tool.spec().clone()).collect();
            let mut used = Vec::new();
            // As long as the model wants something; how often, the run's limits say.
            let text = loop {
                let ask = ModelRequest { tools: &specs, ..ModelRequest::of(&messages).telling(tokens) };
                let answered = run.ask(&*self.model, ask).await?;
                if answered.calls.is_empty() {
                    break answered.text;
                }
                run.budget().has_tool_calls(answered.calls.len())?;
                messages.push(Message::calling(answered.text, answered.calls.clone()));
                for call in &answered.calls {
                    let output = called(&tools, call, run).await?;
                    used.push(json!({ "tool": call.name, "toolInput": call.arguments, "toolOutput": output }));
                    messages.push(Message::tool(call, output));
                }
            };
            self.memory.keep(question, &text, run).await?;
            let mut reply = Reply::text(text);
            if !used.is_empty() {
                reply.fields.insert("usedTools".to_owned(), used.into());
            }
            Ok(reply)
        })
    }
}

/// What a tool gives, or in the library's words why there is nothing.
async fn called(tools: &[Arc<dyn Tool>], call: &ToolCall, run: &Run<'_>) -> Result<String, Failure> {
    let Some(tool) = tools.iter().find(|tool| tool.spec().name == call.name) else {
        return Ok(format!("Tool {} does not exist.", call.name));
    };
    match run.call(&**tool, &call.arguments).await {
        Ok(result) => Ok(result.text),
        Err(failure) if failure.ends_run() => Err(failure),
        Err(failure) => Ok(format!("Error: {}", run.told(&failure))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::node::ReplyContent;
    use crate::engine::testing::{Predicted, flow, predict};

    fn asked(kind: &str, answers: &[Value]) -> Predicted {
        let model = "{{m.data.instance}}";
        let nodes = [
            ("m", "testModel", json!({})),
            ("b", "bufferMemory", json!({})),
            ("d", "twoDocuments", json!({ "model": model })),
            ("q", "queryEngine", json!({ "vectorStoreRetriever": "{{d.data.instance}}" })),
            (
                "t",
                "queryEngineToolLlamaIndex",
                json!({ "toolName": "docs", "toolDesc": "has documents",
                "baseQueryEngine": "{{q.data.instance}}" }),
            ),
            (
                "a",
                kind,
                json!({ "model": model, "memory": "{{b.data.instance}}", "tools": ["{{t.data.instance}}"],
                "systemMessage": "Be brief." }),
            ),
        ];
        predict(&flow(&nodes).unwrap(), &json!({ "question": "Q" }), answers)
    }

    #[test]
    fn a_model_asks_engines_until_it_has_an_answer() {
        let call = json!([{ "id": "1", "name": "docs", "arguments": { "query": "doc?" } },
            { "id": "2", "name": "none", "arguments": {} }]);
        let predicted = asked("openAIToolAgentLlamaIndex", &[call, "found".into(), "the end".into()]);
        let query = json!({ "type": "string", "description": "The query to search for" });
        let parameters = json!({ "type": "object", "properties": { "query": query }, "required": ["query"] });
        let tools = json!([{ "name": "docs", "description": "has documents", "parameters": parameters }]);
        let said = |role: &str, content: &str| json!({ "role": role, "content": content });
        assert_eq!(
            predicted.asked[0],
            json!({ "messages": [said("system", "Be brief."), said("user", "Q")], "tools": tools })
        );
        // The engine asks its own model what the documents say.
        assert!(predicted.asked[1][0]["content"].as_str().unwrap().contains("doc?"), "{}", predicted.asked[1]);
        let last = &predicted.asked[2]["messages"];
        assert_eq!((&last[3]["content"], &last[3]["tool_call_id"]), (&json!("found"), &json!("1")));
        assert_eq!(last[4]["content"], "Tool none does not exist.");
        let reply = predicted.reply.unwrap();
        assert_eq!(reply.said, ReplyContent::Text("the end".into()));
        assert_eq!(
            reply.fields["usedTools"][0],
            json!({ "tool": "docs", "toolInput": { "query": "doc?" }, "toolOutput": "found" })
        );
        let tokens: Vec<_> = predicted.events.iter().filter(|(name, _)| name == "token").collect();
        assert_eq!(tokens.len(), 2, "{tokens:?}");
    }

    #[test]
    fn the_agent_of_anthropic_is_told_in_one_piece() {
        let predicted = asked("anthropicAgentLlamaIndex", &["at once".into()]);
        assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("at once".into()));
        assert!(predicted.events.iter().all(|(name, _)| name != "token"), "{:?}", predicted.events);
    }
}
