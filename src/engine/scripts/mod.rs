//! Code that a flow's author wrote, as nodes run it: what it is given, what it may ask for, and what becomes of its value.
//!
//! Values are never put into code: they are globals of the script. Only the author's own text is code, so neither a request
//! nor another flow can fill in any.

mod code;
mod databases;
mod messages;
pub(crate) mod post_processor;
mod requests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Map, Value};

use crate::config::ScriptSettings;
use crate::engine::compile::context::CompileContext;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::node::Tool;
use crate::engine::contract::run::Run;
use crate::engine::provider::Targets;
use crate::engine::sandbox::{
    RunningScript, ScriptAnswer, ScriptBounds, ScriptEvent, ScriptJob, ScriptQuestion, ScriptValue,
};
use crate::engine::text::mustache::read_json;
use crate::wire::json;

/// Requests and calls of one script that are under way at once.
const MOST_AT_ONCE: usize = 6;
/// For what a script has begun and does not wait for.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Code that can run.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    code: Arc<str>,
    settings: Arc<ScriptSettings>,
    targets: Arc<Targets>,
}

/// What a script is given beside `$vars`.
#[derive(Debug, Default)]
pub(crate) struct ScriptValues<'a> {
    /// `$input`.
    pub(crate) input: Value,
    /// `$flow`.
    pub(crate) flow: Map<String, Value>,
    /// Others, with the dollar before their names.
    pub(crate) named: Vec<(String, Value)>,
    /// `$tools`.
    pub(crate) tools: &'a [Arc<dyn Tool>],
}

/// What a script gave, as Flowise reads it: a text that looks like JSON is some.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Returned {
    Nothing,
    Text(String),
    /// What is no text; a date is one here.
    Value(Value),
}

impl Script {
    /// The code in an input; `None`: there is none, or it cannot run, which is told to the inputs.
    pub(crate) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Self> {
        let code = inputs.text(name)?;
        Self::of(code, name, inputs)
    }

    /// Code that stands in an input.
    pub(crate) fn of(code: String, input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        if inputs.refuse_settled(input) {
            return None;
        }
        if !inputs.is_of_author(&code) {
            inputs.refuse(input, "only the flow's own author can write code");
            return None;
        }
        Self::of_record(code, input, inputs)
    }

    /// Code of a record that an input names; nobody but the operator writes those.
    pub(crate) fn of_record(code: String, input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let script = Self::of_operator(code, inputs.compiler.context);
        script.map_err(|error| inputs.refuse(input, error)).ok()
    }

    /// Code that the operator keeps beside a flow.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn of_operator(code: String, context: &CompileContext) -> Result<Self, String> {
        let Some(settings) = context.scripts.clone() else {
            return Err("this configuration runs no code (engine.scripts)".to_owned());
        };
        let unknown = code::required(&code).into_iter().find(|name| !code::may_require(name, &settings.modules));
        if let Some(name) = unknown {
            let instead = code::instead(&name);
            return Err(format!(
                "it requires {name}, which the engine does not have (engine.scripts.modules){instead}"
            ));
        }
        Ok(Self { code: code.into(), settings, targets: Arc::clone(&context.targets) })
    }

    /// With more code around it.
    pub(crate) fn within(self, before: &str, behind: &str) -> Self {
        Self { code: format!("{before}{}{behind}", self.code).into(), ..self }
    }

    /// Runs it once. A failure has Flowise's words, without those that nodes put before them.
    pub(crate) async fn run(&self, values: ScriptValues<'_>, run: &Run<'_>) -> Result<Returned, Failure> {
        run.give_way().await;
        run.budget().in_time()?;
        let tools = values.tools;
        let job = self.job(values, run)?;
        let mut running = tokio::select! {
            biased;
            () = run.watch.abort.cancelled() => return Err(Failure::Aborted),
            running = run.services.sandbox.begin(job) => running.map_err(|error| thrown(&error.to_string()))?,
        };
        let mut waiting = VecDeque::new();
        let mut open: FuturesUnordered<Task<'_, ScriptAnswer>> = FuturesUnordered::new();
        let end = loop {
            while open.len() < MOST_AT_ONCE
                && let Some((id, question)) = waiting.pop_front()
            {
                open.push(self.answered(id, question, tools, run));
            }
            tokio::select! {
                biased;
                () = run.watch.abort.cancelled() => return Err(Failure::Aborted),
                event = running.next() => match event {
                    ScriptEvent::Asks { id, question } => waiting.push_back((id, question)),
                    ScriptEvent::Says { level, text } => Self::hear(&level, &text, run),
                    ScriptEvent::Ended(end) => break end,
                },
                Some(answer) = open.next(), if !open.is_empty() => running.answer(answer?),
            }
        };
        run.services.sandbox.count(&end);
        self.let_finish(running, open, waiting, tools, run).await;
        run.budget().check()?;
        returned(end.result.map_err(|error| thrown(&error.to_string()))?, run)
    }

    fn job(&self, values: ScriptValues<'_>, run: &Run<'_>) -> Result<ScriptJob, Failure> {
        let ScriptValues { input, flow, named, tools } = values;
        let mut globals = Map::new();
        globals.insert("$input".to_owned(), input);
        globals.extend(named);
        globals.insert("$vars".to_owned(), run.request.vars.clone().into());
        globals.insert("$flow".to_owned(), flow.into());
        let values = Value::Object(globals).to_string();
        run.budget().has_room(values.len())?;
        Ok(ScriptJob {
            code: Arc::clone(&self.code),
            values,
            tools: tools.iter().map(|tool| tool.spec().name.clone()).collect(),
            modules: Arc::clone(&self.settings.modules),
            bounds: ScriptBounds {
                memory: self.settings.memory,
                compute: self.settings.compute,
                time: self
                    .settings
                    .time
                    .min(run.budget().deadline().saturating_duration_since(std::time::Instant::now())),
            },
        })
    }

    /// What a script asks for; a failure that is none of the script's own ends the run.
    fn answered<'a>(
        &'a self,
        id: u32,
        question: ScriptQuestion,
        tools: &'a [Arc<dyn Tool>],
        run: &'a Run<'a>,
    ) -> Task<'a, ScriptAnswer> {
        Box::pin(async move {
            let result = match &*question.kind {
                "tool" => called(&question.head, tools, run).await,
                "postgres" => databases::asked(&self.targets, &self.settings, &question.head, run).await,
                _ => requests::fetched(&self.targets, &question.head, question.body, self.settings.memory, run).await,
            };
            match result {
                Ok(answer) => Ok(ScriptAnswer { id, result: Ok(answer) }),
                Err(failure) if failure.ends_run() => Err(failure),
                Err(failure) => Ok(ScriptAnswer { id, result: Err(run.told(&failure)) }),
            }
        })
    }

    /// Requests that nobody waits for are sent all the same, as far as that takes little time.
    async fn let_finish<'a>(
        &'a self,
        running: RunningScript,
        mut open: FuturesUnordered<Task<'a, ScriptAnswer>>,
        mut waiting: VecDeque<(u32, ScriptQuestion)>,
        tools: &'a [Arc<dyn Tool>],
        run: &'a Run<'a>,
    ) {
        drop(running);
        let all = async {
            loop {
                while open.len() < MOST_AT_ONCE
                    && let Some((id, question)) = waiting.pop_front()
                {
                    open.push(self.answered(id, question, tools, run));
                }
                if open.next().await.is_none() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = run.watch.abort.cancelled() => {}
            _ = tokio::time::timeout(AFTERWARDS, all) => {}
        }
    }

    /// For authors who look for a fault in the log.
    fn hear(level: &str, text: &str, run: &Run<'_>) {
        let words = run.watch.redactor.sentence(text);
        tracing::debug!(flow = run.flow, level, said = %words, "a script writes to its console");
    }
}

/// Calls one of the tools of a script.
async fn called(head: &str, tools: &[Arc<dyn Tool>], run: &Run<'_>) -> Result<(String, Vec<u8>), Failure> {
    let mut asked: Value = json::read_str(head).map_err(|error| Failure::flow(error.to_string()))?;
    let named = asked.get("tool").and_then(Value::as_str).unwrap_or_default();
    let tool = tools.iter().find(|tool| tool.spec().name == named);
    let tool = tool.cloned().ok_or_else(|| Failure::flow("there is no such tool"))?;
    let arguments = asked.get_mut("args").map(Value::take).unwrap_or_default();
    let result = run.call(&*tool, &arguments).await?;
    Ok((Value::from(result.text).to_string(), Vec::new()))
}

/// As Flowise words it.
fn thrown(words: &str) -> Failure {
    Failure::flow(format!("NodeVM Execution Error: {words}"))
}

fn returned(value: ScriptValue, run: &Run<'_>) -> Result<Returned, Failure> {
    let looks_like_json = |text: &str| {
        let text = text.trim();
        (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'))
    };
    Ok(match value {
        ScriptValue::Nothing => Returned::Nothing,
        ScriptValue::Text(text) => {
            run.budget().has_room(text.len())?;
            let parsed = if looks_like_json(&text) { read_json(text.trim()).ok() } else { None };
            parsed.map_or(Returned::Text(text), Returned::Value)
        }
        ScriptValue::Json(text) => {
            run.budget().has_room(text.len())?;
            let value = json::read_str(&text).map_err(|error| Failure::flow(error.to_string()))?;
            Returned::Value(value)
        }
    })
}

impl Returned {
    /// Whether a condition holds.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Text(text) => !text.is_empty(),
            Self::Value(value) => match value {
                Value::Null => false,
                Value::Bool(value) => *value,
                Value::Number(number) => number.as_f64() != Some(0.0),
                _ => true,
            },
        }
    }

    /// As messages.
    ///
    /// # Errors
    /// It is no list of some.
    pub(crate) fn into_messages(self) -> Result<Vec<Message>, Failure> {
        messages::messages(&self)
    }

    /// As a value of a flow.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => text.into(),
            Self::Value(value) => value,
        }
    }

    /// As a text, objects as JSON: in one line, or spread over several.
    pub(crate) fn into_text(self, is_spread: bool) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text,
            Self::Value(value) if is_spread => format!("{value:#}"),
            Self::Value(value) => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
