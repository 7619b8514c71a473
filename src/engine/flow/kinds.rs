//! Every kind of node of the first generation. Those of the second are the agentflow's own.

use crate::engine::compile::kind::NodeKinds;
use crate::engine::{models, nodes};

pub(crate) const KINDS: NodeKinds = NodeKinds { families: nodes::KINDS, models: models::KINDS };
