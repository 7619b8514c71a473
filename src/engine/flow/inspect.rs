//! Says of an export, node by node, whether the engine can run it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::McpServer;
use crate::engine::agentflow;
use crate::engine::compile::context::{CompileContext, Credentials, Missing};
use crate::engine::compile::export::{Export, Generation};
use crate::engine::compile::flowise::{self, why_unknown};
use crate::engine::compile::problem::NodeProblem;
use crate::engine::documents::index::Indexes;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::{FlowPlan, build, follow_ups, kinds};
use crate::engine::provider::Targets;
use crate::engine::text::overrides::Overrides;
use crate::state::endpoints::Endpoints;
use crate::telemetry::metrics::Metrics;

/// See the module.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) generation: Generation,
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
    /// Not connected, so that no run comes to it.
    pub(crate) is_loose: bool,
    /// Flowise does not run it either, whatever is wrong with it here.
    pub(crate) is_lost: bool,
    pub(crate) problems: Vec<NodeProblem>,
    /// What stands in it and changes nothing.
    pub(crate) passed_over: Vec<NodeProblem>,
    pub(crate) missing: Vec<Missing>,
}

impl Inspection {
    pub(crate) fn runs(&self) -> bool {
        self.problems.is_empty() && self.nodes.iter().all(|node| node.problems.is_empty())
    }

    /// Whether something is wanted that is not there.
    pub(crate) fn lacks(&self) -> bool {
        self.nodes.iter().any(|node| !node.missing.is_empty())
    }

    /// Whether a gateway takes it as its configuration is.
    pub(crate) fn is_taken(&self) -> bool {
        let mut missing = self.nodes.iter().flat_map(|node| &node.missing);
        self.runs() && missing.all(|missing| missing.need.refusal().is_none())
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
    mcp_servers: &BTreeMap<String, McpServer>,
    stores: &Arc<DocumentStores>,
    metrics: &Metrics,
) -> Result<Inspection, NodeProblem> {
    let mut export = Export::read(text)?;
    export.folder = Some(folder);
    let targets = Targets::new(&"check".into(), &Arc::new(Endpoints::new(metrics))).allowing(networks);
    let context = CompileContext::new(credentials.clone(), targets).with_stores(Arc::clone(stores));
    let context = context.with_mcp_servers(mcp_servers.clone());
    let built = build(&export, &Indexes::default(), &context, &Overrides::default());
    let generation = export.generation();
    let loose = if generation == Generation::AgentflowV2 { agentflow::loose(&export) } else { export.loose() };
    // What stands beside its nodes is shown as one of them.
    let beside = follow_ups::settings(&export).map(|_| follow_ups::node());
    let nodes = export.nodes.iter().chain(&beside).map(|node| Inspected {
        label: node.data.label.clone(),
        kind: node.data.name.clone(),
        is_note: node.is_note(),
        is_loose: loose.contains(&*node.id),
        is_lost: flowise::is_lost(&node.data.name) && built.problems.iter().any(|problem| problem.node == node.id),
        problems: built.problems.iter().filter(|problem| problem.node == node.id).cloned().collect(),
        passed_over: built.passed_over.iter().filter(|note| note.node == node.id).cloned().collect(),
        missing: built.missing.iter().filter(|missing| missing.node == node.id).cloned().collect(),
    });
    let is_known = |problem: &&NodeProblem| {
        export.node(&problem.node).is_some() || beside.as_ref().is_some_and(|node| node.id == problem.node)
    };
    let problems = built.problems.iter().filter(|problem| !is_known(problem)).cloned().collect();
    let nodes = nodes.collect();
    let remembers = built.plan.as_ref().is_some_and(FlowPlan::remembers);
    Ok(Inspection { generation, remembers, nodes, problems })
}

/// Why nothing can be searched by embeddings of that kind; `None`: it can.
pub(crate) fn why_not_embedded(kind: &str) -> Option<&'static str> {
    kinds::KINDS.find(kind).is_none().then(|| why_unknown(kind, "Embeddings"))
}
