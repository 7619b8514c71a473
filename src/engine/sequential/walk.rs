//! Runs a flow step by step: all nodes of a step see the state that the step before has left, and run at once.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::future::join_all;

use super::flow::{FlowForm, SequentialFlow};
use super::graph::EdgeTarget;
use super::state::{AgentState, Channels, Update, hold};
use super::trace::StepTrace;
use super::visit::Visit;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;

/// Before every failure, as Flowise has it.
const PLACE: &str = "Error buildAgentGraph -";

/// See the module.
pub(super) struct AgentWalk<'a> {
    flow: &'a SequentialFlow,
    run: &'a Run<'a>,
    question: &'a str,
    channels: Channels,
    pub(super) state: AgentState,
    pub(super) told: StepTrace,
    /// Of each join: who has come.
    come: HashMap<usize, HashSet<usize>>,
}

impl<'a> AgentWalk<'a> {
    pub(super) fn new(
        flow: &'a SequentialFlow,
        run: &'a Run<'a>,
        question: &'a str,
        (channels, state): (Channels, AgentState),
    ) -> Self {
        Self { flow, run, question, channels, state, told: StepTrace::default(), come: HashMap::new() }
    }

    pub(super) fn run(&self) -> &'a Run<'a> {
        self.run
    }

    /// From the start. Gives the nodes before which the user is to be asked; none: the flow has come to its end.
    pub(super) async fn begin(&mut self) -> Result<Vec<usize>, Failure> {
        let graph = &self.flow.graph;
        let mut first: BTreeSet<usize> = graph.starts.iter().copied().collect();
        for branch in &graph.start_branches {
            let visit = self.visit(&self.state);
            first.extend(nodes(self.decided(*branch, &visit).await?));
        }
        // The start is a step by itself.
        self.go(first, self.flow.most_steps.saturating_sub(1), true).await
    }

    /// Goes on at nodes that the user was asked about.
    pub(super) async fn resume(&mut self, at: Vec<usize>) -> Result<Vec<usize>, Failure> {
        self.go(at.into_iter().collect(), self.flow.most_steps, false).await
    }

    async fn go(&mut self, first: BTreeSet<usize>, most: u64, asks: bool) -> Result<Vec<usize>, Failure> {
        let (mut at, mut left, mut asks) = (first, most, asks);
        while !at.is_empty() {
            let Some(rest) = left.checked_sub(1) else {
                return Err(Failure::flow(format!(
                    "{PLACE} Recursion limit of {} reached without hitting a stop condition. You can increase the \
                     limit by setting the \"recursionLimit\" config key.",
                    self.flow.most_steps
                )));
            };
            left = rest;
            let waits = |at: &usize| self.flow.graph.nodes.get(*at).is_some_and(|node| node.waits);
            if asks && at.iter().any(waits) {
                return Ok(at.into_iter().collect());
            }
            asks = true;
            at = self.step(&at).await?;
            self.run.give_way().await;
        }
        Ok(Vec::new())
    }

    /// Runs nodes, and gives those that come next.
    async fn step(&mut self, at: &BTreeSet<usize>) -> Result<BTreeSet<usize>, Failure> {
        let done = join_all(at.iter().map(|at| self.node(*at))).await;
        let done: Vec<(Update, Vec<EdgeTarget>)> = done.into_iter().collect::<Result<_, _>>()?;
        let mut next = BTreeSet::new();
        for (at, (update, targets)) in at.iter().zip(&done) {
            self.state.apply(&self.channels, update, self.run).await?;
            next.extend(nodes(targets.iter().copied()));
            next.extend(nodes(self.joined(*at)));
        }
        for (at, (update, _)) in at.iter().zip(done) {
            self.told.tell(self.flow, &self.channels, (*at, update), self.run)?;
        }
        Ok(next)
    }

    /// Runs a node, and says where its ways lead.
    async fn node(&self, at: usize) -> Result<(Update, Vec<EdgeTarget>), Failure> {
        let graph = &self.flow.graph;
        let node = graph.nodes.get(at).ok_or_else(|| Failure::flow("there is no such node"))?;
        self.run.budget().step()?;
        let visit = self.visit(&self.state);
        let place = if self.flow.form == FlowForm::Sequence { "Error buildAgentGraph - Error" } else { PLACE };
        let update = node.step.run(&visit).await.map_err(|failure| failure.within(place))?;
        hold(&update, self.run.budget())?;
        let said = update.messages.as_ref().and_then(|messages| messages.last());
        if let Some(leave) = node.leave.filter(|_| said.is_some_and(|said| !said.calls.is_empty())) {
            return Ok((update, vec![EdgeTarget::Node(leave)]));
        }
        let mut targets: Vec<EdgeTarget> = node.next.iter().map(|at| EdgeTarget::Node(*at)).collect();
        targets.extend(node.tools_for(said).map(EdgeTarget::Node));
        if node.branches.is_empty() {
            return Ok((update, targets));
        }
        // Conditions see what the node has made of the state.
        let mut state = self.state.clone();
        state.apply(&self.channels, &update, self.run).await?;
        for branch in &node.branches {
            targets.extend(self.decided(*branch, &visit.with_state(&state)).await?);
        }
        Ok((update, targets))
    }

    async fn decided(&self, branch: usize, visit: &Visit<'_>) -> Result<Vec<EdgeTarget>, Failure> {
        let unknown = || Failure::flow("Branch condition returned unknown or null destination").within(PLACE);
        let branch = self.flow.graph.branches.get(branch).ok_or_else(unknown)?;
        let output = branch.decision.decide(visit).await.map_err(|failure| failure.within(PLACE))?;
        branch.targets(&output).ok_or_else(unknown)
    }

    /// Nodes that have waited for this one and wait for no other.
    fn joined(&mut self, at: usize) -> Vec<EdgeTarget> {
        let graph = &self.flow.graph;
        let mut targets = Vec::new();
        for join in graph.nodes.get(at).into_iter().flat_map(|node| &node.joins) {
            let Some(known) = graph.joins.get(*join) else { continue };
            let come = self.come.entry(*join).or_default();
            come.insert(at);
            if known.from.iter().all(|from| come.contains(from)) {
                come.clear();
                targets.push(known.to);
            }
        }
        targets
    }

    fn visit<'s>(&'s self, state: &'s AgentState) -> Visit<'s> {
        Visit { run: self.run, state, channels: &self.channels, question: self.question }
    }
}

fn nodes(targets: impl IntoIterator<Item = EdgeTarget>) -> impl Iterator<Item = usize> {
    targets.into_iter().filter_map(|target| if let EdgeTarget::Node(at) = target { Some(at) } else { None })
}
