//! Flows that a flow may run.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Task;
use super::node::Reply;
use super::run::Run;

/// A flow, to another that runs it.
pub(crate) trait Subflow: fmt::Debug + Send + Sync {
    fn name(&self) -> &str;

    /// Answers the run's request.
    fn answer<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Reply>;
}

/// All flows of one engine by their files' names and by the ids that Flowise gave them.
#[derive(Debug, Default)]
pub(crate) struct FlowIndex(HashMap<String, Arc<dyn Subflow>>);

impl FlowIndex {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Subflow>> {
        self.0.get(name)
    }
}

impl<F: Subflow + 'static> FromIterator<(String, Arc<F>)> for FlowIndex {
    fn from_iter<T: IntoIterator<Item = (String, Arc<F>)>>(flows: T) -> Self {
        Self(flows.into_iter().map(|(name, flow)| (name, flow as _)).collect())
    }
}
