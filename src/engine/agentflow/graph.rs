//! How the nodes of an agentflow hang together, at one level: the whole flow, or what is inside an iteration.

use std::collections::{HashMap, HashSet};

use super::step::StepNode;
use crate::engine::compile::export::Edge;

/// See the module. Nodes are told by their place in the flow's list.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Nodes that no edge leads to.
    pub(super) starts: Vec<usize>,
    links: HashMap<usize, GraphLinks>,
}

/// What leads to a node and away from it.
#[derive(Debug, Default)]
struct GraphLinks {
    /// Nodes that follow, each with the number of the output that leads there.
    next: Vec<(Option<usize>, usize)>,
    /// In the order of the edges.
    before: Vec<usize>,
    /// All of these come first.
    needs: HashSet<usize>,
    /// One of each of these comes first: nodes that follow the same decision.
    needs_one: Vec<Vec<usize>>,
}

impl Graph {
    /// Of those nodes and the edges between them.
    pub(super) fn new(nodes: &[StepNode], own: &[usize], edges: &[Edge]) -> Self {
        let place: HashMap<&str, usize> = own.iter().filter_map(|&at| Some((nodes.get(at)?.id.as_str(), at))).collect();
        let mut graph = Self { starts: Vec::new(), links: own.iter().map(|&at| (at, GraphLinks::default())).collect() };
        let mut into: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for edge in edges {
            let (Some(&from), Some(&to)) = (place.get(&*edge.source), place.get(&*edge.target)) else { continue };
            let output = edge.source_handle.rsplit_once("-output-").and_then(|(_, output)| output.parse().ok());
            graph.links.entry(from).or_default().next.push((output, to));
            graph.links.entry(to).or_default().before.push(from);
            into.entry(to).or_default().push((output.unwrap_or_default(), from));
        }
        for &at in own {
            let mut before = into.remove(&at).unwrap_or_default();
            if before.is_empty() {
                graph.starts.push(at);
            }
            before.sort_by_key(|(output, _)| *output);
            graph.require(at, before.into_iter().map(|(_, from)| from), nodes);
        }
        graph
    }

    fn require(&mut self, at: usize, before: impl Iterator<Item = usize>, nodes: &[StepNode]) {
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut needs = HashSet::new();
        for from in before {
            match self.decision_before(from, nodes) {
                None => {
                    needs.insert(from);
                }
                Some(decision) => match groups.iter_mut().find(|(known, _)| *known == decision) {
                    Some((_, group)) => group.push(from),
                    None => groups.push((decision, vec![from])),
                },
            }
        }
        if let Some(links) = self.links.get_mut(&at) {
            links.needs = needs;
            links.needs_one = groups.into_iter().map(|(_, group)| group).collect();
        }
    }

    /// The decision that a node is, or that it comes after.
    fn decision_before(&self, from: usize, nodes: &[StepNode]) -> Option<usize> {
        let mut seen = HashSet::new();
        let mut at = from;
        while seen.insert(at) {
            if nodes.get(at)?.decides {
                return Some(at);
            }
            at = *self.links.get(&at)?.before.first()?;
        }
        None
    }

    pub(super) fn next(&self, at: usize) -> &[(Option<usize>, usize)] {
        self.links.get(&at).map_or(&[], |links| &links.next)
    }

    pub(super) fn before(&self, at: usize) -> &[usize] {
        self.links.get(&at).map_or(&[], |links| &links.before)
    }

    /// Whether enough has come before a node.
    pub(super) fn is_ready(&self, at: usize, received: &HashSet<usize>) -> bool {
        self.links.get(&at).is_some_and(|links| {
            links.needs.is_subset(received)
                && links.needs_one.iter().all(|group| group.iter().any(|from| received.contains(from)))
        })
    }
}
