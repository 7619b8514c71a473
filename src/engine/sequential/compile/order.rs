//! The order in which Flowise puts nodes into a flow: by how far they are from its ends.

use std::collections::{HashMap, HashSet};

use crate::engine::compile::export::{Export, ExportNode};

/// Ids of nodes; `None`: edges lead in a circle.
pub(super) fn order<'a>(export: &'a Export, nodes: &[&'a ExportNode]) -> Option<Vec<&'a str>> {
    let known: HashSet<&str> = nodes.iter().map(|node| &*node.id).collect();
    let mut before: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in export.edges.iter().filter(|edge| known.contains(&*edge.source) && known.contains(&*edge.target)) {
        before.entry(&edge.target).or_default().push(&edge.source);
    }
    let mut depths: Vec<(&str, usize)> = Vec::new();
    for end in export.last_nodes().into_iter().filter(|end| known.contains(&*end.id)) {
        let own = depths_from(&end.id, &before)?;
        let deepest = own.iter().map(|(_, depth)| *depth).max().unwrap_or_default();
        for (id, depth) in own {
            let depth = deepest - depth;
            match depths.iter_mut().find(|(known, _)| *known == id) {
                Some((_, known)) => *known = depth,
                None => depths.push((id, depth)),
            }
        }
    }
    depths.sort_by_key(|(_, depth)| *depth);
    Some(depths.into_iter().map(|(id, _)| id).collect())
}

/// Of the nodes that lead to an end, in the order in which they are come to: the longest way from each to the end.
fn depths_from<'a>(end: &'a str, before: &HashMap<&'a str, Vec<&'a str>>) -> Option<Vec<(&'a str, usize)>> {
    let sources = |id: &str| before.get(id).into_iter().flatten().copied();
    let (mut come_to, mut seen, mut waiting) = (Vec::new(), HashSet::new(), vec![end]);
    // Edges that lead on from a node, on its ways to the end.
    let mut open: HashMap<&str, usize> = HashMap::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        come_to.push(id);
        for source in sources(id) {
            *open.entry(source).or_default() += 1;
        }
        let more: Vec<&str> = sources(id).collect();
        waiting.extend(more.into_iter().rev());
    }
    let (mut depths, mut ready, mut done) = (HashMap::from([(end, 0)]), vec![end], 0);
    while let Some(id) = ready.pop() {
        done += 1;
        let depth = depths.get(id).copied().unwrap_or_default();
        for source in sources(id) {
            let known = depths.entry(source).or_insert(0);
            *known = (*known).max(depth + 1);
            let left = open.entry(source).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.push(source);
            }
        }
    }
    let depth = |id: &'a str| (id, depths.get(id).copied().unwrap_or_default());
    (done == come_to.len()).then(|| come_to.into_iter().map(depth).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ordered(edges: &[(&str, &str)]) -> Option<Vec<String>> {
        let mut ids: Vec<&str> = Vec::new();
        for id in edges.iter().flat_map(|(from, to)| [*from, *to]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let nodes: Vec<_> = ids.iter().map(|id| json!({ "id": id, "data": { "name": "seqAgent" } })).collect();
        let edges: Vec<_> = edges.iter().map(|(from, to)| json!({ "source": from, "target": to })).collect();
        let export: Export = serde_json::from_value(json!({ "nodes": nodes, "edges": edges })).unwrap();
        let nodes: Vec<&ExportNode> = export.nodes.iter().collect();
        order(&export, &nodes).map(|ids| ids.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn nodes_stand_by_their_distance_from_the_ends() {
        let branches = [("s", "b"), ("s", "a"), ("a", "m"), ("b", "m"), ("m", "e")];
        assert_eq!(ordered(&branches).unwrap(), ["s", "a", "b", "m", "e"]);
        let longer = [("s", "a"), ("a", "m"), ("s", "m"), ("m", "e")];
        assert_eq!(ordered(&longer).unwrap(), ["s", "a", "m", "e"]);
        assert_eq!(ordered(&[("s", "a"), ("a", "b"), ("b", "a"), ("b", "e")]), None);
    }

    #[test]
    fn many_ways_are_not_walked_one_by_one() {
        let names: Vec<String> = (0..60).map(|at| format!("n{at}")).collect();
        let mut edges = Vec::new();
        for pair in names.chunks(2).collect::<Vec<_>>().windows(2) {
            for from in pair[0] {
                edges.extend(pair[1].iter().map(|to| (from.as_str(), to.as_str())));
            }
        }
        assert_eq!(ordered(&edges).unwrap().len(), 60);
    }
}
