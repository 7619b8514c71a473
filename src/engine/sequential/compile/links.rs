//! The ways that edges make between the nodes of a flow.

use serde_json::Value;

use super::sequence::{GraphBuilder, GraphPosition};
use super::with_inputs;
use crate::engine::compile::Compiler;
use crate::engine::compile::export::ExportNode;
use crate::engine::sequential::flow::name_of;
use crate::engine::sequential::graph::{EdgeTarget, Join};

impl GraphBuilder<'_> {
    /// Makes ways of what nodes follow.
    pub(super) fn link(&mut self, compiler: &mut Compiler<'_>) {
        let export = self.export;
        for node in &export.nodes {
            let place = match &*node.data.name {
                "seqEnd" => GraphPosition::End,
                "seqLoop" => GraphPosition::Loop,
                _ => continue,
            };
            if !self.agents.contains(&*node.id) || !self.places.contains_key(&*node.id) {
                continue;
            }
            let follows = with_inputs(node, compiler, |inputs| {
                if place == GraphPosition::Loop {
                    inputs.text("loopToName");
                }
                inputs.references("sequentialNode")
            });
            self.follows.push((node, follows));
        }
        for (node, follows) in std::mem::take(&mut self.follows) {
            match self.places.get(&*node.id) {
                Some(GraphPosition::Branch(branch)) => self.link_branch(*branch, &follows),
                Some(_) => {
                    if let Some(target) = self.target(node, compiler) {
                        self.link_node(target, node, &follows);
                    }
                }
                None => {}
            }
        }
        self.link_routes(compiler);
    }

    /// Where a way that leads to a node comes to.
    fn target(&self, node: &ExportNode, compiler: &mut Compiler<'_>) -> Option<EdgeTarget> {
        match self.places.get(&*node.id)? {
            GraphPosition::Node(at) => Some(EdgeTarget::Node(*at)),
            GraphPosition::End => Some(EdgeTarget::End),
            GraphPosition::Loop => {
                let name = node.data.inputs.get("loopToName").and_then(Value::as_str).map(name_of);
                let found = name.and_then(|name| self.names.get(&name));
                // Nodes that lack a setting have no place.
                if found.is_none() && compiler.unset.is_none() {
                    compiler.of_node(node, Some("loopToName"), "there is no such node in the flow");
                }
                found.map(|at| EdgeTarget::Node(*at))
            }
            GraphPosition::Start | GraphPosition::Branch(_) => None,
        }
    }

    fn link_branch(&mut self, branch: usize, follows: &[String]) {
        for id in follows {
            match self.places.get(&**id) {
                Some(GraphPosition::Start) if !self.graph.start_branches.contains(&branch) => {
                    self.graph.start_branches.push(branch);
                }
                Some(GraphPosition::Node(at)) => {
                    if let Some(node) = self.graph.nodes.get_mut(*at).filter(|node| !node.branches.contains(&branch)) {
                        node.branches.push(branch);
                    }
                }
                _ => {}
            }
        }
    }

    fn link_node(&mut self, target: EdgeTarget, node: &ExportNode, follows: &[String]) {
        let mut plain: Vec<usize> = Vec::new();
        for id in follows {
            match (self.places.get(&**id), target) {
                (Some(GraphPosition::Start), EdgeTarget::Node(at)) => self.graph.starts.push(at),
                (Some(GraphPosition::Node(from)), EdgeTarget::Node(at)) if node.data.name == "seqToolNode" => {
                    let names = self.graph.nodes.get(at).map(|node| node.tool_names.clone()).unwrap_or_default();
                    if let Some(from) = self.graph.nodes.get_mut(*from) {
                        from.tools.push((at, names));
                    }
                }
                (Some(GraphPosition::Node(from)), target) => {
                    let from_node = self.graph.nodes.get_mut(*from);
                    match from_node.filter(|node| node.leave.is_some()) {
                        Some(asking) => asking.next.extend(index(target)),
                        None if !plain.contains(from) => plain.push(*from),
                        None => {}
                    }
                }
                _ => {}
            }
        }
        if let [only] = plain.as_slice() {
            if let Some(from) = self.graph.nodes.get_mut(*only) {
                from.next.extend(index(target));
            }
        } else if !plain.is_empty() {
            let join = self.graph.joins.len();
            for from in &plain {
                if let Some(from) = self.graph.nodes.get_mut(*from) {
                    from.joins.push(join);
                }
            }
            self.graph.joins.push(Join { from: plain, to: target });
        }
    }

    /// Ways from the outputs of conditions.
    fn link_routes(&mut self, compiler: &mut Compiler<'_>) {
        let export = self.export;
        for edge in &export.edges {
            let Some(GraphPosition::Branch(branch)) = self.places.get(&*edge.source).copied() else { continue };
            let Some((source, node)) = export.node(&edge.source).zip(export.node(&edge.target)) else { continue };
            let Some(label) = source.data.output_label(&edge.source_handle) else { continue };
            let Some(target) = self.target(node, compiler) else { continue };
            if let Some(branch) = self.graph.branches.get_mut(branch) {
                branch.routes.push((label.to_owned(), target));
            }
            if let EdgeTarget::Node(at) = target
                && let (Some(GraphPosition::Node(_)), Some(node)) =
                    (self.places.get(&*edge.target), self.graph.nodes.get_mut(at))
            {
                node.behind.push(branch);
            }
        }
    }
}

fn index(target: EdgeTarget) -> Option<usize> {
    if let EdgeTarget::Node(at) = target { Some(at) } else { None }
}
