//! Nodes, and the ways from one to the next.

use super::message::AgentMessage;
use super::nodes::approval::Approval;
use super::visit::{AgentStep, BranchDecision};

/// Where a way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeTarget {
    Node(usize),
    End,
}

/// A node that is run.
#[derive(Debug)]
pub(super) struct GraphNode {
    pub(super) id: String,
    /// What its author calls it.
    pub(super) label: String,
    /// The kind, such as `seqAgent`.
    pub(super) kind: String,
    pub(super) step: Box<dyn AgentStep>,
    /// Nodes that follow it.
    pub(super) next: Vec<usize>,
    /// Joins that wait for it.
    pub(super) joins: Vec<usize>,
    /// Conditions that follow it.
    pub(super) branches: Vec<usize>,
    /// Nodes of tools that follow it, with the names of those: one of them is next if its model asks for such a tool.
    pub(super) tools: Vec<(usize, Vec<String>)>,
    /// Of a node of tools: their names.
    pub(super) tool_names: Vec<String>,
    /// Of an agent that asks its user: the node that calls its tools.
    pub(super) leave: Option<usize>,
    /// The user is asked before it runs.
    pub(super) waits: bool,
    /// How the user is asked before what this node's model wants is done.
    pub(super) approval: Option<Approval>,
    /// It has no place in the author's drawing.
    pub(super) is_hidden: bool,
    /// Conditions that lead to it.
    pub(super) behind: Vec<usize>,
}

/// A condition.
#[derive(Debug)]
pub(super) struct AgentBranch {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) kind: String,
    pub(super) decision: Box<dyn BranchDecision>,
    /// Where its outputs lead, by their labels.
    pub(super) routes: Vec<(String, EdgeTarget)>,
}

/// A node that several come together in.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) from: Vec<usize>,
    pub(super) to: EdgeTarget,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AgentGraph {
    pub(super) nodes: Vec<GraphNode>,
    pub(super) branches: Vec<AgentBranch>,
    pub(super) joins: Vec<Join>,
    /// Nodes that the start leads to, and conditions.
    pub(super) starts: Vec<usize>,
    pub(super) start_branches: Vec<usize>,
}

impl GraphNode {
    pub(super) fn new(id: &str, label: &str, kind: &str, step: Box<dyn AgentStep>) -> Self {
        let [id, label, kind] = [id, label, kind].map(str::to_owned);
        let (next, joins, branches, tools, behind) = (vec![], vec![], vec![], vec![], vec![]);
        Self {
            id,
            label,
            kind,
            step,
            next,
            joins,
            branches,
            tools,
            tool_names: Vec::new(),
            leave: None,
            waits: false,
            approval: None,
            is_hidden: false,
            behind,
        }
    }

    /// The node that does what its model asked for.
    pub(super) fn tools_for(&self, said: Option<&AgentMessage>) -> Option<usize> {
        let calls = &said?.calls;
        let calls_at =
            |(at, names): &(usize, Vec<String>), name: &str| names.iter().any(|known| known == name).then_some(*at);
        calls.iter().find_map(|call| self.tools.iter().find_map(|tools| calls_at(tools, &call.name)))
    }
}

impl AgentBranch {
    /// Where an output leads; `None`: there is no such output.
    pub(super) fn targets(&self, output: &str) -> Option<Vec<EdgeTarget>> {
        let found: Vec<EdgeTarget> =
            self.routes.iter().filter(|(label, _)| label == output).map(|(_, target)| *target).collect();
        if found.is_empty() && output == super::conditions::END {
            return Some(vec![EdgeTarget::End]);
        }
        (!found.is_empty()).then_some(found)
    }
}
