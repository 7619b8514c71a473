//! Says of an export, node by node, whether the engine can run it.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::engine::compile::context::{CompileContext, Credentials, Missing};
use crate::engine::compile::export::Export;
use crate::engine::compile::problem::NodeProblem;
use crate::engine::documents::index::Indexes;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::{FlowPlan, build};
use crate::engine::provider::Targets;
use crate::engine::text::settled::Overrides;
use crate::state::endpoints::Endpoints;
use crate::telemetry::metrics::Metrics;

/// See the module.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) is_agentflow: bool,
    /// Whether something of its chats is kept; of one that does not run, nothing is.
    pub(crate) remembers: bool,
    pub(crate) nodes: Vec<Inspected>,
    /// What is wrong with the flow as a whole.
    pub(crate) problems: Vec<NodeProblem>,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) label: String,
    pub(crate) kind: String,
    /// Drawn, and nothing else.
    pub(crate) is_note: bool,
    pub(crate) problems: Vec<NodeProblem>,
    pub(crate) missing: Vec<Missing>,
}

impl Inspection {
    pub(crate) fn runs(&self) -> bool {
        self.problems.is_empty() && self.nodes.iter().all(|node| node.problems.is_empty())
    }
}

/// Whether a text is the export of one flow.
///
/// # Errors
/// What it is instead.
pub(crate) fn check_export(text: &str) -> Result<(), String> {
    Export::read(text).map(|_| ()).map_err(|problem| problem.to_string())
}

/// Looks at one file's text; `folder` is where its own files would lie.
///
/// # Errors
/// It is no export.
pub(crate) fn inspect(
    text: &str,
    folder: PathBuf,
    credentials: &Credentials,
    networks: &[IpNet],
    stores: &Arc<DocumentStores>,
    metrics: &Metrics,
) -> Result<Inspection, NodeProblem> {
    let mut export = Export::read(text)?;
    export.folder = Some(folder);
    let targets = Targets::new(&"check".into(), &Arc::new(Endpoints::new(metrics))).allowing(networks);
    let context = CompileContext::new(credentials.clone(), targets).with_stores(Arc::clone(stores));
    let built = build(&export, &Indexes::default(), &context, &Overrides::default());
    let nodes = export.nodes.iter().map(|node| Inspected {
        label: node.data.label.clone(),
        kind: node.data.name.clone(),
        is_note: node.is_note(),
        problems: built.problems.iter().filter(|problem| problem.node == node.id).cloned().collect(),
        missing: built.missing.iter().filter(|missing| missing.node == node.id).cloned().collect(),
    });
    let is_known = |problem: &&NodeProblem| export.node(&problem.node).is_some();
    let problems = built.problems.iter().filter(|problem| !is_known(problem)).cloned().collect();
    let remembers = built.plan.as_ref().is_some_and(FlowPlan::remembers);
    Ok(Inspection { is_agentflow: export.is_agentflow(), remembers, nodes: nodes.collect(), problems })
}
