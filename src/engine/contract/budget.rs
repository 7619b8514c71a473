//! What one run may take: steps, calls of models and of tools, bytes of what it holds, time.
//!
//! A prediction has one budget, which everything that runs for it shares: iterations, loops, agents' turns, flows that
//! flows run. Once a bound is met the run is over, whoever would make something of the failure.

use std::cell::Cell;
use std::time::Instant;

use super::failure::{Failure, RunLimit};
use super::message::{Content, ContentPart, Message};
use crate::config::EngineLimits;

/// Flows and iterations within each other: each is polled on the stack of the one around it.
const DEEPEST: usize = 8;
/// Letters times steps back that patterns of conditions take in a run: about a second.
const MOST_PATTERN_WORK: u64 = 1 << 30;

/// See the module.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: EngineLimits,
    begun: Instant,
    steps: Cell<u64>,
    model_calls: Cell<u64>,
    tool_calls: Cell<u64>,
    text: Cell<u64>,
    pattern_work: Cell<u64>,
    depth: Cell<usize>,
    /// The first that was.
    met: Cell<Option<RunLimit>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(EngineLimits::default())
    }
}

impl Budget {
    /// Its time begins.
    pub(crate) fn new(limits: EngineLimits) -> Self {
        Self {
            limits,
            begun: Instant::now(),
            steps: Cell::default(),
            model_calls: Cell::default(),
            tool_calls: Cell::default(),
            text: Cell::default(),
            pattern_work: Cell::default(),
            depth: Cell::default(),
            met: Cell::default(),
        }
    }

    /// The bound that was met, if one was.
    pub(crate) fn met(&self) -> Option<RunLimit> {
        self.met.get()
    }

    /// # Errors
    /// A bound was met before.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.met.get().map_or(Ok(()), |limit| Err(Failure::Limit(limit)))
    }

    /// When its time is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.begun + self.limits.time
    }

    /// Its time is over.
    pub(crate) fn out_of_time(&self) -> Failure {
        self.meet(RunLimit::Time(self.limits.time))
    }

    /// # Errors
    /// Its time is over, or another bound was met before.
    pub(crate) fn in_time(&self) -> Result<(), Failure> {
        if self.begun.elapsed() > self.limits.time { Err(self.out_of_time()) } else { self.check() }
    }

    /// A node is run.
    pub(crate) fn step(&self) -> Result<(), Failure> {
        self.in_time()?;
        self.take(&self.steps, 1, RunLimit::Steps(self.limits.steps), self.limits.steps)
    }

    /// A model is asked.
    pub(crate) fn model_call(&self) -> Result<(), Failure> {
        self.take(&self.model_calls, 1, RunLimit::ModelCalls(self.limits.model_calls), self.limits.model_calls)
    }

    /// A tool is called.
    pub(crate) fn tool_call(&self) -> Result<(), Failure> {
        self.take(&self.tool_calls, 1, RunLimit::ToolCalls(self.limits.tool_calls), self.limits.tool_calls)
    }

    /// Whether so many calls of tools are left: what a model asks for in one turn is done whole or not at all.
    pub(crate) fn has_tool_calls(&self, count: usize) -> Result<(), Failure> {
        self.check()?;
        if self.tool_calls.get().saturating_add(count as u64) > self.limits.tool_calls {
            return Err(self.meet(RunLimit::ToolCalls(self.limits.tool_calls)));
        }
        Ok(())
    }

    /// Holds so many bytes more until it ends.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Failure> {
        self.take(&self.text, bytes as u64, RunLimit::Text(self.limits.text), self.limits.text)
    }

    /// Whether there is room for so many bytes beside what is held.
    pub(crate) fn has_room(&self, bytes: usize) -> Result<(), Failure> {
        self.check()?;
        if self.text.get().saturating_add(bytes as u64) > self.limits.text {
            return Err(self.meet(RunLimit::Text(self.limits.text)));
        }
        Ok(())
    }

    /// A pattern takes up to so many steps back, times the letters of its text.
    pub(crate) fn pattern_work(&self, work: u64) -> Result<(), Failure> {
        self.take(&self.pattern_work, work, RunLimit::PatternWork, MOST_PATTERN_WORK)
    }

    fn take(&self, taken: &Cell<u64>, more: u64, limit: RunLimit, most: u64) -> Result<(), Failure> {
        self.check()?;
        taken.set(taken.get().saturating_add(more));
        if taken.get() > most { Err(self.meet(limit)) } else { Ok(()) }
    }

    fn meet(&self, limit: RunLimit) -> Failure {
        let first = self.met.get().unwrap_or(limit);
        self.met.set(Some(first));
        Failure::Limit(first)
    }

    /// Something runs within the run, until what is returned goes.
    pub(crate) fn deeper(&self) -> Result<RunLevel<'_>, Failure> {
        if self.depth.get() >= DEEPEST {
            return Err(Failure::flow("too many flows run each other"));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(RunLevel(&self.depth))
    }
}

/// See [`Budget::deeper`].
pub(crate) struct RunLevel<'a>(&'a Cell<usize>);

impl Drop for RunLevel<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Bytes of what a model is told.
pub(crate) fn bytes_of_messages(messages: &[Message]) -> usize {
    let piece = |piece: &ContentPart| match piece {
        ContentPart::Text(text) | ContentPart::Image(text) => text.len(),
    };
    let message = |message: &Message| match &message.content {
        Content::Text(text) => text.len(),
        Content::Pieces(pieces) => pieces.iter().map(piece).sum(),
    };
    messages.iter().map(message).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn small() -> Budget {
        let (time, text) = (Duration::from_mins(1), 1000);
        Budget::new(EngineLimits { time, steps: 2, model_calls: 2, tool_calls: 3, text })
    }

    #[test]
    fn a_bound_that_was_met_ends_everything() {
        let budget = small();
        assert!(budget.has_tool_calls(3).is_ok() && budget.tool_call().is_ok());
        assert_eq!(budget.met(), None);
        let failure = budget.has_tool_calls(3).unwrap_err();
        assert_eq!(failure.to_string(), "The flow met its limit of 3 tool calls (engine.limits.tool_calls).");
        for result in [budget.step(), budget.model_call(), budget.hold(1), budget.has_room(0), budget.check()] {
            assert_eq!(result, Err(failure.clone()));
        }
        assert_eq!(budget.met(), Some(RunLimit::ToolCalls(3)));
    }

    #[test]
    fn each_bound_is_named() {
        let told = |take: &dyn Fn(&Budget) -> Result<(), Failure>| {
            let budget = small();
            (0..9).find_map(|_| take(&budget).err()).map(|failure| failure.to_string()).unwrap_or_default()
        };
        assert_eq!(told(&Budget::step), "The flow met its limit of 2 steps (engine.limits.steps).");
        assert_eq!(told(&Budget::model_call), "The flow met its limit of 2 model calls (engine.limits.model_calls).");
        assert_eq!(told(&|it| it.hold(400)), "The flow met its limit of 1000 bytes of text (engine.limits.text).");
        assert_eq!(small().has_room(1000), Ok(()));
        assert_eq!(small().has_room(1001).unwrap_err(), Failure::Limit(RunLimit::Text(1000)));
        let text = |limit: RunLimit| limit.to_string();
        assert_eq!(text(RunLimit::Text(32 << 20)), "The flow met its limit of 32 MiB of text (engine.limits.text).");
        assert_eq!(
            text(RunLimit::Time(Duration::from_mins(10))),
            "The flow met its limit of 10m (engine.limits.time)."
        );
        assert_eq!(
            text(RunLimit::Time(Duration::from_secs(90))),
            "The flow met its limit of 90s (engine.limits.time)."
        );
    }

    #[test]
    fn time_is_looked_at_in_every_step() {
        let budget = Budget::new(EngineLimits { time: Duration::ZERO, ..EngineLimits::default() });
        assert_eq!(budget.step(), Err(Failure::Limit(RunLimit::Time(Duration::ZERO))));
    }

    #[test]
    fn levels_are_left_again() {
        let budget = Budget::default();
        for _ in 0..100 {
            assert!(budget.deeper().is_ok());
        }
        let levels: Vec<_> = (0..DEEPEST).map(|_| budget.deeper().unwrap()).collect();
        assert!(budget.deeper().is_err());
        drop(levels);
        assert!(budget.deeper().is_ok());
    }
}
