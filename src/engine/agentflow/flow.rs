//! One flow of the second generation, ready to run.

use std::collections::HashMap;
use std::sync::Arc;

use super::graph::Graph;
use super::step::StepNode;
use crate::engine::scripts::post_processor::PostProcessor;

/// See the module.
#[derive(Debug)]
pub(crate) struct Agentflow {
    pub(super) nodes: Vec<StepNode>,
    pub(super) whole: Graph,
    /// What is inside of iterations, by the iteration's place.
    pub(super) inside: HashMap<usize, Graph>,
    /// Whether it starts with a form.
    pub(super) has_form: bool,
    /// Whether its state outlives a run.
    pub(super) keeps_state: bool,
    /// Whether it may stop for its user.
    pub(super) may_wait: bool,
    /// What changes its answers.
    pub(super) after: Option<Arc<PostProcessor>>,
}
