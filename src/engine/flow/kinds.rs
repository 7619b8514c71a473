//! Every kind of node of the first generation. Those of the second are the agentflow's own.

use crate::engine::compile::kind::NodeKinds;
use crate::engine::{models, nodes};

pub(crate) const KINDS: NodeKinds = NodeKinds { families: nodes::KINDS, models: models::KINDS };

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TESTS: [&str; 5] = ["testModel", "panickingModel", "stubModel", "stubEmbeddings", "twoDocuments"];
    /// Notes, and memories that an Agentflow V1 reads for itself.
    const NOT_BUILT: [&str; 6] = [
        "stickyNote",
        "stickyNoteAgentflow",
        "agentMemory",
        "sqliteAgentMemory",
        "postgresAgentMemory",
        "mySQLAgentMemory",
    ];

    #[test]
    fn every_node_that_runs_stands_on_the_page_of_nodes() {
        let page = include_str!("../NODES.md");
        let (of_first, _) = page.split_once("\n## Agentflow V2").unwrap();
        let types = of_first.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
        let told: Vec<&str> = types.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        for name in &told {
            assert!(KINDS.find(name).is_some() || NOT_BUILT.contains(name), "{name} is told and does not run");
        }
        let all = KINDS.families.iter().copied().chain([KINDS.models]).flatten();
        // Names that only older versions of Flowise gave it may be missing.
        for names in all.map(|kind| kind.names()).filter(|names| !names.is_empty()) {
            let is_known = |name: &&str| told.contains(name) || OF_TESTS.contains(name);
            assert!(names.iter().any(is_known), "{names:?} run and are not told");
        }
    }
}
