//! Databases of graphs.

pub(super) mod neo4j;

use crate::engine::compile::kind::NodeKind;

pub(super) const KINDS: &[&dyn NodeKind] = &[&neo4j::Neo4jNode];
