//! What became of a flow that was asked.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::given::Given;
use crate::engine::compile::context::CompileContext;
use crate::engine::compile::problem::NodeProblem;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::contract::node::{Reply, ReplyContent};
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{answered_among, put_in, services};

#[derive(Debug)]
pub(super) enum Verdict {
    /// After these settings were filled in.
    Answers(String),
    /// It is not loaded.
    Refused(String),
    /// Somebody has to fill in something first, which it says itself.
    Lacks(String),
    Fails(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Answers(_) => "answers",
            Self::Refused(_) => "refused",
            Self::Lacks(_) => "lacks",
            Self::Fails(_) => "fails",
        })
    }
}

impl Verdict {
    pub(super) fn why(&self) -> String {
        match self {
            Self::Answers(filled) if filled.is_empty() => String::new(),
            Self::Answers(filled) => format!(": once there is something in {filled}"),
            Self::Refused(why) | Self::Lacks(why) | Self::Fails(why) => format!(": {why}"),
        }
    }
}

/// Loads a flow, gives it what it wants, and asks it.
pub(super) fn of(text: &str, folder: Option<&Path>, stage: SocketAddr) -> Verdict {
    let mut given = Given::default();
    let mut text = text.to_owned();
    // What was given may show what else is wanted.
    for _ in 0..8 {
        let context = given.context(stage);
        let flow = match CompiledFlow::load(folder.map(Path::to_owned), "staged", &text, &context) {
            Ok(flow) => flow,
            Err(problems) => return Verdict::Refused(told(&problems)),
        };
        if !given.give(&flow.missing) {
            let verdict = performed(&flow, &given, &context, &text);
            // Whoever takes it fills that in.
            if !matches!(verdict, Verdict::Lacks(_)) || !given.fill_in(&flow.missing) {
                return verdict;
            }
        }
        if let Ok(mut export) = serde_json::from_str::<Value>(&text) {
            given.put_into(&mut export);
            text = export.to_string();
        }
    }
    Verdict::Fails("it wants something else each time".to_owned())
}

fn told(problems: &[NodeProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn performed(flow: &CompiledFlow, given: &Given, context: &Arc<CompileContext>, text: &str) -> Verdict {
    let refused = flow.missing.iter().find_map(|missing| missing.need.refusal());
    if let Some(why) = refused {
        return Verdict::Refused(why);
    }
    let export: Value = serde_json::from_str(text).unwrap_or_default();
    let inner = Arc::new(CompiledFlow::load(None, "inner", INNER, context).unwrap());
    let flows: FlowIndex = given.flows.iter().map(|name| (name.clone(), Arc::clone(&inner))).collect();
    let (services, flows) = (services(), Arc::new(flows));
    let mut body = json!({ "question": "What is 6*7, and why? Do [AI]." });
    if let Some(form) = form(&export) {
        body = json!({ "form": form });
    }
    match answered_among(flow, &flows, &services, &body) {
        Ok(reply) => match going_on(&reply) {
            // It waits for its user, who agrees.
            Some(node) => {
                let agreed =
                    json!({ "question": "", "humanInput": { "type": "proceed", "startNodeId": node, "feedback": "" } });
                verdict(answered_among(flow, &flows, &services, &agreed), given)
            }
            None => verdict(Ok(reply), given),
        },
        // It fills a store, and no more.
        Err(failure) if failure.to_string().contains("no chain or agent that ends it") => {
            match put_in(flow, &services, &body) {
                Ok(_) => Verdict::Answers(given.filled()),
                Err(failure) => verdict(Err(failure), given),
            }
        }
        Err(failure) => verdict(Err(failure), given),
    }
}

fn verdict(answered: Result<Reply, Failure>, given: &Given) -> Verdict {
    match answered {
        Ok(Reply { said: ReplyContent::Text(text), executed, agents, .. })
            if text.trim().is_empty() && executed.is_none() && agents.is_none() =>
        {
            Verdict::Fails("its answer is empty".to_owned())
        }
        Ok(_) => Verdict::Answers(given.filled()),
        Err(failure) => {
            let words = failure.to_string();
            if words.contains("Nothing is set in ") || words.contains("Nothing is connected to ") {
                Verdict::Lacks(words)
            } else {
                Verdict::Fails(words)
            }
        }
    }
}

/// The node of an agentflow that asks its user.
fn going_on(reply: &Reply) -> Option<String> {
    let action = reply.executed.as_ref()?.action.as_ref()?;
    Some(action.pointer("/data/nodeId")?.as_str()?.to_owned())
}

/// A flow that flows run.
const INNER: &str = r#"{"nodes":[{"id":"start","data":{"name":"startAgentflow","label":"Start","inputs":{"startInputType":"chatInput"}}},
    {"id":"reply","data":{"name":"directReplyAgentflow","label":"Reply","inputs":{"directReplyMessage":"An inner answer."}}}],
    "edges":[{"source":"start","target":"reply"}]}"#;

/// What a form asks for; `None`: it asks for nothing.
fn form(export: &Value) -> Option<Value> {
    let nodes = export.get("nodes")?.as_array()?;
    let start = nodes.iter().find(|node| node["data"]["name"] == "startAgentflow")?;
    let inputs = &start["data"]["inputs"];
    if inputs["startInputType"] != "formInput" {
        return None;
    }
    let field = |field: &Value| {
        let value = match field["type"].as_str().unwrap_or_default() {
            "number" => json!(7),
            "boolean" => json!(true),
            "options" => field.pointer("/addOptions/0/option").cloned().unwrap_or_default(),
            _ => json!("tea"),
        };
        Some((field["name"].as_str()?.to_owned(), value))
    };
    let fields = inputs["formInputTypes"].as_array()?.iter().filter_map(field);
    Some(Value::Object(fields.collect::<Map<_, _>>()))
}
