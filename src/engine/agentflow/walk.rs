//! Goes from node to node.

mod progress;
mod rounds;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use serde_json::Value;

use super::flow::Agentflow;
use super::graph::Graph;
use super::runtime::{Iteration, Runtime};
use super::step::{NextStep, StepContext, StepNode, StepOutcome};
use super::values::StepScope;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::text::size::bytes_of;
use crate::predict::answer::EventName;

/// Flowise's own: nodes run at one level, and how often a loop goes back that says nothing about it.
const MOST_NODES: usize = 1000;
const MOST_LOOPS: u64 = 10;
/// What is said of a node that waits for its user where it cannot.
const NOBODY_TO_ASK: &str = "this node waits for its user, who cannot be asked in a flow that another one runs";

/// What all levels of a run share.
pub(super) struct WalkContext<'a> {
    pub(super) run: &'a Run<'a>,
    /// The id of the message that the answer becomes.
    pub(super) message: String,
    /// Texts of the files that came with the question.
    pub(super) files: String,
    /// What the user said.
    pub(super) said: Option<Cow<'a, str>>,
    /// Turns of the chat before this request.
    pub(super) past: Rc<[Value]>,
}

/// See the module.
pub(super) struct Walk<'a> {
    flow: &'a Agentflow,
    shared: &'a WalkContext<'a>,
    graph: &'a Graph,
    iteration: Option<&'a Iteration>,
    pub(super) runtime: Runtime,
    /// The node that waited for the user, and what the user answered.
    answer: Option<(usize, Value)>,
    /// How far the node came before it failed.
    pub(super) progress: Cell<Option<Value>>,
    /// What a node inside an iteration asks the user about, as in [`NextStep::Wait`].
    asked: Option<Value>,
    queue: VecDeque<usize>,
    /// Nodes that something came before already, but not all.
    waiting: HashMap<usize, HashSet<usize>>,
}

/// A walk that failed.
#[derive(Debug)]
pub(super) struct WalkError {
    pub(super) failure: Failure,
    /// Whether the user's answer to the node that waited for it is not used up.
    pub(super) can_retry: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(flow: &'a Agentflow, shared: &'a WalkContext<'a>, runtime: Runtime) -> Self {
        let (queue, waiting) = (flow.whole.starts.iter().copied().collect(), HashMap::new());
        let (answer, progress, asked) = (None, Cell::default(), None);
        Self { flow, shared, graph: &flow.whole, iteration: None, runtime, answer, progress, asked, queue, waiting }
    }

    /// Goes on at the node that waited.
    pub(super) fn resume(self, at: usize, answer: Value) -> Self {
        Self { answer: Some((at, answer)), queue: [at].into(), ..self }
    }

    /// To the end, or to where it waits.
    pub(super) async fn go(&mut self) -> Result<(), WalkError> {
        let mut is_begun = false;
        let mut count = 0;
        while let Some(at) = self.queue.pop_front() {
            if !std::mem::replace(&mut is_begun, true) && self.iteration.is_none() {
                self.tell(EventName::AgentFlowEvent, "INPROGRESS");
            }
            count += 1;
            if let Err(failure) = self.shared.run.budget().step() {
                return Err(WalkError { failure, can_retry: false });
            }
            if count > MOST_NODES + 1 {
                let failure = Failure::flow("Maximum iteration limit reached");
                return Err(WalkError { failure, can_retry: false });
            }
            let Some(node) = self.flow.nodes.get(at) else { continue };
            self.shared.run.give_way().await;
            match self.step(at, node).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(failure) => {
                    let failure = self.fail(at, node, failure);
                    return Err(WalkError { failure, can_retry: self.answer.is_some() });
                }
            }
        }
        if self.iteration.is_none() {
            self.tell_executed(true);
        }
        Ok(())
    }

    /// Runs one node; whether it goes on.
    async fn step(&mut self, at: usize, node: &'a StepNode) -> Result<bool, Failure> {
        if self.shared.run.watch.abort.is_cancelled() {
            return Err(Failure::Aborted);
        }
        self.tell_step(node, "INPROGRESS", None);
        let mut outcome = self.visit(at, node).await?;
        let answered = self.answer.take_if(|(waited, _)| *waited == at);
        let is_iteration = matches!(outcome.then, NextStep::Each(_));
        let stopped = answered.as_ref().filter(|_| is_iteration);
        let stopped = stopped.map(|(_, answer)| (answer.clone(), self.runtime.pending(&node.id).cloned()));
        if answered.is_some() {
            self.runtime.executed.forget(&node.id);
        }
        let then = match std::mem::take(&mut outcome.then) {
            NextStep::Each(items) => self.each(at, node, (items, stopped), &mut outcome).await?,
            then => then,
        };
        if let NextStep::Wait { pending, calls } = then {
            if self.shared.run.request.is_inner {
                return Err(Failure::flow(format!("{}: {NOBODY_TO_ASK}", node.label)));
            }
            self.wait(at, node, outcome, pending, calls)?;
            return Ok(false);
        }
        self.finish(at, node, outcome)?;
        self.go_on(at, node, then);
        Ok(true)
    }

    async fn visit(&self, at: usize, node: &'a StepNode) -> Result<StepOutcome, Failure> {
        let WalkContext { run, message, files, said, .. } = self.shared;
        let request = run.request;
        let has_form = request.form.as_ref().is_some_and(|form| !form.is_empty());
        if has_form && !request.question().is_empty() {
            return Err(Failure::flow("Question and form cannot be provided at the same time"));
        }
        let scope = StepScope { run, runtime: &self.runtime, iteration: self.iteration, files, message };
        let mut inputs = node.inputs.clone();
        let mut bytes = 0;
        for (name, template) in &node.templates {
            let value = template.value(&scope).map_err(Failure::flow)?;
            bytes += bytes_of(&value);
            run.budget().has_room(bytes)?;
            inputs.insert(name.clone(), value);
        }
        run.budget().check()?;
        let visit = StepContext {
            node,
            inputs,
            run: &Run { names: Some(&scope), ..**run },
            runtime: &self.runtime,
            scope: &scope,
            said: said.as_deref(),
            is_last: self.iteration.is_none() && self.graph.next(at).is_empty(),
            answer: self.answer.as_ref().filter(|(waited, _)| *waited == at).map(|(_, answer)| answer),
            progress: &self.progress,
        };
        node.step.run(&visit).await
    }

    /// Queues what comes after a node.
    fn go_on(&mut self, at: usize, node: &StepNode, then: NextStep) {
        let graph = self.graph;
        let chosen = if let NextStep::Choose(chosen) = &then { chosen.as_slice() } else { &[] };
        // Nothing chosen: the last one stands for everything else.
        let is_chosen = |output: usize| match chosen.get(output) {
            Some(_) if !chosen.contains(&true) => output + 1 == chosen.len(),
            chosen => chosen.copied().unwrap_or(true),
        };
        // An output that the node no longer has: where its edge leads, the others decide, as Flowise passes over nodes
        // and not edges.
        let is_known = |output: &usize| *output < chosen.len();
        let leads = |output: Option<usize>, next: usize| {
            let beside = graph.next(at).iter().filter(|(_, other)| *other == next);
            let mut known = beside.filter_map(|(output, _)| output.filter(is_known)).peekable();
            output.filter(is_known).map_or_else(|| known.peek().is_none() || known.any(is_chosen), is_chosen)
        };
        for &(output, next) in graph.next(at) {
            if !leads(output, next) {
                continue;
            }
            let received = self.waiting.entry(next).or_default();
            received.insert(at);
            if graph.is_ready(next, received) {
                self.waiting.remove(&next);
                self.queue.push_back(next);
            }
        }
        if let NextStep::Back { to, most, fallback } = then {
            self.go_back(node, &to, most, fallback);
        }
    }

    fn go_back(&mut self, node: &StepNode, to: &str, most: u64, fallback: String) {
        let count = self.runtime.loops.get(&node.id).copied().unwrap_or_default() + 1;
        let most = if most == 0 { MOST_LOOPS } else { most };
        if count < most {
            self.runtime.loops.insert(node.id.clone(), count);
            // Whatever the user answered was for the round before.
            self.answer = None;
            self.queue.extend(self.flow.nodes.iter().position(|node| node.id == to));
            return;
        }
        let fallback = if fallback.is_empty() {
            format!("Loop completed after reaching maximum iteration count of {most}.")
        } else {
            fallback
        };
        self.shared.run.sink.bare_token(&fallback);
        if let Some(output) = self.runtime.executed.last_output_mut() {
            output.insert("content".to_owned(), fallback.into());
        }
    }
}

/// The answer that a run ends with, by what was run last.
pub(super) fn content(last: Option<&Value>) -> Option<Value> {
    let content = last?.get("data").and_then(|data| data.get("output")?.get("content"));
    Some(content.filter(|content| !content.is_null()).cloned().unwrap_or_else(|| " ".into()))
}
