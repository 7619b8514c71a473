//! Runs what is inside an iteration, once for each item.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{Walk, WalkError, content};
use crate::engine::agentflow::runtime::{Iteration, Runtime};
use crate::engine::agentflow::step::{NextStep, StepNode, StepOutcome};
use crate::engine::agentflow::values::text_of;
use crate::engine::contract::failure::Failure;

/// A round in which a node asked the user, and what came of those before it.
struct StoppedRound {
    index: usize,
    results: Vec<Value>,
    /// The node that asked.
    at: usize,
    runtime: Runtime,
}

impl Walk<'_> {
    /// An item that fails says so and the next comes. Where a node asks the user, all of it waits; then `stopped` is what
    /// the user answered, and what the iteration waited with.
    pub(super) async fn each(
        &mut self,
        at: usize,
        node: &StepNode,
        (items, stopped): (Vec<Value>, Option<(Value, Option<Value>)>),
        outcome: &mut StepOutcome,
    ) -> Result<NextStep, Failure> {
        let Some(inside) = self.flow.inside.get(&at) else { return Ok(NextStep::Next) };
        let budget = self.shared.run.budget();
        let _level = budget.deeper()?;
        let (mut first, mut results, mut resumed) = (0, Vec::new(), None);
        if let Some((answer, pending)) = stopped {
            let unknown = || Failure::flow("What this node waits for is not known any more.");
            let round = pending.and_then(|pending| self.stopped_round(&pending, node)).ok_or_else(unknown)?;
            (first, results) = (round.index, round.results);
            resumed = Some((round.at, answer, round.runtime));
        }
        for (index, value) in items.iter().enumerate().skip(first) {
            let iteration = Iteration { index, count: items.len(), value: value.clone() };
            let past = Rc::clone(&self.shared.past);
            let mut walk = Walk {
                flow: self.flow,
                shared: self.shared,
                graph: inside,
                iteration: Some(&iteration),
                runtime: Runtime { state: self.runtime.state.clone(), past, ..Runtime::default() },
                answer: None,
                progress: Cell::default(),
                asked: None,
                queue: inside.starts.iter().copied().collect(),
                waiting: HashMap::new(),
            };
            if let Some((at, answer, runtime)) = resumed.take() {
                walk.runtime = runtime;
                walk = walk.resume(at, answer);
            }
            match Box::pin(walk.go()).await {
                Ok(()) if walk.asked.is_some() => {
                    let calls = walk.asked.take().unwrap_or_default();
                    let said = content(walk.runtime.executed.last()).unwrap_or_default();
                    outcome.output.insert("content".to_owned(), said);
                    outcome.state = Some(self.runtime.state.clone());
                    let pending = written(&items, index, &results, walk.runtime);
                    return Ok(NextStep::Wait { pending, calls });
                }
                Ok(()) => {
                    let Runtime { executed, state, .. } = walk.runtime;
                    results.extend(content(executed.last()).filter(|content| *content != ""));
                    self.adopt(node, &iteration, executed.into_entries())?;
                    self.runtime.state.extend(state);
                }
                Err(_) if self.shared.run.watch.abort.is_cancelled() => return Err(Failure::Aborted),
                Err(WalkError { failure, .. }) if failure.ends_run() => return Err(failure),
                Err(WalkError { failure, .. }) => {
                    let error = self.shared.run.told(&failure);
                    results.push(format!("Error in iteration {}: {error}", index + 1).into());
                }
            }
        }
        outcome.state = Some(self.runtime.state.clone());
        let joined: Vec<String> = results.iter().map(text_of).collect();
        outcome.output.insert("iterationResults".to_owned(), results.into());
        outcome.output.insert("content".to_owned(), joined.join("\n").into());
        Ok(NextStep::Next)
    }

    /// `None`: it is not what an iteration waits with, or not one of this flow.
    fn stopped_round(&self, pending: &Value, node: &StepNode) -> Option<StoppedRound> {
        let list = |name: &str| pending.get(name)?.as_array().cloned();
        let executed = list("executed")?;
        let asked = executed.last().filter(|last| last.get("status") == Some(&"STOPPED".into()))?;
        let (id, kind) = (asked.get("nodeId")?, asked.get("data")?.get("name")?);
        let is_it = |inner: &StepNode| {
            *id == inner.id.as_str() && *kind == inner.kind && inner.parent.as_ref() == Some(&node.id)
        };
        let at = self.flow.nodes.iter().position(is_it)?;
        let loops = pending.get("loops")?.as_object()?;
        Some(StoppedRound {
            index: usize::try_from(pending.get("index")?.as_u64()?).ok()?,
            results: list("results")?,
            at,
            runtime: Runtime {
                state: pending.get("state")?.as_object()?.clone(),
                past: Rc::clone(&self.shared.past),
                history: list("history")?,
                loops: loops.iter().map(|(id, count)| Some((id.clone(), count.as_u64()?))).collect::<Option<_>>()?,
                executed: executed.into(),
                ..Runtime::default()
            },
        })
    }
}

/// What an iteration waits with; its node takes the items out of it again.
fn written(items: &[Value], index: usize, results: &[Value], runtime: Runtime) -> Value {
    let Runtime { state, history, loops, executed, .. } = runtime;
    let loops: Map<String, Value> = loops.into_iter().map(|(id, count)| (id, count.into())).collect();
    json!({
        "items": items,
        "index": index,
        "results": results,
        "state": state,
        "history": history,
        "loops": loops,
        "executed": executed.into_entries(),
    })
}
